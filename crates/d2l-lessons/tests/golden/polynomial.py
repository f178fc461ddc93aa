"""How far the results of section 4.4 spread: 150 draws of its data, fitted by mini-batch descent side by side."""

from math import factorial

import numpy as np

DRAWS, HALF, NOISE = 150, 100, 0.1
rng = np.random.default_rng(0)
x = rng.normal(size=(DRAWS, 2 * HALF))
features = np.stack([x**i / factorial(i) for i in range(20)], -1)
labels = features[..., :4] @ [5, 1.2, -3.4, 5.6] + NOISE * rng.normal(size=x.shape)


def fit(count, epochs, learning_rate=0.01, batch_size=10):
    train_x, train_y = features[:, :HALF, :count], labels[:, :HALF]
    weight = rng.uniform(-1, 1, (DRAWS, count)) / np.sqrt(count)
    for _ in range(epochs):
        order = np.argsort(rng.random((DRAWS, HALF)), 1)
        for start in range(0, HALF, batch_size):
            rows = order[:, start : start + batch_size]
            xs = np.take_along_axis(train_x, rows[..., None], 1)
            errors = np.einsum("nbd,nd->nb", xs, weight) - np.take_along_axis(train_y, rows, 1)
            weight -= learning_rate * 2 * (xs * errors[..., None]).mean(1)
    errors = np.einsum("nbd,nd->nb", features[..., :count], weight) - labels
    return (errors[:, :HALF] ** 2).mean(1), (errors[:, HALF:] ** 2).mean(1), weight


for count, epochs in [(4, 400), (2, 400), (20, 1500)]:
    train, test, weight = fit(count, epochs)
    for name, values in [("train", train), ("test", test), *((f"weight {i}", weight[:, i]) for i in range(min(count, 4)))]:
        print(count, name, np.percentile(values, [0, 1, 5, 50, 95, 99, 100]))
