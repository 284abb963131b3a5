"""Freezing an Inception v3 checkpoint (V1, 1001 classes): tf.freeze against TensorFlow's freeze_graph, in one run.

    python benchmarks/freeze.py [FOLDER] [--runs N] [--json]

Needs the extra ``tf``: TensorFlow makes the checkpoint and is the peer. Every run is a process of its own; times are of
the whole process less the bare interpreter's start, medians of N; memory is the peak resident size over it.
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


def measure(code: str, folder: Path, name: str, runs: int) -> dict[str, float]:
    """Run a piece of Python some times; give median seconds and peak MiB."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    output = folder / f"{name}.pb"
    command = [sys.executable, "-c", code, str(folder / "graph.pb"), str(folder / "v1.ckpt"), str(output), OUTPUT]
    seconds, peaks = [], []
    for _ in range(runs):
        output.unlink(missing_ok=True)
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - start)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{name} failed with exit code {process.returncode}")
        peaks.append(usage.ru_maxrss / 1024)
    return {"seconds": statistics.median(seconds), "fastest": min(seconds), "peak_mib": max(peaks)}


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
                [sys.executable, str(ROOT / "tests/tensorflow_room/tf_inception.py"), str(folder)],
                check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        found = {
            "bare": measure(BARE, folder, "bare", max(chosen.runs, 5)),
            "copy": measure(COPY, folder, "copy", chosen.runs),
            "native": measure(NATIVE, folder, "native", chosen.runs),
            "tensorflow": measure(TENSORFLOW, folder, "tensorflow", max(1, chosen.runs // 2)),
        }
        same = _same(folder)
    bare = found["bare"]
    over = {
        name: {"seconds": one["seconds"] - bare["seconds"], "peak_mib": one["peak_mib"] - bare["peak_mib"]}
        for name, one in found.items()
    }
    ratio = over["tensorflow"]["seconds"] / over["native"]["seconds"]
    result = {"measured": found, "over_bare": over, "times_faster": ratio, "same_nodes": same,
              "reached": over["native"]["seconds"] <= 0.5 and over["native"]["peak_mib"] <= 250}  # fmt: skip
    if chosen.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{'':12}{'seconds':>9}{'peak MiB':>10}   (over a bare interpreter: {bare['seconds']:.3f} s)")
    for name in ("copy", "native", "tensorflow"):
        print(f"{name:12}{over[name]['seconds']:9.3f}{over[name]['peak_mib']:10.0f}")
    print(
        f"native is {ratio:.1f} times faster than TensorFlow; the graphs are {'the same' if same else 'NOT the same'}"
    )
    print(f"goal (0.5 s, 250 MB): {'reached' if result['reached'] else 'missed'}")


def _same(folder: Path) -> bool:
    sys.path.insert(0, str(ROOT))
    from modelprep.formats.tensorflow.graphdef import encode_node, read_graph

    ours, theirs = (read_graph(folder / f"{name}.pb").nodes for name in ("native", "tensorflow"))
    return [b"".join(encode_node(node)) for node in ours] == [b"".join(encode_node(node)) for node in theirs]


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
