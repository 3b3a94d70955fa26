"""PyTorch's side of the test that our training computes what the papers say, `vo/src/train/trainer/faithfulness.rs`.

Losses are written from the equations of the papers, another way than ours are where there is one. Prints, for each recipe,
as the test has them: the terms (photometric, smoothness, consistency, explainability) for predictions by a formula, and the losses of six
steps of networks whose weights are made by a formula, all on the same batch.

    python faithfulness.py [--float32]

The numbers in the test are those of 64 bits; `--float32` shows what rounding does to them.

Papers: Zhou et al., CVPR 2017 (sfmlearner; explained: with its masks, its Euler angles and a pose network of three images);
Godard et al., ICCV 2019 (monodepth2); Bian et al., NeurIPS 2019 (sc); Yin and Shi, CVPR 2018 (there_and_back: sc with
GeoNet's agreement of flows).
"""

import argparse
import math

import torch
from torch import nn
from torch.nn import functional

BATCH = 2
# Height and width of images that networks see, and of those with predictions by formula: so small that in 32 bits, too, no
# pixel's error is as good as that of a still camera.
SIZE, SMALL = (64, 96), (32, 48)
STEPS, LEARNING_RATE = 6, 1e-3
INVERSE_DEPTHS = (0.05, 5.0)
POSE_UNIT = 0.01
# Each image's fx, fy, cx, cy.
CAMERAS = [[70.0, 72.0, 47.0, 31.0], [60.0, 61.5, 48.5, 32.25]]


# ---- Formulas that both sides share.


def scattered(first, count):
    """Numbers between -1 and 1, without order, one for each index from `first` on."""
    x = torch.arange(first, first + count, dtype=torch.int64)
    for factor in (0x9E3779B1, 0x85EBCA6B):
        x = (x * factor) & 0xFFFFFFFF
        x = x ^ (x >> 15)
    return x.double() / 2**31 - 1


def rounded(values):
    """As 32 bits hold them: what both sides begin with is the same to the last bit."""
    return values.float().to(torch.get_default_dtype())


def fill(parameters, first):
    """Filters by He's deviation for what they read, gammas around 1, betas and biases around 0. Returns the next index."""
    for name, parameter in parameters:
        count = parameter.numel()
        values = scattered(first, count)
        if parameter.dim() == 4:
            values = values * math.sqrt(6 / parameter[0].numel())
        else:
            values = values * 0.1 + (1 if name == "gamma" else 0)
        parameter.data = rounded(values).view(parameter.shape)
        first += count
    return first


def images(time, size):
    """A plane of waves that passes by, a little faster in its lower half, with channels of its own: between 0 and 1."""
    n, c, y, x = (torch.arange(count, dtype=torch.float64) for count in (BATCH, 3, *size))
    n, c, y, x = torch.meshgrid(n, c, y, x, indexing="ij")
    x = x + (0.8 + 0.01 * y) * time + 5 * n
    waves = 0.22 * torch.sin(0.31 * x + 0.17 * y + c) + 0.18 * torch.sin(0.05 * x * (1 + 0.2 * c) - 0.23 * y + 2 * n)
    return rounded(0.5 + waves + 0.06 * torch.sin(0.9 * x + 0.7 * y))


# ---- Networks.


