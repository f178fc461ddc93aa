#!/usr/bin/env python3
"""Golden values of PIL's bilinear resize for tests/loader.rs: `python3 resize.py > resize.txt`.

The picture is the first of the sample; the first line after the comment is its 28 × 28 values,
then one line for each size, in the test's order.
"""

import gzip
import pathlib

import PIL
from PIL import Image

sample = pathlib.Path(__file__).resolve().parents[2] / "sample" / "train-images-idx3-ubyte.gz"
picture = Image.frombytes("L", (28, 28), gzip.open(sample).read()[16 : 16 + 28 * 28])
print(f"# Pillow {PIL.__version__}, Image.resize(BILINEAR); made by resize.py")
print(*picture.tobytes())
for size in (8, 10, 28, 32, 41):
    print(*picture.resize((size, size), Image.BILINEAR).tobytes())
