"""Writes layers_and_optimisers.txt: what PyTorch computes, for the tests of d2l-kernels.

Run as `python layers_and_optimisers.py` with torch installed. One line per array: a name, then its numbers.
Activations are written in NHWC order, as the kernels take them.
"""

import itertools
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(0)
lines = [f"# torch {torch.__version__}"]


def write(name, tensor):
    numbers = torch.as_tensor(tensor, dtype=torch.float32).flatten().tolist()
    lines.append(" ".join([name] + [f"{number:.9g}" for number in numbers]))


def nhwc(tensor):
    return tensor.detach().permute(0, 2, 3, 1).contiguous()


def write_layer(name, x, function, layout=nhwc, parameters=()):
    """Output, and gradients of a fixed weighting of it."""
    x = x.clone().requires_grad_()
    parameters = [parameter.clone().requires_grad_() for parameter in parameters]
    y = function(x, *parameters)
    dy = torch.linspace(-1, 1, y.numel()).reshape(layout(y).shape)
    dy = dy.permute(0, 3, 1, 2) if layout is nhwc else dy
    (y * dy).sum().backward()
    write(f"{name}.y", layout(y.detach()))
    write(f"{name}.dx", layout(x.grad))
    for index, parameter in enumerate(parameters):
        write(f"{name}.dparameter{index}", parameter.grad)


def same(tensor):
    return tensor


# Pooling: batch 2, 3 channels, 7×6; values with ties.
x = (torch.randn(2, 3, 7, 6) * 4).round() / 4
write("pool.x", nhwc(x))
for kernel, stride, padding, ceil in [
    ((2, 2), (2, 2), (0, 0), False),
    ((2, 2), (2, 2), (0, 0), True),
    ((3, 3), (2, 2), (1, 1), False),
    ((3, 3), (2, 2), (1, 1), True),
    ((3, 2), (1, 3), (0, 1), True),
    ((2, 3), (4, 5), (1, 0), True),
    ((5, 4), (3, 1), (2, 2), False),
]:
    name = "".join(map(str, [*kernel, *stride, *padding, int(ceil)]))
    write_layer(f"max.{name}", x, lambda x: F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil))
    for count in (False, True):
        write_layer(
            f"avg.{name}{int(count)}",
            x,
            lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil_mode=ceil, count_include_pad=count),
        )
for size in [(1, 1), (3, 4), (7, 6), (9, 2)]:
    name = "".join(map(str, size))
    write_layer(f"adaptive_max.{name}", x, lambda x: F.adaptive_max_pool2d(x, size))
    write_layer(f"adaptive_avg.{name}", x, lambda x: F.adaptive_avg_pool2d(x, size))

