#!/usr/bin/env python3
"""Makes house_prices_columns.csv and house_prices_rows.csv: what pandas and the book's code (section
4.10) make of Kaggle's two files.

    python3 house_prices.py DIRECTORY_WITH_THE_TWO_CSV_FILES

Made with pandas 3.1.1. The book was written with a version that did not take `None` for a missing
value; the list here is that version's. Of every column: its name, the sum, the sum of squares and
the sum of value times row number (from 1) over all rows; so an exchanged row would show. Of six
rows all values.
"""

import csv
import pathlib
import sys

import numpy as np
import pandas as pd

MISSING = ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND",
           "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null"]
ROWS = [0, 1, 729, 1459, 1460, 2918]


def main(source: pathlib.Path) -> None:
    read = lambda name: pd.read_csv(source / name, keep_default_na=False, na_values=MISSING)
    train, test = read("kaggle_house_pred_train.csv"), read("kaggle_house_pred_test.csv")
    features = pd.concat((train.iloc[:, 1:-1], test.iloc[:, 1:]))
    numeric = features.select_dtypes("number").columns
    features[numeric] = features[numeric].apply(lambda x: (x - x.mean()) / x.std())
    features[numeric] = features[numeric].fillna(0)
    features = pd.get_dummies(features, dummy_na=True)
    assert features.shape == (2919, 331), features.shape
    values = features.to_numpy().astype(np.float64)
    here = pathlib.Path(__file__).resolve().parent
    number = np.arange(1, len(values) + 1)
    with open(here / "house_prices_columns.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["name", "sum", "squares", "by_row"])
        for name, column in zip(features.columns, values.T):
            out.writerow([name, repr(float(column.sum())), repr(float((column**2).sum())), repr(float((column * number).sum()))])
    with open(here / "house_prices_rows.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["row"] + [f"f{i}" for i in range(331)])
        for row in ROWS:
            out.writerow([row] + [f"{x:.9g}" for x in values[row]])


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
