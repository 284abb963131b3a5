"""Freezing an Inception v3 checkpoint (V1, 1001 classes): tf.freeze against TensorFlow's freeze_graph, in one run.

    python benchmarks/freeze.py [FOLDER] [--runs N] [--json]

Needs the extra ``tf``: TensorFlow makes the checkpoint and is the peer. Every run is a process of its own; the sides
take turns, so that what else the machine does falls on all of them. Times are of the whole process less the bare
interpreter's start, medians of N with the fastest and the slowest; memory is the peak resident size over it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = "InceptionV3/Predictions/Reshape_1"

BARE = "pass"
NATIVE = """
import sys
from pathlib import Path
from modelprep.steps import Call, find
graph, checkpoint, output = map(Path, sys.argv[1:4])
find("tf.freeze").run(Call({"graph": graph, "checkpoint": checkpoint, "outputs": (sys.argv[4],)}, output))
"""
TENSORFLOW = """
import sys
from tensorflow.python.tools import freeze_graph
graph, checkpoint, output, node = sys.argv[1:5]
freeze_graph.freeze_graph(graph, "", True, checkpoint, node, "", "", output, True, "")
"""
COPY = "import shutil, sys; shutil.copyfile(sys.argv[2], sys.argv[3])"
SIDES = {"bare": BARE, "copy": COPY, "native": NATIVE, "tensorflow": TENSORFLOW}


def run_once(name: str, folder: Path) -> tuple[float, float]:
    """Run one side in a process of its own; give seconds and peak MiB."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    output = folder / f"{name}.pb"
    output.unlink(missing_ok=True)
    command = [sys.executable, "-c", SIDES[name], *map(str, (folder / "graph.pb", folder / "v1.ckpt", output)), OUTPUT]
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name} failed with exit code {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


def measure(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Run every side once a round; give seconds (median, fastest, slowest) and peak MiB of each."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in SIDES}
    for number in range(rounds):
        for name in list(SIDES)[:: 1 if number % 2 else -1]:
            found[name].append(run_once(name, folder))
    return {
        name: {
            "seconds": statistics.median(seconds for seconds, _ in runs),
            "fastest": min(seconds for seconds, _ in runs),
            "slowest": max(seconds for seconds, _ in runs),
            "peak_mib": max(peak for _, peak in runs),
        }
        for name, runs in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the checkpoint is kept between runs (needs 400 MB)")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "v1.ckpt").is_file():
            subprocess.run(
                [sys.executable, str(ROOT / "tests/formats/tensorflow/tf_inception.py"), str(folder)],
                check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        busy = os.getloadavg()[0]
        found = measure(folder, chosen.runs)
        same = _same(folder)
    bare = found["bare"]
    over = {
        name: {
            **{key: one[key] - bare["seconds"] for key in ("seconds", "fastest", "slowest")},
            "peak_mib": one["peak_mib"] - bare["peak_mib"],
        }
        for name, one in found.items()
    }
    ratio = over["tensorflow"]["seconds"] / over["native"]["seconds"]
    result = {
        "runs": chosen.runs,
        "load_before": busy,
        "measured": found,
        "over_bare": over,
        "times_faster": ratio,
        "same_nodes": same,
        "reached": over["native"]["seconds"] <= 0.5 and over["native"]["peak_mib"] <= 250,
    }
    if chosen.json:
        print(json.dumps(result, indent=2))
        return
    print(f"medians of {chosen.runs} over a bare interpreter ({bare['seconds']:.3f} s); load before: {busy:.1f}")
    print(f"{'':12}{'seconds':>9}{'fastest':>9}{'slowest':>9}{'peak MiB':>10}")
    for name in ("copy", "native", "tensorflow"):
        one = over[name]
        print(f"{name:12}{one['seconds']:9.3f}{one['fastest']:9.3f}{one['slowest']:9.3f}{one['peak_mib']:10.0f}")
    print(
        f"native is {ratio:.1f} times faster than TensorFlow; the graphs are {'the same' if same else 'NOT the same'}"
    )
    print(f"goal (0.5 s, 250 MB): {'reached' if result['reached'] else 'missed'}")


def _same(folder: Path) -> bool:
    sys.path.insert(0, str(ROOT))
    from modelprep.formats.tensorflow.graphdef import encode_node
    from modelprep.formats.tensorflow.read import read_graph

    ours, theirs = (read_graph(folder / f"{name}.pb").nodes for name in ("native", "tensorflow"))
    return [b"".join(encode_node(node)) for node in ours] == [b"".join(encode_node(node)) for node in theirs]


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
