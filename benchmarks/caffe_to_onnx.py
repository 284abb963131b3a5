"""How far converted networks are from Caffe, and from exact numbers; seconds and memory of the conversion.

    python benchmarks/caffe_to_onnx.py                          the networks generated here
    python benchmarks/caffe_to_onnx.py --published FOLDER       and those whose prototxt lies in FOLDER/<host>/<path>
    python benchmarks/caffe_to_onnx.py --only LeNet --json

Each network is converted in a process of its own (seconds and peak memory are that process's, and
Linux tells them) without the check of the
numbers, which is what this script does: the same seeded input goes through the converted model (onnxruntime), through a
real Caffe (``MODELPREP_PYCAFFE``) or, for layers of forks, OpenCV 4's reader, and through NumPy in double precision.
The measure is max|a - b| / max|a|, the largest over the outputs (for SSD: locations and scores before the suppression).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import double
import networks
import numpy as np

_CONVERT = """
import sys, time
from pathlib import Path
start = time.perf_counter()
from modelprep.formats.caffe import to_onnx
folder = Path(sys.argv[1])
external = folder / "net.onnx.data" if sys.argv[2] == "external" else None
to_onnx.convert(folder / "net.prototxt", folder / "net.caffemodel", folder / "net.onnx",
                to_onnx.Options(keep=tuple(sys.argv[3:])), lambda done, total: None, external=external)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(time.perf_counter() - start, int(peak.split()[1]) / 1024)
"""


def convert(folder: Path, way: str, keep: list[str]) -> tuple[float, float]:
    """Convert in a process of its own; return seconds and peak memory in MiB."""
    for name in ("net.onnx", "net.onnx.data"):
        (folder / name).unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "-c", _CONVERT, str(folder), way, *keep], capture_output=True, text=True,
                          cwd=Path(__file__).resolve().parent.parent, check=False)  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the conversion in {folder} failed: {done.stderr[-600:]}")
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def copy_seconds(path: Path) -> float:
    """Return how long copying the weights takes."""
    start = time.perf_counter()
    shutil.copyfile(path, path.with_suffix(".copy"))
    seconds = time.perf_counter() - start
    path.with_suffix(".copy").unlink()
    return seconds


def difference(expected: dict[str, Any], found: dict[str, Any]) -> float:
    """Return the largest difference over all blobs, each as a share of its largest value."""
    worst = 0.0
    for name, value in expected.items():
        other = found[name].reshape(value.shape)
        worst = max(worst, float(np.abs(value - other.astype(np.float64)).max() / np.abs(value).max()))
    return worst


def caffe_answers(folder: Path, given: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
    """Have a real Caffe answer."""
    from modelprep.formats.caffe import pycaffe

    np.savez(folder / "given.npz", **given)
    (folder / "answers.npz").unlink(missing_ok=True)
    pycaffe.run((folder / "net.prototxt").read_bytes(), folder / "net.caffemodel", [folder / "given.npz"], wanted,
                folder / "answers.npz")  # fmt: skip
    with np.load(folder / "answers.npz") as found:
        return {name: found[f"0:{place}"].astype(np.float64) for place, name in enumerate(wanted)}


def opencv_answers(folder: Path, net: Any, given: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
    """Have OpenCV's reader answer."""
    import cv2

    loaded = cv2.dnn.readNetFromCaffe(str(folder / "net.prototxt"), str(folder / "net.caffemodel"))
    loaded.enableWinograd(False)
    for name, value in given.items():
        loaded.setInput(value, name)
    makers = {top: layer.name for layer in net.layer for top in layer.top}
    return {name: np.array(loaded.forward(makers[name]), np.float64) for name in wanted}


def read(weights: Path, blob: Any) -> Any:
    """Read a blob that is stored as packed float32."""
    parts = [np.fromfile(weights, "<f4", part.count, offset=part.offset) for part in blob.source.segments]
    return np.concatenate(parts).reshape(blob.shape)