class Layers:
    """Makes layers and keeps what they learn, in the order in which they are made."""

    def __init__(self):
        self.parameters = []

    def keep(self, name, shape):
        parameter = nn.Parameter(torch.zeros(shape))
        self.parameters.append((name, parameter))
        return parameter

    def convolution(self, read, made, kernel, stride=1, groups=1, bias=False):
        weight = self.keep("weight", (made, read // groups, kernel, kernel))
        offset = self.keep("bias", (made,)) if bias else None
        return lambda x: functional.conv2d(x, weight, offset, stride, kernel // 2, groups=groups)

    def upconvolution(self, read, made, kernel):
        weight, offset = self.keep("weight", (read, made, kernel, kernel)), self.keep("bias", (made,))
        return lambda x: functional.conv_transpose2d(x, weight, offset, 2, kernel // 2, output_padding=1)

    def norm(self, channels):
        gamma, beta = self.keep("gamma", (channels,)), self.keep("beta", (channels,))
        return lambda x: functional.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-5)

    def convolution_norm(self, read, made, kernel, stride=1, groups=1, relu6=True):
        convolution, norm = self.convolution(read, made, kernel, stride, groups), self.norm(made)
        return lambda x: functional.relu6(norm(convolution(x))) if relu6 else norm(convolution(x))

    def depthwise_norm(self, channels, stride=1):
        return self.convolution_norm(channels, channels, 3, stride, groups=channels)


class Depth:
    """Three halvings, and a way back up behind nearest upsampling that adds what was seen; logits at four scales."""

    def __init__(self):
        layers = Layers()
        self.first = layers.convolution_norm(3, 8, 3, 2)
        self.look, self.mix = layers.depthwise_norm(8, 2), layers.convolution_norm(8, 16, 1)
        self.last = layers.convolution_norm(16, 24, 3, 2)
        self.heads, self.levels = [layers.convolution(24, 1, 1, bias=True)], []
        read = 24
        for made, skip in ((16, 16), (12, 8), (8, None)):
            narrow = layers.convolution_norm(read, made, 1)
            lateral = layers.convolution_norm(skip, made, 1, relu6=False) if skip else None
            self.levels.append((narrow, lateral, layers.convolution_norm(made, made, 3)))
            self.heads.append(layers.convolution(made, 1, 1, bias=True))
            read = made
        self.parameters = layers.parameters

    def __call__(self, x):
        """Logits, the finest first."""
        half = self.first(x)
        quarter = self.mix(self.look(half))
        x = self.last(quarter)
        logits = [self.heads[0](x)]
        for (narrow, lateral, mix), head, skip in zip(self.levels, self.heads[1:], (quarter, half, None)):
            x = functional.interpolate(narrow(x), scale_factor=2, mode="nearest")
            x = mix(x + lateral(skip) if lateral else x)
            logits.append(head(x))
        return logits[::-1]


class Pose:
    """Two halvings of two images; the motion is the mean over all places."""

    def __init__(self):
        layers = Layers()
        self.first = layers.convolution_norm(6, 8, 3, 2)
        self.look, self.mix = layers.depthwise_norm(8, 2), layers.convolution_norm(8, 16, 1)
        self.heads = [layers.convolution(16, 3, 1, bias=True) for _ in range(2)]
        self.parameters = layers.parameters

    def __call__(self, x):
        x = self.mix(self.look(self.first(x)))
        return [POSE_UNIT * head(x).mean((2, 3)) for head in self.heads]


class PoseExplained:
    """Three halvings of the middle image, the one before and the one after; motions to both, and masks at four scales."""

    def __init__(self):
        layers = Layers()
        self.first = layers.convolution_norm(9, 8, 3, 2)
        self.look, self.mix = layers.depthwise_norm(8, 2), layers.convolution_norm(8, 16, 1)
        self.last = layers.convolution_norm(16, 24, 3, 2)
        self.motions = layers.convolution(24, 12, 1, bias=True)
        self.heads, self.levels = [layers.convolution(24, 4, 3, bias=True)], []
        read = 24
        for made, kernel in ((16, 3), (12, 5), (8, 7)):
            self.levels.append(layers.upconvolution(read, made, kernel))
            self.heads.append(layers.convolution(made, 4, kernel, bias=True))
            read = made
        self.parameters = layers.parameters

    def __call__(self, x):
        """Translations and angles to the image before and to the one after, and logits, the finest scale first."""
        x = self.last(self.mix(self.look(self.first(x))))
        motions = POSE_UNIT * self.motions(x).mean((2, 3))
        logits = [self.heads[0](x)]
        for level, head in zip(self.levels, self.heads[1:]):
            x = functional.relu(level(x))
            logits.append(head(x))
        return motions.split(3, 1), logits[::-1]


# ---- Geometry.


def motion(translation, rotation):
    """Matrices 4x4 of translations and rotation vectors: the exponential of the rotation's generator."""
    x, y, z = rotation.unbind(1)
    zero = torch.zeros_like(x)
    generator = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3)
    upper = torch.cat([torch.linalg.matrix_exp(generator), translation[:, :, None]], 2)
    last = torch.tensor([0.0, 0, 0, 1]).expand(len(x), 1, 4)
    return torch.cat([upper, last], 1)


def euler(translation, angles):
    """The same of Euler angles, Rx Ry Rz: one rotation about an axis after the other."""
    about = lambda axis: motion(torch.zeros_like(translation), angles * functional.one_hot(torch.tensor(axis), 3))
    moved = about(0) @ about(1) @ about(2)
    upper = torch.cat([moved[:, :3, :3], translation[:, :, None]], 2)
    return torch.cat([upper, moved[:, 3:]], 1)


def flow(depth, source_from_target, camera):
    """By how far each pixel moves, in pixels: x, y."""
    batch, _, height, width = depth.shape
    v, u = torch.meshgrid(*(torch.arange(size, dtype=depth.dtype) for size in (height, width)), indexing="ij")
    pixels = torch.stack([u, v, torch.ones_like(u)]).view(3, -1)
    points = torch.linalg.inv(camera) @ pixels * depth.view(batch, 1, -1)
    seen = camera @ (source_from_target[:, :3, :3] @ points + source_from_target[:, :3, 3:])
    return (seen[:, :2] / seen[:, 2:] - pixels[:2]).view(batch, 2, height, width)


def intrinsics(factor):
    """Of images whose pixels are means over squares of `factor`; pixel centres lie at integers."""
    matrices = [[[fx, 0, cx], [0, fy, cy], [0, 0, 1]] for fx, fy, cx, cy in CAMERAS]
    to_reduced = [[1 / factor, 0, 0.5 / factor - 0.5], [0, 1 / factor, 0.5 / factor - 0.5], [0, 0, 1]]
    return torch.tensor(to_reduced) @ torch.tensor(matrices)


def warp(source, depth, source_from_target, camera, padding):
    """Zhou's equation 2, `p' ~ K T D(p) K^-1 p`: what of `source` is there, the depth there, and whether it is inside."""
    batch, _, height, width = depth.shape
    v, u = torch.meshgrid(*(torch.arange(size, dtype=depth.dtype) for size in (height, width)), indexing="ij")
    pixels = torch.stack([u, v, torch.ones_like(u)]).view(3, -1)
    points = torch.linalg.inv(camera) @ pixels * depth.view(batch, 1, -1)
    points = source_from_target[:, :3, :3] @ points + source_from_target[:, :3, 3:]
    seen = camera @ points
    assert points[:, 2].min() > 0.01, "the formulas keep everything before the camera"
    x, y = seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2]
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], 2).view(batch, height, width, 2)
    sampled = functional.grid_sample(source, grid, mode="bilinear", padding_mode=padding, align_corners=True)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return sampled, points[:, 2].view(depth.shape), inside.view(depth.shape).to(depth.dtype)


