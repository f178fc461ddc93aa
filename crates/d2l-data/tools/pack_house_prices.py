#!/usr/bin/env python3
"""Packs the two CSV files of the house prices into ../sample/house-prices, gzip level 9.

    python3 pack_house_prices.py DIRECTORY_WITH_THE_TWO_CSV_FILES

Refuses files that are not the book's, by the book's own SHA-1. Prints the SHA-256 of each, which
src/datasets/list.rs holds.
"""

import gzip
import hashlib
import pathlib
import sys

SHA1 = {
    "kaggle_house_pred_train.csv": "585e9cc93e70b39160e7921475f9bcd7d31219ce",
    "kaggle_house_pred_test.csv": "fa19780a7b011d9b009e8bff8e99922a8ee2eb90",
}


def main(source: pathlib.Path) -> None:
    target = pathlib.Path(__file__).resolve().parent.parent / "sample" / "house-prices"
    for name, sha1 in SHA1.items():
        content = (source / name).read_bytes()
        assert hashlib.sha1(content).hexdigest() == sha1, f"{name} is not the book's"
        path = target / f"{name}.gz"
        path.write_bytes(gzip.compress(content, 9, mtime=0))
        print(f"{hashlib.sha256(content).hexdigest()}  {name}  {len(content)} ({path.stat().st_size} packed)")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
