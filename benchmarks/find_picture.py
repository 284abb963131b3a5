"""Search a folder of photographs, against Pillow's decode and one pass of the network, in turns.

``python benchmarks/find_picture.py [--photos N] [--megapixels M] [--rounds N]`` prints JSON. The photographs are noise
over a gradient, which compresses as a photograph does; the network is the quantized MobileNet stand-in of the demo.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
DEMO = "TfLiteMobilenetQuantized-Armnn"


def photographs(folder: Path, count: int, megapixels: float) -> list[Path]:
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    height = round(width * 3 / 4)
    rows, columns = np.mgrid[0:height, 0:width]
    found = []
    for number in range(count):
        noise = np.random.default_rng(number).normal(0, 12, (height // 4 + 1, width // 4 + 1, 3))
        noise = noise.repeat(4, 0).repeat(4, 1)[:height, :width]
        plane = 90 + 70 * np.sin(rows / 300 + number)[..., None] * np.cos(columns / 500)[..., None]
        path = folder / f"{number}.jpg"
        Image.fromarray(np.clip(plane + noise, 0, 255).astype(np.uint8)).save(path, quality=90)
        found.append(path)
    return found


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--photos", type=int, default=4)
    options.add_argument("--megapixels", type=float, default=12)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    from demo.families import imagenet
    from modelprep.check.board import preprocess
    from modelprep.check.demos import find_pictures, preprocessing
    from modelprep.check.runtimes.choice import ready
    from modelprep.targets.armnn_tests import of_version

    test = of_version()[DEMO]
    with tempfile.TemporaryDirectory() as folder:
        paths = photographs(Path(folder), given.photos, given.megapixels)
        model = Path(folder) / test.model
        model.write_bytes(next(item.data for item in imagenet.make() if item.asset == "mobilenet-v1-quant"))
        loaded = ready(model, test.parser, test.input_name, test.input_shape, test.outputs)
        small = Path(folder) / "small.png"
        Image.open(paths[0]).resize((224, 224)).save(small)
        values = preprocess.prepare_picture(small, preprocessing(test), loaded.quantisation)

        def plain() -> None:
            for path in paths:
                with Image.open(path) as picture:
                    np.asarray(picture)
                loaded.run(values)

        # A photograph that passes is decoded again, by the board's own decoder, which is not measured here.
        paths = [path for path, cases in find_pictures(test, model, paths) if not any(case.passes for case in cases)]
        ours, theirs, ratios = [], [], []
        for _ in range(given.rounds):
            theirs.append(seconds(plain))
            ours.append(seconds(lambda: list(find_pictures(test, model, paths))))
            ratios.append(ours[-1] / theirs[-1])
    print(json.dumps({"photographs": len(paths), "ratios": sorted(ratios), "seconds": statistics.median(ours)}))


if __name__ == "__main__":
    main()
