#!/usr/bin/env python3
"""Writes the golden values of the optimisers and schedules: `python3 generate.py` (PyTorch; 2.x).

The gradient of element i in step k (from 1) is sin(0.7 k + i) (1 + 0.1 i), whatever the parameters are, so that
each value tests the update alone. Parameter `a.weight` is 2x3, `a.bias` has 2 elements; i runs through both.
"""

import json
import math
import torch

STEPS = [1, 2, 10, 50]


def gradient(step, dtype):
    flat = [math.sin(0.7 * step + i) * (1 + 0.1 * i) for i in range(8)]
    return torch.tensor(flat[:6], dtype=dtype).reshape(2, 3), torch.tensor(flat[6:], dtype=dtype)


def trajectory(make, dtype, clip=None):
    weight = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3).to(dtype).requires_grad_()
    bias = torch.tensor([0.5, -0.25], dtype=dtype).requires_grad_()
    optimizer = make(weight, bias)
    out = []
    for step in range(1, max(STEPS) + 1):
        weight.grad, bias.grad = gradient(step, dtype)
        if clip:
            clip([weight, bias])
        optimizer.step()
        if step in STEPS:
            out.append(weight.detach().flatten().tolist() + bias.detach().tolist())
    return out


def plain(cls, **options):
    return lambda w, b: cls([w, b], **options)


O, U = torch.optim, torch.nn.utils
CASES = {
    "sgd": (plain(O.SGD, lr=0.1), None),
    "sgd_momentum_dampening": (plain(O.SGD, lr=0.1, momentum=0.9, dampening=0.3), None),
    "sgd_nesterov_decay": (plain(O.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01), None),
    "adam": (plain(O.Adam, lr=0.01), None),
    "adam_decay_amsgrad": (plain(O.Adam, lr=0.01, weight_decay=0.1, amsgrad=True), None),
    "adamw": (plain(O.AdamW, lr=0.01, weight_decay=0.1), None),
    "rmsprop": (plain(O.RMSprop, lr=0.01), None),
    "rmsprop_centered_momentum_decay": (
        plain(O.RMSprop, lr=0.01, centered=True, momentum=0.9, weight_decay=0.1), None),
    "adagrad": (plain(O.Adagrad, lr=0.1), None),
    "adagrad_decays_initial": (
        plain(O.Adagrad, lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5), None),
    "adadelta": (plain(O.Adadelta, lr=1.0), None),
    "adadelta_decay": (plain(O.Adadelta, lr=0.5, rho=0.8, weight_decay=0.1), None),
    "groups": (
        lambda w, b: O.SGD([{"params": [w], "weight_decay": 0.1}, {"params": [b], "lr": 1.0}], lr=0.1, momentum=0.5),
        None),
    "clip_norm": (plain(O.SGD, lr=0.1), lambda p: U.clip_grad_norm_(p, 0.5)),
    "clip_value": (plain(O.SGD, lr=0.1), lambda p: U.clip_grad_value_(p, 0.5)),
}

# Learning rates of 12 epochs from a base of 0.5.
S = O.lr_scheduler
SCHEDULES = {
    "constant": lambda o: S.LambdaLR(o, lambda _: 1.0),
    "step:every=3,gamma=0.5": lambda o: S.StepLR(o, 3, 0.5),
    "multi-step:milestones=2+7,gamma=0.1": lambda o: S.MultiStepLR(o, [2, 7], 0.1),
    "exponential:gamma=0.8": lambda o: S.ExponentialLR(o, 0.8),
    "cosine:span=9,floor=0.1": lambda o: S.LambdaLR(
        o, lambda t: 0.1 + 0.9 * (1 + math.cos(math.pi * min(t, 9) / 9)) / 2),
    "cosine": lambda o: S.CosineAnnealingLR(o, 12),
    "polynomial:span=8,power=2": lambda o: S.PolynomialLR(o, 8, 2.0),
    "constant:warmup=4,warmup-start=0.25": lambda o: S.LinearLR(o, 0.25, 1.0, 4),
    "cosine:warmup=4,warmup-start=0.1": lambda o: S.SequentialLR(
        o, [S.LinearLR(o, 0.1, 1.0, 4), S.CosineAnnealingLR(o, 8)], [4]),
    "one-cycle:per=epoch": lambda o: S.OneCycleLR(o, 0.5, 12, cycle_momentum=False),
    "one-cycle:pct-start=0.5,div-factor=10,final-div-factor=100,anneal=linear,per=epoch": lambda o: S.OneCycleLR(
        o, 0.5, 12, pct_start=0.5, div_factor=10, final_div_factor=100, anneal_strategy="linear",
        cycle_momentum=False),
    "one-cycle": lambda o: S.OneCycleLR(o, 0.5, 12 * STEPS_PER_EPOCH, cycle_momentum=False),
    "plateau:patience=1": lambda o: S.ReduceLROnPlateau(o, patience=1),
    "plateau:metric=test_loss,gamma=0.5,patience=0,threshold=0.05,cooldown=2,floor=0.2": (
        lambda o: S.ReduceLROnPlateau(o, factor=0.5, patience=0, threshold=0.05, cooldown=2, min_lr=0.1)),
    "plateau:metric=test_accuracy,gamma=0.5,patience=1": (
        lambda o: S.ReduceLROnPlateau(o, mode="max", factor=0.5, patience=1)),
}
STEPS_PER_EPOCH = 7

# The test loss after each of the epochs; the accuracy is one minus it.
LOSSES = [0.9, 0.8, 0.8, 0.79999, 0.8, 0.6, 0.59, 0.7, 0.58, 0.58, 0.58, 0.58]


def rates(name, make):
    optimizer = O.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler, out = make(optimizer), []
    for loss in LOSSES:
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if name.startswith("plateau"):
            scheduler.step(1 - loss if "accuracy" in name else loss)
            continue
        for _ in range(STEPS_PER_EPOCH if name == "one-cycle" else 1):
            if scheduler.last_epoch + 1 < getattr(scheduler, "total_steps", math.inf):
                scheduler.step()
    return out


def save(name, value):
    with open(name, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=0, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    save("optimizers.json", {
        "steps": STEPS,
        **{name: {"f32": trajectory(make, torch.float32, clip), "f64": trajectory(make, torch.float64, clip)}
           for name, (make, clip) in CASES.items()},
    })
    save("schedules.json", {
        "test_losses": LOSSES,
        "rates": {name: rates(name, make) for name, make in SCHEDULES.items()},
    })
