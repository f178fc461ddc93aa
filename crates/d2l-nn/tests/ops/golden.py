"""Writes golden.json: what PyTorch computes for the operations of d2l_nn::ops, outputs and gradients, in float64.

Usage: python golden.py > golden.json      (made with PyTorch 2.15)

Each case has the operation, its options, the shapes of its inputs, and per input the numbers `[seed, modulus]` of
which both sides make the same elements: element i is ((37 i + 101 seed) mod modulus) / 100 - 0.99. A small modulus
gives equal elements, which a maximum must choose between. The loss is sum(output * weights), with the weights made
the same way from seed 9.
"""

import json

import torch
import torch.nn.functional as F


def tensor(shape, seed, modulus=199):
    count = 1
    for size in shape:
        count *= size
    elements = [((37 * i + 101 * seed) % modulus) / 100 - 0.99 for i in range(count)]
    return torch.tensor(elements, dtype=torch.float64).reshape(shape)


def numbers(values):
    return [float(f"{value:.9g}") for value in values.detach().flatten().tolist()]


cases = []


def case(op, function, inputs, options=None, constants=None, **extra):
    """inputs: [(shape, seed, modulus)]; function takes them as tensors."""
    tensors = [tensor(*given).requires_grad_() for given in inputs]
    output = function(*tensors)
    (output * tensor(output.shape, 9)).sum().backward()
    cases.append(
        dict(
            op=op,
            options=options or {},
            inputs=[dict(shape=list(shape), seed=seed, modulus=modulus) for shape, seed, modulus in inputs],
            shape=list(output.shape),
            output=numbers(output),
            gradients=[numbers(given.grad) for given in tensors],
            **extra,
        )
    )


# Convolutions: square; one axis differs in everything; groups; depthwise; padding above the kernel; stride above
# the kernel; more channels than a register.
for xs, weight, stride, padding, dilation, groups, bias in [
    ((2, 3, 5, 5), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1, True),
    ((1, 2, 7, 6), (3, 2, 3, 2), (2, 1), (0, 2), (1, 3), 1, False),
    ((2, 4, 4, 5), (6, 2, 2, 3), (1, 2), (1, 0), (1, 1), 2, True),
    ((1, 3, 4, 4), (3, 1, 3, 3), (1, 1), (1, 1), (1, 1), 3, True),
    ((1, 2, 3, 3), (2, 2, 2, 2), (1, 1), (3, 2), (1, 1), 1, True),
    ((1, 2, 8, 7), (2, 2, 2, 1), (5, 3), (0, 0), (1, 1), 1, False),
    ((1, 17, 2, 3), (18, 17, 1, 1), (1, 1), (0, 0), (1, 1), 1, True),
    ((1, 1, 6, 6), (2, 1, 5, 5), (1, 1), (2, 2), (1, 1), 1, True),
]:
    for relu in [False, True]:
        if relu and groups == 1 and dilation == (1, 1) and padding != (1, 1):
            continue
        inputs = [(xs, 1, 199), (weight, 2, 97)] + ([((weight[0],), 3, 199)] if bias else [])

        def convolve(xs, weight, bias=None):
            ys = F.conv2d(xs, weight, bias, stride, padding, dilation, groups)
            return F.relu(ys) if relu else ys

        options = dict(stride=stride, padding=padding, dilation=dilation, groups=groups, relu=relu)
        case("conv2d", convolve, inputs, options)

case("linear", F.linear, [((3, 5), 1, 199), ((4, 5), 2, 97), ((4,), 3, 199)])
case("linear", F.linear, [((2, 3, 5), 1, 199), ((2, 5), 2, 97)])

pools = [
    dict(kernel=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False),
    dict(kernel=(3, 3), stride=(2, 2), padding=(1, 1), ceil_mode=False),
    dict(kernel=(3, 2), stride=(2, 3), padding=(1, 0), ceil_mode=True),
    dict(kernel=(2, 3), stride=(3, 1), padding=(1, 1), ceil_mode=True),
    dict(kernel=(1, 2), stride=(3, 4), padding=(0, 1), ceil_mode=False),
    dict(kernel=(3, 3), stride=(3, 3), padding=(1, 1), ceil_mode=True),
]
for pool in pools:
    for shape, modulus in [((1, 2, 5, 7), 199), ((2, 1, 6, 5), 4)]:
        arguments = [pool["kernel"], pool["stride"], pool["padding"]]
        ceil = pool["ceil_mode"]
        case("max_pool2d", lambda xs: F.max_pool2d(xs, *arguments, 1, ceil), [(shape, 1, modulus)], pool)
        for include in [True, False]:
            options = dict(pool, count_include_pad=include)
            if modulus != 199:
                continue
            case("avg_pool2d", lambda xs: F.avg_pool2d(xs, *arguments, ceil, include), [(shape, 1, modulus)], options)