def measure(name: str, folder: Path, *, exact: bool) -> dict[str, Any]:
    """Measure one network whose files lie in a folder."""
    import onnxruntime

    from modelprep.formats.caffe import phase, prototxt, upgrades
    from modelprep.formats.caffe import weights as matching
    from modelprep.formats.caffe.shapes.infer import infer
    from modelprep.formats.caffe.wire.index import index

    net = prototxt.read_file(folder / "net.prototxt")
    upgrades.upgrade(net)
    net = phase.filter_net(net)
    shapes = infer(net)
    keep: list[str] = []
    if any(layer.type == "DetectionOutput" for layer in net.layer):
        keep = ["mbox_loc", "mbox_conf_flatten"]
    elif not {top for layer in net.layer for top in layer.top} - {b for layer in net.layer for b in layer.bottom}:
        keep = [top for layer in net.layer for top in layer.top][-1:]  # colorization: Silence reads its last top
    else:
        # A softmax over numbers that are far apart is all but 0 and 1: what goes into it is compared too.
        makers = {top: layer for layer in net.layer for top in layer.top}
        used = {bottom for layer in net.layer for bottom in layer.bottom if bottom not in layer.top}
        ends = [top for top in makers if top not in used and makers[top].type != "Input"]
        keep = [*ends, *(makers[top].bottom[0] for top in ends if makers[top].type == "Softmax")]
    weights = folder / "net.caffemodel"
    seconds, memory = convert(folder, "inside", keep)
    row: dict[str, Any] = {"network": name, "MB": weights.stat().st_size / 1e6, "seconds": seconds, "MiB": memory}
    row["MiB external"] = convert(folder, "external", keep)[1]
    row["copy"] = copy_seconds(weights)
    random = np.random.default_rng(5)
    given = {
        layer.top[0]: random.uniform(-1, 1, [int(d) for d in layer.input_param.shape[0].dim]).astype(np.float32)
        for layer in net.layer if layer.type == "Input"
    }  # fmt: skip
    convert(folder, "inside", keep)
    session = onnxruntime.InferenceSession(str(folder / "net.onnx"), providers=["CPUExecutionProvider"])
    wanted = [value.name for value in session.get_outputs()]
    found = dict(zip(wanted, session.run(wanted, {v.name: given[v.name] for v in session.get_inputs()}), strict=True))
    del session
    references: dict[str, dict[str, Any]] = {}
    for who, ask in (
        ("Caffe", lambda: caffe_answers(folder, given, wanted)),
        ("OpenCV", lambda: opencv_answers(folder, net, given, wanted)),
    ):
        if references:
            break
        try:
            references[who] = ask()
        except Exception as error:  # noqa: BLE001 - a runtime that lacks a layer says so in its own way
            row[f"{who} said"] = " ".join(str(error).split())[:120]
    if exact:
        plan = matching.match(net, shapes, index(weights))

        def blobs(i: int) -> list[Any]:
            return [read(weights, blob) for blob in plan.layers[i]]

        references["double"] = double.evaluate(net, shapes, blobs, given, wanted)
    for who, answers in references.items():
        row[who] = difference(answers, found)
    others = [who for who in references if who != "double"]
    if exact and others:
        row["its own"] = difference(references["double"], references[others[0]])
    row["smallest, largest"] = [float(f(np.abs(value).max() for value in found.values())) for f in (min, max)]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, help="folder of published prototxts, laid out <host>/<path>")
    parser.add_argument("--only", action="append", help="only this network; repeatable")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when left out")
    parser.add_argument("--no-double", action="store_true", help="leave the computation in double precision out")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    if not options.json:
        print("| network | MB | Caffe (or OpenCV) | double precision | its own | seconds, copy | MiB, external |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in (*networks.PUBLISHED, *networks.GENERATED):
        if (options.only and name not in options.only) or (name in networks.PUBLISHED and not options.published):
            continue
        with tempfile.TemporaryDirectory(dir=options.folder) as made:
            folder = Path(made)
            trained = ""
            if name in networks.PUBLISHED:
                structure, trained = networks.PUBLISHED[name]
                shutil.copyfile(options.published / structure, folder / "net.prototxt")
            else:
                (folder / "net.prototxt").write_text(networks.GENERATED[name]())
            if trained and (options.published / trained).is_file():
                shutil.copyfile(options.published / trained, folder / "net.caffemodel")
            else:
                networks.write_weights(folder / "net.prototxt", folder / "net.caffemodel")
            row = measure(name, folder, exact=not options.no_double)
        rows.append(row)
        if not options.json:
            who = "Caffe" if "Caffe" in row else "OpenCV" if "OpenCV" in row else ""
            cells = [f"{row[who]:.1e}" + (" (OpenCV)" if who == "OpenCV" else "") if who else "none"]
            cells += [f"{row[key]:.1e}" if key in row else "" for key in ("double", "its own")]
            print(f"| {name} | {row['MB']:.1f} | {' | '.join(cells)} | {row['seconds']:.2f}, {row['copy']:.2f} | "
                  f"{row['MiB']:.0f}, {row['MiB external']:.0f} |", flush=True)  # fmt: skip
    if options.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
