"""Measures a training step or a forward pass of one of the book's networks in PyTorch.

usage: torch_step.py NETWORK train|infer nchw|channels_last|compile BATCH SIZE THREADS

Says first {"version": ..., "parameters": ...} or, where the network cannot run this way, {"missing": why}. Then
answers each line of standard input, {"seconds": how long to measure}, with {"seconds": the shortest step,
"peak_memory_bytes": the most memory this process has held}.

The definitions are those of https://d2l.ai, with one input channel and ten classes; vgg11 has a quarter of the
paper's channels, as in the book. A training step is forward, mean cross-entropy, backward and SGD, all in f32.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 10


def softmax():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, CLASSES))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, CLASSES))


def lenet():
    return nn.Sequential(
        *[nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, 2)],
        *[nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2, 2)],
        *[nn.Flatten(), nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid()],
        nn.Linear(84, CLASSES),
    )


def dense_head(features):
    hidden = [nn.Linear(features, 4096), nn.ReLU(), nn.Dropout(0.5)]
    hidden += [nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5)]
    return [nn.Flatten(), *hidden, nn.Linear(4096, CLASSES)]


def alexnet():
    return nn.Sequential(
        *[nn.Conv2d(1, 96, 11, stride=4, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(96, 256, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 384, 3, padding=1), nn.ReLU()],
        *[nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)],
        *dense_head(6400),
    )


def vgg11():
    layers, before = [], 1
    for convolutions, channels in [(1, 16), (1, 32), (2, 64), (2, 128), (2, 128)]:
        for _ in range(convolutions):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
            before = channels
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers, *dense_head(before * 7 * 7))


def nin():
    def block(before, channels, kernel, stride, padding):
        layers = [nn.Conv2d(before, channels, kernel, stride, padding), nn.ReLU()]
        return layers + [nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.ReLU()]

    return nn.Sequential(
        *[*block(1, 96, 11, 4, 0), nn.MaxPool2d(3, 2)],
        *[*block(96, 256, 5, 1, 2), nn.MaxPool2d(3, 2)],
        *[*block(256, 384, 3, 1, 1), nn.MaxPool2d(3, 2), nn.Dropout(0.5)],
        *[*block(384, CLASSES, 3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()],
    )


class Inception(nn.Module):
    def __init__(self, before, path1, path2, path3, path4):
        super().__init__()

        def conv(before, channels, kernel, padding=0):
            return [nn.Conv2d(before, channels, kernel, padding=padding), nn.ReLU()]

        self.path1 = nn.Sequential(*conv(before, path1, 1))
        self.path2 = nn.Sequential(*conv(before, path2[0], 1), *conv(path2[0], path2[1], 3, 1))
        self.path3 = nn.Sequential(*conv(before, path3[0], 1), *conv(path3[0], path3[1], 5, 2))
        self.path4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), *conv(before, path4, 1))

    def forward(self, x):
        return torch.cat((self.path1(x), self.path2(x), self.path3(x), self.path4(x)), 1)


def googlenet():
    def halve():
        return nn.MaxPool2d(3, 2, 1)

    return nn.Sequential(
        *[nn.Conv2d(1, 64, 7, 2, 3), nn.ReLU(), halve()],
        *[nn.Conv2d(64, 64, 1), nn.ReLU(), nn.Conv2d(64, 192, 3, padding=1), nn.ReLU(), halve()],
        Inception(192, 64, (96, 128), (16, 32), 32),
        *[Inception(256, 128, (128, 192), (32, 96), 64), halve()],
        Inception(480, 192, (96, 208), (16, 48), 64),
        Inception(512, 160, (112, 224), (24, 64), 64),
        Inception(512, 128, (128, 256), (24, 64), 64),
        Inception(512, 112, (144, 288), (32, 64), 64),
        *[Inception(528, 256, (160, 320), (32, 128), 128), halve()],
        Inception(832, 256, (160, 320), (32, 128), 128),
        Inception(832, 384, (192, 384), (48, 128), 128),
        *[nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, CLASSES)],
    )


def stem():
    return [nn.Conv2d(1, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]


class Residual(nn.Module):
    def __init__(self, before, channels, halve):
        super().__init__()
        stride = 2 if halve else 1
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.conv3 = nn.Conv2d(before, channels, 1, stride) if halve else None
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.conv3(x) if self.conv3 else x))


def resnet18():
    blocks, before = [], 64
    for stage, channels in enumerate([64, 128, 256, 512]):
        blocks += [Residual(before, channels, stage > 0), Residual(channels, channels, False)]
        before = channels
    return nn.Sequential(*stem(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, CLASSES))


def normed(before, conv):
    return [nn.BatchNorm2d(before), nn.ReLU(), conv]


class DenseBlock(nn.Module):
    def __init__(self, before, convolutions, growth):
        super().__init__()
        widths = [before + n * growth for n in range(convolutions)]
        convs = [nn.Sequential(*normed(width, nn.Conv2d(width, growth, 3, padding=1))) for width in widths]
        self.convs = nn.ModuleList(convs)

    def forward(self, x):
        for conv in self.convs:
            x = torch.cat((x, conv(x)), 1)
        return x


def densenet():
    layers, channels, growth = stem(), 64, 32
    for block in range(4):
        layers.append(DenseBlock(channels, 4, growth))
        channels += 4 * growth
        if block < 3:
            layers += [*normed(channels, nn.Conv2d(channels, channels // 2, 1)), nn.AvgPool2d(2, 2)]
            channels //= 2
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(), *head)


NETWORKS = [softmax, mlp, lenet, alexnet, vgg11, nin, googlenet, resnet18, densenet]


def build(name, task, mode, batch, size):
    """The network, and the step to measure."""
    torch.manual_seed(0)
    network = next(network for network in NETWORKS if network.__name__ == name)()
    xs, ys = torch.rand(batch, 1, size, size), torch.arange(batch) % CLASSES
    if mode == "channels_last":
        network, xs = network.to(memory_format=torch.channels_last), xs.contiguous(memory_format=torch.channels_last)
    run = torch.compile(network) if mode == "compile" else network
    if task == "infer":
        network.eval()

        @torch.inference_mode()
        def infer():
            run(xs)

        return network, infer
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)

    def train():
        optimizer.zero_grad()
        F.cross_entropy(run(xs), ys).backward()
        optimizer.step()

    return network, train


def peak_memory_bytes():
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def measure(step, seconds):
    """The shortest of the steps that fit in `seconds`; at least three."""
    start, shortest, steps = time.perf_counter(), float("inf"), 0
    while steps < 3 or time.perf_counter() - start < seconds:
        step_start = time.perf_counter()
        step()
        shortest = min(shortest, time.perf_counter() - step_start)
        steps += 1
    return shortest


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    name, task, mode, batch, size, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    try:
        network, step = build(name, task, mode, int(batch), int(size))
        for _ in range(3):
            step()
    except Exception as error:
        say({"missing": f"{type(error).__name__}: {error}".splitlines()[0]})
        return
    say({"version": torch.__version__, "parameters": sum(p.numel() for p in network.parameters())})
    for line in sys.stdin:
        seconds = measure(step, json.loads(line)["seconds"])
        say({"seconds": seconds, "peak_memory_bytes": peak_memory_bytes()})


if __name__ == "__main__":
    main()