for shape, output in [((1, 2, 5, 7), (2, 3)), ((1, 3, 4, 4), (1, 1)), ((1, 1, 3, 2), (5, 3))]:
    options = dict(output=output)
    case("adaptive_avg_pool2d", lambda xs: F.adaptive_avg_pool2d(xs, output), [(shape, 1, 199)], options)
    case("adaptive_max_pool2d", lambda xs: F.adaptive_max_pool2d(xs, output), [(shape, 1, 5)], options)

for shape in [(4, 3), (2, 3, 2, 2)]:
    for train in [True, False]:
        for relu in [False, True]:
            mean, variance = tensor((3,), 4), tensor((3,), 5).abs() + 0.5

            def normalise(xs, gamma, beta):
                ys = F.batch_norm(xs, mean, variance, gamma, beta, train, 0.3, 1e-3)
                return F.relu(ys) if relu else ys

            inputs = [(shape, 1, 199), ((3,), 2, 199), ((3,), 3, 199)]
            case("batch_norm", normalise, inputs, dict(train=train, relu=relu, momentum=0.3, eps=1e-3))
            cases[-1]["running_mean"], cases[-1]["running_var"] = numbers(mean), numbers(variance)

for channels, size, alpha, beta, k in [(6, 5, 1e-4, 0.75, 2.0), (5, 2, 0.5, 0.5, 1.0), (2, 5, 0.9, 1.5, 0.3)]:
    case(
        "local_response_norm",
        lambda xs: F.local_response_norm(xs, size, alpha, beta, k),
        [((1, channels, 2, 2), 1, 199)],
        dict(size=size, alpha=alpha, beta=beta, k=k),
    )

for smoothing in [0.0, 0.1]:
    for weighted in [False, True]:
        for ignore in [None, 2]:
            for reduction in ["mean", "sum", "none"]:
                labels = torch.tensor([1, 2, 0, 3, 2])
                weight = tensor((4,), 5).abs() + 0.25 if weighted else None
                case(
                    "cross_entropy",
                    lambda logits: F.cross_entropy(
                        logits,
                        labels,
                        weight,
                        ignore_index=-100 if ignore is None else ignore,
                        reduction=reduction,
                        label_smoothing=smoothing,
                    ),
                    [((5, 4), 1, 199)],
                    dict(labels=labels.tolist(), weighted=weighted, ignore=ignore, reduction=reduction, smoothing=smoothing),
                )
                if smoothing == 0:
                    case(
                        "nll_loss",
                        lambda logs: F.nll_loss(
                            logs, labels, weight, ignore_index=-100 if ignore is None else ignore, reduction=reduction
                        ),
                        [((5, 4), 1, 199)],
                        dict(labels=labels.tolist(), weighted=weighted, ignore=ignore, reduction=reduction, smoothing=0),
                    )
        probabilities = F.softmax(tensor((5, 4), 6), 1)
        case(
            "cross_entropy_probabilities",
            lambda logits: F.cross_entropy(logits, probabilities, weight, label_smoothing=smoothing),
            [((5, 4), 1, 199)],
            dict(probabilities=numbers(probabilities), weighted=weighted, smoothing=smoothing),
        )

activations = dict(
    relu=F.relu,
    sigmoid=torch.sigmoid,
    tanh=torch.tanh,
    gelu=F.gelu,
    gelu_tanh=lambda xs: F.gelu(xs, approximate="tanh"),
    leaky_relu=lambda xs: F.leaky_relu(xs, 0.2),
    silu=F.silu,
    elu=lambda xs: F.elu(xs, 0.7),
    softplus=F.softplus,
)
for name, function in activations.items():
    # Times 7, so that the elements go from -7 to 7, with 0 among them.
    case(name, lambda xs: function(xs * 7), [((3, 8), 1, 199)])
case("softmax", lambda xs: F.softmax(xs * 7, 1), [((2, 5, 2), 1, 199)])
case("log_softmax", lambda xs: F.log_softmax(xs * 7, 1), [((2, 5, 2), 1, 199)])

losses = dict(
    mse_loss=F.mse_loss,
    l1_loss=F.l1_loss,
    huber_loss=lambda xs, targets: F.huber_loss(xs, targets, delta=0.4),
    bce_with_logits=F.binary_cross_entropy_with_logits,
    hinge_loss=lambda xs, targets: F.margin_ranking_loss(xs, torch.zeros_like(xs), targets, margin=1.0),
)
for name, function in losses.items():
    case(name, function, [((3, 4), 1, 199), ((3, 4), 2, 199)])

print("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]")
