"""How long a bake takes against copying the file, and how much memory; both in one run, alternating.

    python benchmarks/bake.py                      a VGG-19 of 575 MB with random weights, V1 layers
    python benchmarks/bake.py --folder /data/tmp --rounds 7 --json

Needs about 1.8 GB of disk for the time it runs. Each measurement is a process of its own, so that peak memory is the
bake's alone; the time of a bare interpreter with the same imports is told too. The source file is in the page cache (as
it is after a download). Targets: at most 2 times `cp`, at most 60 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

#: (name, output channels); VGG-19 of Simonyan and Zisserman, configuration E.
CONVOLUTIONS = [
    ("conv1_1", 64), ("conv1_2", 64), None,
    ("conv2_1", 128), ("conv2_2", 128), None,
    ("conv3_1", 256), ("conv3_2", 256), ("conv3_3", 256), ("conv3_4", 256), None,
    ("conv4_1", 512), ("conv4_2", 512), ("conv4_3", 512), ("conv4_4", 512), None,
    ("conv5_1", 512), ("conv5_2", 512), ("conv5_3", 512), ("conv5_4", 512), None,
]  # fmt: skip
DENSE = [("fc6", 4096), ("fc7", 4096), ("fc8", 1000)]


def prototxt() -> str:
    """The net in V1 syntax with a legacy header, as its authors published it."""
    lines = ['name: "VGG-19"', 'input: "data"', "input_dim: 10", "input_dim: 3", "input_dim: 224", "input_dim: 224"]
    bottom, stage = "data", 1
    for item in CONVOLUTIONS:
        if item is None:
            name = f"pool{stage}"
            pooling = "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"
            lines.append(f'layers {{ bottom: "{bottom}" top: "{name}" name: "{name}" type: POOLING {pooling} }}')
            bottom, stage = name, stage + 1
            continue
        name, channels = item
        convolution = f"convolution_param {{ num_output: {channels} pad: 1 kernel_size: 3 }}"
        lines.append(f'layers {{ bottom: "{bottom}" top: "{name}" name: "{name}" type: CONVOLUTION {convolution} }}')
        lines.append(f'layers {{ bottom: "{name}" top: "{name}" name: "relu_{name}" type: RELU }}')
        bottom = name
    for name, outputs in DENSE:
        dense = f"inner_product_param {{ num_output: {outputs} }}"
        lines.append(f'layers {{ bottom: "{bottom}" top: "{name}" name: "{name}" type: INNER_PRODUCT {dense} }}')
        bottom = name
    lines.append(f'layers {{ bottom: "{bottom}" top: "prob" name: "prob" type: SOFTMAX }}')
    return "\n".join(lines)


def blobs() -> list[tuple[str, tuple[int, ...]]]:
    """Layer names and weight shapes."""
    found: list[tuple[str, tuple[int, ...]]] = []
    channels, inputs = 3, 512 * 7 * 7
    for item in CONVOLUTIONS:
        if item is not None:
            found.append((item[0], (item[1], channels, 3, 3)))
            channels = item[1]
    for name, outputs in DENSE:
        found.append((name, (1, 1, outputs, inputs)))
        inputs = outputs
    return found


def write_weights(path: Path) -> None:
    """The weights as V1 layers with legacy shapes; 575 MB of ordinary floats."""
    from modelprep.formats.protowire import varint

    source = random.Random(19)
    pool = array("f", (source.gauss(0, 0.01) for _ in range(1 << 18))).tobytes()

    def field(number: int, body: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(body)) + body

    with path.open("wb") as file:
        file.write(field(1, b"VGG-19"))
        for name, shape in blobs():
            outputs = shape[2] if shape[:2] == (1, 1) else shape[0]
            bodies = []
            for dims in (shape, (1, 1, 1, outputs)):
                count = dims[0] * dims[1] * dims[2] * dims[3]
                head = b"".join(varint(i << 3) + varint(d) for i, d in enumerate(dims, 1))
                bodies.append((head + varint(5 << 3 | 2) + varint(4 * count), 4 * count))
            start = field(4, name.encode())
            sizes = [len(head) + size for head, size in bodies]
            file.write(varint(2 << 3 | 2) + varint(len(start) + sum(1 + len(varint(s)) + s for s in sizes)) + start)
            for (head, size), total in zip(bodies, sizes, strict=True):
                file.write(varint(6 << 3 | 2) + varint(total) + head)
                for offset in range(0, size, len(pool)):
                    file.write(pool[: size - offset])


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
begin = time.perf_counter()
from modelprep.formats.caffe import bake
if {work}:
    bake.write_plan(bake.plan(Path({structure!r}), Path({weights!r}), bake.Options(batch=1)), Path({output!r}))
else:
    from modelprep.formats.caffe.messages import new
    new("NetParameter")
seconds = time.perf_counter() - begin
# Not ru_maxrss: that one a child inherits from whoever started it.
print(seconds, next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def measured(command: list[str], output: Path) -> tuple[float, str]:
    """Run a command; wall seconds, what it printed. The output goes at once."""
    before = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - before
    output.unlink(missing_ok=True)
    return seconds, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to put the files (default: the system's temporary folder)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    root = str(Path(__file__).resolve().parent.parent)
    with tempfile.TemporaryDirectory(prefix="modelprep-bench-", dir=options.folder) as name:
        folder = Path(name)
        structure, weights, output = folder / "vgg19.prototxt", folder / "vgg19.caffemodel", folder / "out"
        structure.write_text(prototxt())
        write_weights(weights)
        os.sync()
        size = weights.stat().st_size

        def child(work: bool) -> list[str]:
            code = CHILD.format(
                root=root, work=work, structure=str(structure), weights=str(weights), output=str(output)
            )
            return [sys.executable, "-c", code]

        copies, bakes, inside, idle, peaks = [], [], [], [], []
        for _ in range(options.rounds + 1):
            copies.append(measured(["cp", str(weights), str(output)], output)[0])
            seconds, said = measured(child(True), output)
            bakes.append(seconds)
            inside.append(float(said.split()[0]))
            peaks.append(int(said.split()[1]))
            idle_seconds, said = measured(child(False), output)
            idle.append((idle_seconds, int(said.split()[1])))
    # The first round warms the page cache.
    copies, bakes, inside, peaks, idle = copies[1:], bakes[1:], inside[1:], peaks[1:], idle[1:]
    copy, bake = statistics.median(copies), statistics.median(bakes)
    result = {
        "file_bytes": size,
        "cp_seconds": round(copy, 3),
        "bake_seconds": round(bake, 3),
        "bake_seconds_without_interpreter": round(statistics.median(inside), 3),
        "ratio": round(bake / copy, 2),
        "ratio_best": round(min(bakes) / min(copies), 2),
        "peak_mb": round(max(peaks) / 1024, 1),
        "idle_seconds": round(statistics.median(item[0] for item in idle), 3),
        "idle_mb": round(max(item[1] for item in idle) / 1024, 1),
        "rounds": options.rounds,
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{size / 1e6:.0f} MB, {options.rounds} rounds, medians")
    print(f"cp    {copy:.3f} s")
    print(f"bake  {bake:.3f} s ({result['bake_seconds_without_interpreter']} s of it after the interpreter's start)")
    print(f"ratio {result['ratio']} (target 2), of the fastest {result['ratio_best']}")
    print(f"peak  {result['peak_mb']} MB (target 60); imports alone {result['idle_seconds']} s, {result['idle_mb']} MB")


if __name__ == "__main__":
    main()
