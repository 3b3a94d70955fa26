"""Cases for eval/tests/depth_golden.rs: truth and predictions at random with the errors that numpy computes.

The rules are those of the evaluation that papers on KITTI share: strict range, crop by truncated shares of the size, medians as
numpy has them, the prediction clipped after it is scaled, errors of each image, means over the images."""
import json
import sys

import numpy as np

CROPS = {
    "none": [0, 1, 0, 1],
    "garg": [0.40810811, 0.99189189, 0.03594771, 0.96405229],
    "eigen": [0.3324324, 0.91351351, 0.0359477, 0.96405229],
}


def errors(truth, predicted):
    ratio = np.maximum(truth / predicted, predicted / truth)
    return [
        np.mean(np.abs(truth - predicted) / truth),
        np.mean((truth - predicted) ** 2 / truth),
        np.sqrt(np.mean((truth - predicted) ** 2)),
        np.sqrt(np.mean((np.log(truth) - np.log(predicted)) ** 2)),
        *[np.mean(ratio < 1.25**power) for power in (1, 2, 3)],
    ]


def short(values):
    """As they are stored: few digits, single precision."""
    return np.array([float(f"{v:.5g}") for v in values.ravel()], np.float32).reshape(values.shape)


def case(name, seed, crop, low, high, images, sparse):
    random = np.random.default_rng(seed)
    height, width = 20, 33
    truths, predictions, inside = [], [], []
    for _ in range(images):
        truth = short(np.exp(random.uniform(np.log(1.5), np.log(120), (height, width))))
        unit = np.exp(random.normal(-2, 0.3))
        predicted = short(truth * unit * np.exp(random.normal(0, 0.25, truth.shape)))
        truth[random.random(truth.shape) < sparse] = 0
        truths.append(truth)
        predictions.append(predicted)
        top, bottom, left, right = (np.array(CROPS[crop]) * [height, height, width, width]).astype(int)
        counts = np.zeros(truth.shape, bool)
        counts[top:bottom, left:right] = True
        counts &= (truth > low) & (truth < high)
        inside.append((truth[counts].astype(np.float64), predicted[counts].astype(np.float64)))
    ratios = [np.median(t) / np.median(p) for t, p in inside]
    clip = lambda p: np.clip(p, low, high)
    scaled = {
        "image": [errors(t, clip(p * r)) for (t, p), r in zip(inside, ratios)],
        "sequence": [errors(t, clip(p * np.median(ratios))) for t, p in inside],
        "none": [errors(t, clip(p)) for t, p in inside],
    }
    listed = lambda arrays: [[float(f"{v:.5g}") for v in a.ravel()] for a in arrays]
    stored = {
        "crop": crop, "min_m": low, "max_m": high, "width": width, "height": height,
        "truth": listed(truths), "predicted": listed(predictions),
        "errors": {key: np.mean(value, axis=0).tolist() for key, value in scaled.items()},
        "ratio": float(np.median(ratios)), "ratio_spread": float(np.std(ratios / np.median(ratios))),
        "pixels": int(sum(len(t) for t, _ in inside)),
    }
    with open(f"{sys.argv[1]}/{name}.json", "w") as file:
        file.write(json.dumps(stored, separators=(",", ":")) + "\n")
    print(name, stored["pixels"], stored["errors"]["image"])


case("dense", 1, "none", 1e-3, 80.0, 3, 0.0)
case("laser_garg", 2, "garg", 1e-3, 80.0, 4, 0.7)
case("eigen_50m", 3, "eigen", 1.0, 50.0, 3, 0.4)
