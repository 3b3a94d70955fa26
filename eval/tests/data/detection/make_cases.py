"""Cases for eval/tests/coco_golden.rs: random truth and detections with pycocotools' figures."""
import json, random, io, contextlib, sys
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

def case(name, seed, images, classes, per_image, decimals, crowd, size, found_per_image, tied, empty_classes=0):
    rng = random.Random(seed)
    r = lambda v: round(v, decimals) if decimals else float(round(v))
    truth, found = [], []
    for image in range(images):
        for _ in range(rng.randint(0, per_image)):
            w, h = r(rng.uniform(*size)) or 1.0, r(rng.uniform(*size)) or 1.0
            x, y = r(rng.uniform(-5, 500)), r(rng.uniform(-5, 400))
            c = rng.randrange(classes - empty_classes)
            area = round(w * h * rng.choice([1.0, 1.0, .7]), 3)
            truth.append([image, c, x, y, w, h, area, int(rng.random() < crowd)])
            for _ in range(rng.choice([0, 1, 1, 1, 2])):
                j = rng.choice([0, .03, .08, .15, .3])
                jx, jy = rng.gauss(0, j) * w, rng.gauss(0, j) * h
                jw, jh = w * (1 + rng.gauss(0, j)), h * (1 + rng.gauss(0, j))
                cls = c if rng.random() < .93 else rng.randrange(classes)
                found.append([image, cls, r(x + jx), r(y + jy), max(r(jw), 0.0), max(r(jh), 0.0), round(min(1, max(0, rng.gauss(.6, .25))), 1 if tied else 6)])
        for _ in range(rng.randint(0, found_per_image)):
            found.append([image, rng.randrange(classes), r(rng.uniform(0, 500)), r(rng.uniform(0, 400)), r(rng.uniform(*size)), r(rng.uniform(*size)), round(rng.random() * .8, 1 if tied else 6)])
    rng.shuffle(found)
    gt = {"images": [{"id": i + 1, "width": 640, "height": 480} for i in range(images)],
          "categories": [{"id": c + 1, "name": f"c{c}"} for c in range(classes)],
          "annotations": [{"id": k + 1, "image_id": t[0] + 1, "category_id": t[1] + 1, "bbox": t[2:6], "area": t[6], "iscrowd": t[7]} for k, t in enumerate(truth)]}
    dt = [{"image_id": f[0] + 1, "category_id": f[1] + 1, "bbox": f[2:6], "score": f[6]} for f in found]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(); coco.dataset = gt; coco.createIndex()
        e = COCOeval(coco, coco.loadRes(dt), "bbox"); e.evaluate(); e.accumulate(); e.summarize()
    p = e.eval["precision"]
    mean = lambda v: float(np.mean(v[v > -1])) if (v > -1).any() else None
    per_class = [[mean(p[:, :, k, 0, 2]), mean(p[0, :, k, 0, 2]), mean(p[5, :, k, 0, 2])] for k in range(classes)]
    out = {"images": images, "classes": classes, "truth": truth, "found": found, "stats": [float(s) for s in e.stats], "per_class": per_class}
    path = f"{sys.argv[1]}/{name}.json"
    open(path, "w").write(json.dumps(out, separators=(",", ":")) + "\n")
    print(name, len(truth), len(found), [round(s, 4) for s in e.stats])

case("decimals", 1, 40, 5, 6, 2, 0.0, (6, 150), 4, False)
case("whole_pixels_and_ties", 2, 30, 3, 8, 0, 0.0, (4, 60), 4, True)
case("crowds", 3, 30, 4, 8, 1, 0.15, (10, 200), 5, False, empty_classes=1)
case("crowded", 4, 4, 1, 90, 1, 0.02, (8, 40), 120, False)
case("small", 5, 25, 2, 6, 1, 0.0, (2, 20), 3, True)
