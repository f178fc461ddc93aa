"""Measures PyTorch on the cases of kernel-bench.

usage: torch_kernels.py THREADS

Reads requests from standard input, one JSON value per line ({"case": ..., "variant": "nchw" | "channels_last",
"seconds": ...}), and answers each with {"seconds": best time of one run}. See src/lib.rs for the fields of a case.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F

aten = torch.ops.aten


def best(seconds, run):
    """The shortest of the runs that fit in `seconds`, after one to warm up; at least three."""
    run()
    start, shortest, runs = time.perf_counter(), float("inf"), 0
    while runs < 3 or time.perf_counter() - start < seconds:
        run_start = time.perf_counter()
        run()
        shortest = min(shortest, time.perf_counter() - run_start)
        runs += 1
    return shortest


def conv(layer, pass_, memory_format):
    size, kernel, stride, padding = (layer[key] for key in ("size", "kernel", "stride", "padding"))
    x = torch.randn(layer["batch"], layer["in_channels"], size, size).contiguous(memory_format=memory_format)
    weight = torch.randn(layer["out_channels"], layer["in_channels"], kernel, kernel)
    weight = weight.contiguous(memory_format=memory_format)
    dy = torch.randn_like(F.conv2d(x, weight, None, stride, padding)).contiguous(memory_format=memory_format)
    if pass_ == "forward":
        return lambda: F.conv2d(x, weight, None, stride, padding)
    wanted = [pass_ == "grad_input", pass_ == "grad_weight", False]
    return lambda: aten.convolution_backward(
        dy, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, wanted
    )


def linear(layer, pass_):
    x = torch.randn(layer["batch"], layer["in_features"])
    weight = torch.randn(layer["out_features"], layer["in_features"])
    dy = torch.randn(layer["batch"], layer["out_features"])
    return {
        "forward": lambda: F.linear(x, weight),
        "grad_input": lambda: dy @ weight,
        "grad_weight": lambda: dy.t() @ x,
    }[pass_]


def picture(layer, memory_format):
    x = torch.randn(layer["batch"], layer["channels"], layer["size"], layer["size"])
    return x.contiguous(memory_format=memory_format)


def max_pool(layer, pass_, memory_format):
    kernel, stride, padding = ([layer[key]] * 2 for key in ("kernel", "stride", "padding"))
    x = picture(layer, memory_format)
    y, argmax = aten.max_pool2d_with_indices(x, kernel, stride, padding)
    dy = torch.randn_like(y)
    if pass_ == "forward":
        return lambda: aten.max_pool2d_with_indices(x, kernel, stride, padding)
    return lambda: aten.max_pool2d_with_indices_backward(dy, x, kernel, stride, padding, [1, 1], False, argmax)


def avg_pool(layer, pass_, memory_format):
    kernel, stride, padding = ([layer[key]] * 2 for key in ("kernel", "stride", "padding"))
    x = picture(layer, memory_format)
    dy = torch.randn_like(F.avg_pool2d(x, kernel, stride, padding))
    if pass_ == "forward":
        return lambda: F.avg_pool2d(x, kernel, stride, padding)
    return lambda: aten.avg_pool2d_backward(dy, x, kernel, stride, padding, False, True, None)


def batch_norm(layer, pass_, memory_format):
    x = picture(layer, memory_format)
    gamma, beta = torch.ones(layer["channels"]), torch.zeros(layer["channels"])
    y, mean, inv_std = aten.native_batch_norm(x, gamma, beta, None, None, True, 0.1, 1e-5)
    dy = torch.randn_like(y)

    def forward():
        y = aten.native_batch_norm(x, gamma, beta, None, None, True, 0.1, 1e-5)[0]
        return y.relu_() if layer["relu"] else y

    def backward():
        d = aten.threshold_backward(dy, y, 0) if layer["relu"] else dy
        return aten.native_batch_norm_backward(
            d, x, gamma, None, None, mean, inv_std, True, 1e-5, [True, True, True]
        )

    return forward if pass_ == "forward" else backward


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.set_grad_enabled(False)
    kinds = {"conv": conv, "max_pool": max_pool, "avg_pool": avg_pool, "batch_norm": batch_norm}
    for line in sys.stdin:
        request = json.loads(line)
        layer, pass_ = request["case"]["layer"], request["case"]["pass"]
        if layer["kind"] == "linear":
            run = linear(layer, pass_)
        else:
            channels_last = request["variant"] == "channels_last"
            memory_format = torch.channels_last if channels_last else torch.contiguous_format
            run = kinds[layer["kind"]](layer, pass_, memory_format)
        print(json.dumps({"seconds": best(request["seconds"], run)}), flush=True)


if __name__ == "__main__":
    main()
