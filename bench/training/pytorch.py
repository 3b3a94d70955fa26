"""PyTorch's side of `nn/benches/training.rs`: the same convolutions and networks, forward and backward.

Prints the median CPU time of a step in milliseconds, and the median time on the wall, after the name that the other side
uses. `OMP_WAIT_POLICY=passive` keeps threads that wait for each other from counting as work.
"""

import argparse
import statistics
import time

import torch
from torch import nn
from torch.nn import functional

BATCH, HEIGHT, WIDTH = 4, 128, 416
# Channels that are read and made, kernel, stride, height and width of the input.
CONVOLUTIONS = [
    (3, 32, 7, 2, 128, 416),
    (32, 32, 7, 1, 64, 208),
    (32, 64, 5, 2, 64, 208),
    (64, 64, 5, 1, 32, 104),
    (64, 128, 3, 2, 32, 104),
    (128, 128, 3, 1, 16, 52),
    (256, 256, 3, 1, 8, 26),
    (512, 512, 3, 1, 4, 13),
    (512, 512, 3, 1, 1, 4),
    (129, 64, 3, 1, 32, 104),
    (65, 32, 3, 1, 64, 208),
    (17, 16, 3, 1, 128, 416),
    (16, 1, 3, 1, 128, 416),
    (96, 32, 3, 1, 64, 208),
    (32, 16, 3, 1, 128, 416),
]


def convolution(read, made, kernel, stride):
    return nn.Conv2d(read, made, kernel, stride, kernel // 2)


class DispNet(nn.Module):
    """Five of the seven steps of SfMLearner's network."""

    def __init__(self):
        super().__init__()
        down, up = [(32, 7), (64, 5), (128, 3), (256, 3), (512, 3)], [256, 128, 64, 32, 16]
        self.down, self.up, self.merge, self.disparity = (nn.ModuleList() for _ in range(4))
        read = 3
        for made, kernel in down:
            self.down.append(convolution(read, made, kernel, 2))
            self.down.append(convolution(made, made, kernel, 1))
            read = made
        for level, made in enumerate(up):
            self.up.append(nn.ConvTranspose2d(read, made, 3, 2, 1, 1))
            skip = down[3 - level][0] if level < 4 else 0
            self.merge.append(convolution(made + skip + (level > 1), made, 3, 1))
            if level:
                self.disparity.append(convolution(made, 1, 3, 1))
            read = made

    def forward(self, x):
        skips, disparities = [], []
        for index, layer in enumerate(self.down):
            x = functional.relu(layer(x))
            if index % 2 and index < 8:
                skips.append(x)
        for level, (up, merge) in enumerate(zip(self.up, self.merge)):
            parts = [functional.relu(up(x))]
            if skips:
                parts.append(skips.pop())
            if disparities:
                parts.append(functional.interpolate(disparities[-1], scale_factor=2, mode="nearest"))
            x = functional.relu(merge(torch.cat(parts, 1)))
            if level:
                disparities.append(torch.sigmoid(self.disparity[level - 1](x)))
        return disparities


class Light(nn.Module):
    """A small encoder with batch normalisation, and a decoder of nearest upsampling and ELU."""

    def __init__(self):
        super().__init__()
        down, up = [16, 32, 64, 96, 128], [128, 64, 32, 32, 16]
        self.down, self.up, self.merge, self.disparity = (nn.ModuleList() for _ in range(4))
        read = 3
        for made in down:
            for stride in (2, 1):
                plain = nn.Conv2d(read, made, 3, stride, 1, bias=False)
                self.down.append(nn.Sequential(plain, nn.BatchNorm2d(made), nn.ReLU(inplace=True)))
                read = made
        for level, made in enumerate(up):
            self.up.append(convolution(read, made, 3, 1))
            self.merge.append(convolution(made + (down[3 - level] if level < 4 else 0), made, 3, 1))
            if level:
                self.disparity.append(convolution(made, 1, 3, 1))
            read = made

    def forward(self, x):
        skips, disparities = [], []
        for index, layer in enumerate(self.down):
            x = layer(x)
            if index % 2 and index < 8:
                skips.append(x)
        for level, (up, merge) in enumerate(zip(self.up, self.merge)):
            parts = [functional.interpolate(functional.elu(up(x)), scale_factor=2, mode="nearest")]
            if skips:
                parts.append(skips.pop())
            x = functional.elu(merge(torch.cat(parts, 1)))
            if level:
                disparities.append(torch.sigmoid(self.disparity[level - 1](x)))
        return disparities


def step(network, image):
    outputs = network(image)
    outputs = outputs if isinstance(outputs, list) else [functional.relu(outputs)]
    sum(output.mean() for output in outputs).backward()


def report(name, network, image, steps):
    network.train()
    times = []
    for _ in range(steps + 2):
        wall, cpu = time.perf_counter(), time.process_time()
        step(network, image)
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = (statistics.median(side) * 1e3 for side in zip(*times[2:]))
    print(f"{name:32} {cpu:9.2f} CPU ms {wall:9.2f} ms", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--only", default="", help="part of the names")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    cases = [("DispNet", DispNet(), torch.rand(BATCH, 3, HEIGHT, WIDTH))]
    cases.append(("light", Light(), torch.rand(BATCH, 3, HEIGHT, WIDTH)))
    for read, made, kernel, stride, height, width in CONVOLUTIONS:
        name = f"{read} to {made}, {kernel}x{kernel} by {stride}, {width}x{height}"
        image = torch.rand(BATCH, read, height, width, requires_grad=True)
        cases.append((name, convolution(read, made, kernel, stride), image))
    for name, network, image in cases:
        if arguments.only in name:
            report(name, network, image, arguments.steps)


if __name__ == "__main__":
    main()