# ---- Losses.


def dissimilarity(x, y):
    """(1 - SSIM) / 2 over windows of 3x3."""
    x, y = (functional.pad(image, (1, 1, 1, 1), mode="reflect") for image in (x, y))
    mean = lambda image: functional.avg_pool2d(image, 3, 1)
    mx, my = mean(x), mean(y)
    vx, vy, covariance = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * mx * my + c1) * (2 * covariance + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return ((1 - ssim) / 2).clamp(0, 1)


def photometric(x, y):
    """Godard's equation 2, with a share of 0.85."""
    return (0.85 * dissimilarity(x, y) + 0.15 * (x - y).abs()).mean(1, True)


def edge_aware(inverse_depth, image):
    """Godard's equation 3: first differences of the mean-normalised inverse depth."""
    normalised = inverse_depth / (inverse_depth.mean((2, 3), True) + 1e-7)
    total = 0
    for axis in (2, 3):
        edges = image.diff(dim=axis).abs().mean(1, True)
        total = total + (normalised.diff(dim=axis).abs() * torch.exp(-edges)).mean()
    return total


def second_order(inverse_depth):
    """Zhou's: the mean of all second differences."""
    pairs = [(first, second) for first in (2, 3) for second in (2, 3)]
    return sum(inverse_depth.diff(dim=first).diff(dim=second).abs().mean() for first, second in pairs)


def reduced(image, factor):
    return functional.avg_pool2d(image, factor) if factor > 1 else image


def sfmlearner(seen, inverse_depths, motions, masks=None):
    """The published sum over scales and both sources, of images between -1 and 1, with a smoothness of 0.5 / 2^scale.

    Divided by 16: ours is the mean over 4 scales and 2 sources, of images between 0 and 1.
    """
    pixels, roughness, unexplained = 0, 0, torch.zeros(())
    for scale in range(4):
        factor = 2**scale
        inverse_depth = inverse_depths(1)[scale]
        target = 2 * reduced(seen[1], factor) - 1
        for place, source in enumerate((0, 2)):
            image = reduced(seen[source], factor)
            sampled, _, _ = warp(image, 1 / inverse_depth, motions[source, 1], intrinsics(factor), "zeros")
            error = (2 * sampled - 1 - target).abs()
            if masks:
                logits = masks[scale][:, 2 * place : 2 * place + 2]
                error = error * functional.softmax(logits, 1)[:, 1:]
                explained = torch.ones(BATCH, *logits.shape[2:], dtype=torch.int64)
                unexplained = unexplained + 0.2 * functional.cross_entropy(logits, explained)
            pixels = pixels + error.mean()
        roughness = roughness + 0.5 / factor * second_order(inverse_depth)
    return [pixels / 16, roughness / 16, torch.zeros(()), unexplained / 16]


def monodepth2(seen, inverse_depths, motions):
    """Equations 1 to 5: the least error of both sources at full resolution, and of a still camera."""
    pixels, roughness = 0, 0
    for scale in range(4):
        inverse_depth = inverse_depths(1)[scale]
        size = seen[1].shape[2:]
        enlarged = functional.interpolate(inverse_depth, size=size, mode="bilinear", align_corners=False)
        errors, still = [], []
        for source in (0, 2):
            sampled, _, _ = warp(seen[source], 1 / enlarged, motions[source, 1], intrinsics(1), "border")
            errors.append(photometric(sampled, seen[1]))
            still.append(photometric(seen[source], seen[1]))
        # A tie is for the moving camera.
        error, still = torch.minimum(*errors), torch.minimum(*still) + 1e-5
        pixels = pixels + torch.where(error < still, error, still).mean()
        roughness = roughness + 1e-3 / 2**scale * edge_aware(inverse_depth, reduced(seen[1], 2**scale))
    return [pixels / 4, roughness / 4, torch.zeros(()), torch.zeros(())]


def sc(seen, inverse_depths, motions, flows=0):
    """Equations 1 to 5 for each image and its neighbours: 1 of photometric, 0.1 of smoothness, 0.5 of consistency; and `flows`
    of GeoNet's equation 7."""
    pixels, roughness, disagreement = 0, 0, 0
    for target in range(3):
        sources = [source for source in (target - 1, target + 1) if source in range(3)]
        inverse_depth = inverse_depths(target)[0]
        for source in sources:
            there = flow(1 / inverse_depth, motions[source, target], intrinsics(1))
            back = flow(1 / inverse_depths(source)[0], motions[target, source], intrinsics(1))
            both = torch.cat([seen[source], 1 / inverse_depths(source)[0], back], 1)
            sampled, depth, valid = warp(both, 1 / inverse_depth, motions[source, target], intrinsics(1), "zeros")
            image, other_depth = sampled[:, :3], sampled[:, 3:4]
            difference = (depth - other_depth).abs() / (depth + other_depth)
            trust = 1 - difference.detach()
            error = photometric(image, seen[target]) * trust
            pixels = pixels + (error * valid).sum() / valid.sum() / len(sources)
            apart = there + sampled[:, 4:]
            agrees = apart.norm(dim=1, keepdim=True) < (0.05 * there.norm(dim=1, keepdim=True)).clamp(min=3)
            beside = apart.abs().mean(1, True) * agrees
            for weight, of in ((0.5, difference), (flows, beside)):
                disagreement = disagreement + weight * (of * valid).sum() / valid.sum() / len(sources)
        roughness = roughness + edge_aware(inverse_depth, seen[target])
    return [pixels / 3, 0.1 * roughness / 3, disagreement / 3, torch.zeros(())]


def there_and_back(seen, inverse_depths, motions):
    return sc(seen, inverse_depths, motions, flows=0.05)


def explained(seen, inverse_depths, motions, masks):
    return sfmlearner(seen, inverse_depths, motions, masks)


# ---- What is printed.


def inverse_depths_by_formula(target):
    """Hills and valleys, each scale by itself, the finest first."""
    scales = []
    for scale in range(4):
        counts = (BATCH, SMALL[0] >> scale, SMALL[1] >> scale)
        n, y, x = (torch.arange(count, dtype=torch.float64) for count in counts)
        n, y, x = torch.meshgrid(n, y, x, indexing="ij")
        x, y = x * 2**scale, y * 2**scale
        hills = 0.2 * torch.sin(0.11 * x + 0.07 * y + n + 0.3 * target) + 0.1 * torch.sin(0.19 * y - 0.05 * x + scale)
        scales.append(rounded(0.6 + hills)[:, None])
    return scales


def motions_by_formula():
    """Rotation vectors and translations from each image to the next, and back."""
    motions = {}
    for first, sign in ((0, 1.0), (1, -1.0)):
        rotation = torch.tensor([[0.002, -0.005 * sign, 0.003], [-0.004, 0.003, 0.001 * sign]])
        translation = torch.tensor([[-0.03 * sign, 0.01, -0.05], [-0.02, 0.005 * sign, 0.04]])
        motions[first + 1, first] = motion(translation, rotation)
        motions[first, first + 1] = torch.linalg.inv(motions[first + 1, first])
    return motions


def masks_by_formula():
    """Logits of what is explained, each scale by itself, the finest first."""
    scales = []
    for scale in range(4):
        counts = (BATCH, 4, SMALL[0] >> scale, SMALL[1] >> scale)
        n, c, y, x = (torch.arange(count, dtype=torch.float64) for count in counts)
        n, c, y, x = torch.meshgrid(n, c, y, x, indexing="ij")
        scales.append(rounded(1.5 * torch.sin(0.21 * x - 0.13 * y + 2 * c + n + scale)))
    return scales


def terms(recipe):
    """The terms of the loss for predictions by formula."""
    seen = [images(time, SMALL) for time in range(3)]
    masks = [masks_by_formula()] if recipe is explained else []
    return [term.item() for term in recipe(seen, inverse_depths_by_formula, motions_by_formula(), *masks)]


def losses(recipe):
    """The loss before each step."""
    depth, pose = Depth(), PoseExplained() if recipe is explained else Pose()
    fill(pose.parameters, fill(depth.parameters, 1))
    seen = [images(time, SIZE) for time in range(3)]
    inputs = [(image - 0.5) / 0.25 for image in seen]
    learnt = [parameter for network in (depth, pose) for _, parameter in network.parameters]
    # What a recipe does not use has no gradient, and stays.
    optimizer = torch.optim.Adam(learnt, lr=LEARNING_RATE, eps=1e-8)
    targets = range(3) if recipe in (sc, there_and_back) else [1]
    least, greatest = INVERSE_DEPTHS
    for _ in range(STEPS):
        # All images in one batch, which normalises them together.
        scales = depth(torch.cat([inputs[target] for target in targets]))
        scales = [least + (greatest - least) * torch.sigmoid(logits) for logits in scales]
        of_target = {target: [scale.split(BATCH)[place] for scale in scales] for place, target in enumerate(targets)}
        motions, masks = {}, []
        if recipe is explained:
            parts, logits = pose(torch.cat([inputs[1], inputs[0], inputs[2]], 1))
            motions[0, 1], motions[2, 1] = euler(*parts[:2]), euler(*parts[2:])
            masks = [logits]
        else:
            pairs = [torch.cat([inputs[first], inputs[first + 1]], 1) for first in (0, 1)]
            for first, forward in enumerate(motion(*pose(torch.cat(pairs))).split(BATCH)):
                motions[first + 1, first] = forward
                motions[first, first + 1] = torch.linalg.inv(forward)
        loss = sum(recipe(seen, of_target.get, motions, *masks))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--float32", action="store_true", help="compute in 32 bits")
    torch.set_default_dtype(torch.float32 if arguments.parse_args().float32 else torch.float64)
    for recipe in (sfmlearner, explained, monodepth2, sc, there_and_back):
        for name, numbers in (("terms", terms(recipe)), ("losses", losses(recipe))):
            print(recipe.__name__, name, ", ".join(f"{number:.9g}" for number in numbers), flush=True)


if __name__ == "__main__":
    main()
