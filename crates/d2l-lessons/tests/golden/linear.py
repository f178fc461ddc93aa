"""Golden values of the losses of chapter 3, from PyTorch: run it and redirect its output to linear.txt beside it."""

import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.set_printoptions(precision=17)


def line(name, values):
    print(f"{name}: {' '.join(repr(v) for v in values.detach().flatten().tolist())}")


def with_gradient(name, x, loss):
    x = x.clone().requires_grad_()
    values = loss(x)
    values.sum().backward()
    line(name, values)
    line(f"{name} gradient", x.grad)


print(f"# PyTorch {torch.__version__}")
errors = torch.tensor([-3.0, -2.5, -1.0, -0.3, 0.0, 0.3, 1.0, 2.5, 7.0])
zeros = torch.zeros_like(errors)
line("errors", errors)
with_gradient("l2", errors, lambda x: F.mse_loss(x, zeros, reduction="none") / 2)
with_gradient("l1", errors, lambda x: F.l1_loss(x, zeros, reduction="none"))
for delta in (1.0, 2.5):
    with_gradient(
        f"huber {delta:g}", errors, lambda x: F.huber_loss(x, zeros, reduction="none", delta=delta)
    )

logits = torch.tensor([-1e4, -1e4, -30.0, -2.0, -0.5, 0.0, 0.0, 0.7, 3.0, 40.0, 1e4, 1e4])
labels = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
line("logits", logits)
line("labels", labels)
with_gradient("bce", logits, lambda x: F.binary_cross_entropy_with_logits(x, labels, reduction="none"))

scores = torch.tensor([[0.5, -1.0, 2.0], [0.0, 3.0, -0.25], [1.5, 1.5, 1.5]])
classes = torch.tensor([2, 0, 1])
line("scores", scores)
line("classes", classes)
line("softmax", torch.softmax(scores, 1))
with_gradient("cross-entropy", scores, lambda x: F.cross_entropy(x, classes, reduction="none"))
