#!/usr/bin/env python3
"""Makes the sample of Fashion-MNIST in ../sample from the full data set.

    python3 make_sample.py DIRECTORY_WITH_THE_FOUR_IDX_GZ_FILES

Takes the first 350 training and the first 100 test pictures of each of the ten classes, in file
order, so the classes are balanced and the choice follows from the official files alone. Writes
IDX, gzip level 9, without name or time in the gzip header: the same input gives the same bytes
(with the same zlib), and always the same IDX content. Prints the SHA-256 of each IDX content,
which src/datasets.rs holds.
"""

import gzip
import hashlib
import pathlib
import struct
import sys

PER_CLASS = {"train": 350, "t10k": 100}


def main(source: pathlib.Path) -> None:
    target = pathlib.Path(__file__).resolve().parent.parent / "sample"
    for split, per_class in PER_CLASS.items():
        images = gzip.open(source / f"{split}-images-idx3-ubyte.gz").read()
        labels = gzip.open(source / f"{split}-labels-idx1-ubyte.gz").read()[8:]
        count, rows, columns = struct.unpack(">III", images[4:16])
        assert count == len(labels) and len(images) == 16 + count * rows * columns
        size = rows * columns
        taken = [0] * 10
        chosen = []
        for index, label in enumerate(labels):
            if taken[label] < per_class:
                taken[label] += 1
                chosen.append(index)
        write(
            target / f"{split}-images-idx3-ubyte.gz",
            struct.pack(">IIII", 0x803, len(chosen), rows, columns)
            + b"".join(images[16 + i * size : 16 + (i + 1) * size] for i in chosen),
        )
        write(
            target / f"{split}-labels-idx1-ubyte.gz",
            struct.pack(">II", 0x801, len(chosen)) + bytes(labels[i] for i in chosen),
        )


def write(path: pathlib.Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content, 9, mtime=0))
    print(f"{hashlib.sha256(content).hexdigest()}  {path.name}  ({path.stat().st_size} bytes)")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
