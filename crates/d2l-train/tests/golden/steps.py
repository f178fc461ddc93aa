#!/usr/bin/env python3
"""Writes steps.json, golden values of whole steps: `python3 steps.py` (PyTorch 2.x).

Two linear layers with a ReLU between them; 10 examples in batches of 4, 4 and 2, two of which make a step, so that an
epoch has a step of 8 and one of 2. Cross-entropy with class weights and label smoothing; SGD with momentum, weight
decay on the weights alone, half the rate for the first layer, the first layer's bias frozen; gradients clipped by
norm; an exponential moving average of the weights. Element i of tensor k is sin(1 + 3k + 0.7i).
"""

import json
import math

import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

EXAMPLES, BATCH, ACCUMULATE, EPOCHS = 10, 4, 2, 3
SHAPES = {"hidden.weight": (5, 4), "hidden.bias": (5,), "output.weight": (3, 5), "output.bias": (3,)}
CLASS_WEIGHTS, SMOOTHING, CLIP, DECAY = [0.5, 1.0, 3.0], 0.1, 0.4, 0.8


def values(k, shape):
    flat = [math.sin(1 + 3 * k + 0.7 * i) for i in range(math.prod(shape))]
    return torch.tensor(flat, dtype=torch.float64).reshape(shape)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.output = torch.nn.Linear(4, 5), torch.nn.Linear(5, 3)

    def forward(self, xs):
        return self.output(F.relu(self.hidden(xs)))


def main():
    net = Net().double()
    named = dict(net.named_parameters())
    with torch.no_grad():
        for k, (name, shape) in enumerate(SHAPES.items()):
            named[name].copy_(values(k, shape))
    named["hidden.bias"].requires_grad_(False)
    groups = [
        {"params": [named["hidden.weight"]], "lr": 0.15, "weight_decay": 0.1},
        {"params": [named["output.weight"]], "weight_decay": 0.1},
        {"params": [named["output.bias"]]},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.3, momentum=0.9)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    xs, ys = values(9, (EXAMPLES, 4)), torch.tensor([i % 3 for i in range(EXAMPLES)])
    weights = torch.tensor(CLASS_WEIGHTS, dtype=torch.float64)
    norms, steps = [], []
    for _ in range(EPOCHS):
        for start in range(0, EXAMPLES, BATCH * ACCUMULATE):
            end = min(start + BATCH * ACCUMULATE, EXAMPLES)
            optimizer.zero_grad()
            for at in range(start, end, BATCH):
                part = slice(at, min(at + BATCH, end))
                loss = F.cross_entropy(net(xs[part]), ys[part], weights, reduction="sum", label_smoothing=SMOOTHING)
                # What the mean of the whole step divides by.
                (loss / weights[ys[start:end]].sum()).backward()
            norms.append(torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP).item())
            optimizer.step()
            average.update_parameters(net)
            steps.append({name: p.detach().flatten().tolist() for name, p in named.items()})
    golden = {
        "norms": norms,
        "steps": steps,
        "average": {name: p.detach().flatten().tolist() for name, p in average.module.named_parameters()},
    }
    with open("steps.json", "w", encoding="utf-8") as file:
        json.dump(golden, file, indent=0, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
