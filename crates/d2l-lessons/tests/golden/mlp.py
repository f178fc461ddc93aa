"""Golden values of chapter 4, from PyTorch: run it and redirect its output to mlp.txt beside it."""

import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)


def line(name, values):
    print(f"{name}: {' '.join(repr(v) for v in values.detach().flatten().tolist())}")


def with_gradient(name, x, function):
    x = x.clone().requires_grad_()
    values = function(x)
    values.sum().backward()
    line(name, values)
    line(f"{name} gradient", x.grad)


print(f"# PyTorch {torch.__version__}")
x = torch.tensor([-1e4, -30.0, -2.5, -1.0, -0.1, 0.0, 0.1, 1.0, 2.5, 30.0, 1e4])
line("x", x)
with_gradient("sigmoid", x, torch.sigmoid)
with_gradient("tanh", x, torch.tanh)
with_gradient("relu", x, torch.relu)
with_gradient("prelu", x, lambda x: F.prelu(x, torch.tensor(0.25)))

logits = torch.tensor([[0.5, -1.0, 2.0], [1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [800.0, 801.0, 799.0]])
classes = torch.tensor([2, 1, 2, 0])
line("logits", logits)
line("classes", classes)
with_gradient("cross-entropy", logits, lambda x: F.cross_entropy(x, classes, reduction="none"))