# Output sizes: input, kernel, stride, padding, ceil → output, -1 where PyTorch refuses.
sizes = []
for size, kernel, stride, ceil in itertools.product([1, 2, 5, 8], [1, 2, 3, 5], [1, 2, 4], [False, True]):
    for padding in range(kernel // 2 + 2):
        try:
            y = F.max_pool1d(torch.zeros(1, 1, size), kernel, stride, padding, ceil_mode=ceil)
            out = y.shape[-1]
        except RuntimeError:
            out = -1
        sizes += [size, kernel, stride, padding, int(ceil), out]
write("pool.sizes", sizes)

# Batch norm: 10 rows of 3 channels, one far from zero.
x = torch.randn(10, 3) * torch.tensor([1.0, 0.1, 3.0]) + torch.tensor([0.0, 5.0, -2.0])
gamma, beta = torch.tensor([1.5, -0.5, 1.0]), torch.tensor([0.1, 0.2, -0.3])
write("batch_norm.x", x)
for relu in (False, True):
    after = torch.relu if relu else (lambda y: y)
    mean, variance = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([1.0, 2.0, 0.5])
    infer = lambda x, g, b: after(F.batch_norm(x, mean, variance, g, b, False, 0.1, 1e-5))
    write_layer(f"batch_norm.infer{int(relu)}", x, infer, same, (gamma, beta))
    train = lambda x, g, b: after(F.batch_norm(x, mean, variance, g, b, True, 0.1, 1e-5))
    write_layer(f"batch_norm.train{int(relu)}", x, train, same, (gamma, beta))
    write("batch_norm.running", torch.cat([mean, variance]))

# Local response normalisation: 4 rows of 7 channels.
x = torch.randn(4, 7, 1, 1) * 3
write("lrn.x", nhwc(x))
for size, alpha, beta, k in [(5, 1e-1, 0.75, 2.0), (2, 0.5, 0.5, 1.0), (3, 1.0, 0.6, 1.0), (9, 1e-4, 0.75, 1.0)]:
    write_layer(f"lrn.{size}", x, lambda x: F.local_response_norm(x, size, alpha, beta, k))

# Cross-entropy: 6 rows of 5 classes; class 4 is ignored where that is asked for.
logits = torch.randn(6, 5) * 3
logits[5] *= 3000
target = torch.tensor([0, 4, 2, 1, 4, 3])
weights = torch.tensor([0.5, 1.0, 2.0, 0.1, 3.0])
write("cross_entropy.logits", logits)
for smoothing, weighted, ignore in itertools.product([0.0, 0.1], [False, True], [False, True]):
    options = dict(
        weight=weights if weighted else None, ignore_index=4 if ignore else -100, label_smoothing=smoothing
    )
    name = f"cross_entropy.{int(smoothing > 0)}{int(weighted)}{int(ignore)}"
    write(f"{name}.losses", F.cross_entropy(logits, target, reduction="none", **options))
    z = logits.clone().requires_grad_()
    mean = F.cross_entropy(z, target, **options)
    mean.backward()
    write(f"{name}.mean", mean.detach())
    write(f"{name}.dlogits", z.grad)

# Activations.
x = torch.cat([torch.linspace(-6, 6, 25), torch.tensor([-100.0, -30.0, -12.0, -1e-4, 1e-4, 19.0, 21.0, 50.0])])
write("activation.x", x)
for name, function in {
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "elu": lambda x: F.elu(x, 0.7),
    "softplus": lambda x: F.softplus(x, 2.0, 15.0),
}.items():
    write_layer(f"activation.{name}", x, function, same)

# Optimisers: 50 steps from the same parameters with the same gradients.
start = torch.randn(6)
gradients = torch.randn(50, 6) * torch.tensor([1.0, 1e-3, 10.0, 1.0, 0.1, 1.0]) + torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0, 0.0])
gradients[::3, 5] = 0
write("optim.start", start)
write("optim.gradients", gradients)
O = torch.optim
for name, make in {
    "sgd": lambda p: O.SGD(p, lr=0.1),
    "sgd_decay": lambda p: O.SGD(p, lr=0.1, weight_decay=0.01),
    "sgd_momentum": lambda p: O.SGD(p, lr=0.05, momentum=0.9),
    "sgd_dampening": lambda p: O.SGD(p, lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.01),
    "sgd_nesterov": lambda p: O.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: O.Adam(p, lr=0.01),
    "adam_l2": lambda p: O.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    "adam_amsgrad": lambda p: O.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: O.AdamW(p, lr=0.01, weight_decay=0.1),
    "adamw_amsgrad": lambda p: O.AdamW(p, lr=0.01, amsgrad=True),
    "rms_prop": lambda p: O.RMSprop(p, lr=0.01),
    "rms_prop_momentum": lambda p: O.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.5, weight_decay=0.01),
    "rms_prop_centered": lambda p: O.RMSprop(p, lr=0.01, centered=True, eps=1e-4),
    "rms_prop_both": lambda p: O.RMSprop(p, lr=0.01, centered=True, momentum=0.9, eps=1e-4),
    "adagrad": lambda p: O.Adagrad(p, lr=0.1),
    "adagrad_decay": lambda p: O.Adagrad(p, lr=0.1, lr_decay=0.01, weight_decay=0.01, initial_accumulator_value=0.1),
    "adadelta": lambda p: O.Adadelta(p),
    "adadelta_decay": lambda p: O.Adadelta(p, lr=0.5, rho=0.95, eps=1e-5, weight_decay=0.01),
}.items():
    parameter = start.clone().requires_grad_()
    optimizer = make([parameter])
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    write(f"optim.{name}", parameter.detach())

pathlib.Path(__file__).with_suffix(".txt").write_text("\n".join(lines) + "\n")
