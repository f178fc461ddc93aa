#!/usr/bin/env python3
"""Makes train.parquet and test.parquet for tests/fetching.rs: the tiny data set of
tests/support/mod.rs in the form in which the Hugging Face Hub keeps image data sets.
"""

import io
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIDE = 6


def split(name: str, count: int, salt: int) -> None:
    size = SIDE * SIDE
    pixels = bytes((i * 37 + i // 7 * salt) & 255 for i in range(count * size))
    images = []
    for i in range(count):
        png = io.BytesIO()
        Image.frombytes("L", (SIDE, SIDE), pixels[i * size : (i + 1) * size]).save(png, "PNG")
        images.append({"bytes": png.getvalue(), "path": None})
    table = pa.table(
        {
            "image": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            "label": pa.array([i % 3 for i in range(count)], pa.int64()),
        }
    )
    pq.write_table(table, pathlib.Path(__file__).parent / f"{name}.parquet")


split("train", 30, 11)
split("test", 20, 5)
