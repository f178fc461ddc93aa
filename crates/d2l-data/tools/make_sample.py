#!/usr/bin/env python3
"""Makes a sample of MNIST or Fashion-MNIST in ../sample/NAME from a larger copy of the data set.

    python3 make_sample.py fashion-mnist DIRECTORY_WITH_THE_FOUR_IDX_GZ_FILES
    python3 make_sample.py mnist DIRECTORY_WITH_THE_FOUR_IDX_GZ_FILES

Takes the first so many training and test pictures of each of the ten classes, in file order, so
the classes are balanced and the choice follows from the files alone. For Fashion-MNIST those are
the official files (350 and 100 of each class); the sample of MNIST was made from a random tenth of
it, 8,000 and 2,000 of its digits (200 and 50 of each class). Writes IDX, gzip level 9, without
name or time in the gzip header: the same input gives the same bytes (with the same zlib), and
always the same IDX content. Prints the SHA-256 of each IDX content, which src/datasets/list.rs
holds.
"""

import gzip
import hashlib
import pathlib
import struct
import sys

PER_CLASS = {
    "fashion-mnist": {"train": 350, "t10k": 100},
    "mnist": {"train": 200, "t10k": 50},
}


def main(name: str, source: pathlib.Path) -> None:
    target = pathlib.Path(__file__).resolve().parent.parent / "sample" / name
    for split, per_class in PER_CLASS[name].items():
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
        assert taken == [per_class] * 10, f"too few pictures of a class: {taken}"
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
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
