"""Who answers for a Caffe net: a real Caffe in one process for many nets; and onnxruntime for what was converted."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from layer_cases import Case

from modelprep.formats.caffe import phase, prototxt, to_onnx, upgrades
from modelprep.formats.caffe.messages import new
from modelprep.formats.caffe.shapes.infer import infer

#: Answers the net of each folder that it reads the path of. Caffe ends the process over what it does not take.
_DRIVER = """
import os, sys
os.environ["GLOG_minloglevel"] = "2"
import numpy as np
import caffe
for line in sys.stdin:
    folder = line.strip()
    net = caffe.Net(os.path.join(folder, "net.prototxt"), os.path.join(folder, "net.caffemodel"), caffe.TEST)
    given = np.load(os.path.join(folder, "inputs.npz"))
    for name in given.files:
        net.blobs[name].data[...] = given[name]
    net.forward()
    np.savez(os.path.join(folder, "caffe.npz"), **{n.replace("/", "|"): b.data for n, b in net.blobs.items()})
    print("done", flush=True)
"""


class Caffe:
    """A real Caffe in a process that stays, for net after net."""

    def __init__(self, python: str) -> None:
        self.process = subprocess.Popen(
            [python, "-c", _DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, folder: Path) -> None:
        """Have it answer the net of a folder; the answers lie beside it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{folder}\n")
        assert self.process.stdout.readline() == "done\n", "Caffe does not take this net"

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def weights_of(text: str, seed: int, *, spread: float = 1.0) -> bytes:
    """Make a caffemodel with random weights for a net whose shapes are known; statistics are positive."""
    net = prototxt.read(text)
    upgrades.upgrade(net)
    net = phase.filter_net(net)
    random_ = np.random.default_rng(seed)
    made = new("NetParameter")
    made.name = net.name
    for proto, shapes in zip(net.layer, infer(net).layers, strict=True):
        target = made.layer.add(name=proto.name, type=proto.type)
        expected = shapes.weights or ()
        if proto.type == "BN":  # how many blobs there are depends on the fork
            channels = (shapes.bottoms[0] or (1, 1))[1]
            expected = ((1, channels, 1, 1),) * (4 if proto.bn_param.frozen else 2)
        for number, shape in enumerate(expected):
            assert shape is not None
            blob = target.blobs.add()
            blob.shape.dim.extend(shape)
            values = random_.normal(0, spread, [int(dim or 0) for dim in shape])
            if proto.type == "BatchNorm":
                values = [values, np.abs(values) + 0.3, np.full(1, 1.0 + 9.0 * (seed % 2))][number]
            elif proto.type == "BN" and number == 3:
                values = np.abs(values) + 0.3
            blob.data.extend(values.astype(np.float32).ravel())
    return bytes(made.SerializeToString())


def inputs_of(case: Case, seed: int) -> dict[str, Any]:
    """Make the numbers that a case's inputs hold."""
    random_ = np.random.default_rng(seed)
    made = {}
    for name, shape in case.inputs.items():
        kind, size = case.kinds.get(name, ("normal", 2))
        values = random_.normal(0, size, shape)
        if kind == "positive":
            values = random_.uniform(0.05, size, shape)
        elif kind == "index":
            values = random_.integers(0, int(size), shape)
        elif kind == "whole":
            values = random_.integers(-int(size), int(size), shape)
        elif kind == "flag":
            values = random_.integers(0, 2, shape)
            values.flat[0] = 0 if name == "cont" else 1
            if name == "cont":
                values[0] = 0
        elif kind == "unit":
            values = random_.permutation(np.linspace(0.01, 0.99, values.size)).reshape(shape)
        elif kind == "rois":
            corners = np.sort(random_.uniform(0, size, (shape[0], 2, 2)), 1).reshape(shape[0], 4)
            values = np.hstack([random_.integers(0, 2, (shape[0], 1)), corners])
        elif kind == "priors":
            low = random_.uniform(0, 0.7, (shape[2] // 4, 2))
            boxes = np.hstack([low, low + random_.uniform(0.1, 0.4, low.shape)])
            values = np.stack([boxes.ravel(), np.full(shape[2], 0.1)])[None]
        made[name] = np.asarray(values, np.float32)
    return made


def draw(maker: Any, count: int, seed: int) -> list[Case]:
    """Draw cases of one layer type."""
    return [maker(random.Random(seed * 1000 + number)) for number in range(count)]


def lay_out(cases: Sequence[Case], folder: Path) -> None:
    """Write nets, weights and inputs, one folder a case."""
    for number, case in enumerate(cases):
        lay_out_one(case, folder / str(number), number)


def lay_out_one(case: Case, folder: Path, seed: int, *, spread: float = 1.0) -> None:
    """Write one net, its weights and its inputs."""
    folder.mkdir(parents=True)
    (folder / "net.prototxt").write_text(case.text())
    (folder / "net.caffemodel").write_bytes(weights_of(case.text(), seed, spread=spread))
    np.savez(folder / "inputs.npz", **inputs_of(case, seed))


def answers(path: Path) -> dict[str, Any]:
    """Read the answers of a runtime."""
    with np.load(path) as found:
        return {name.replace("|", "/"): found[name] for name in found.files}


def session(path: Path) -> Any:
    """Open a model in onnxruntime, one thread, no warnings."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Run a converted model."""
    model = session(path)
    names = [value.name for value in model.get_outputs()]
    fed = {value.name: given[value.name] for value in model.get_inputs()}
    return dict(zip(names, model.run(names, fed), strict=True))


def convert(folder: Path, *, external: Path | None = None, **options: Any) -> to_onnx.Plan:
    """Convert the net of a folder to ``net.onnx`` there."""
    output = folder / "net.onnx"
    output.unlink(missing_ok=True)
    return to_onnx.convert(
        folder / "net.prototxt", folder / "net.caffemodel", output, to_onnx.Options(**options),
        lambda done, total: None, external=external,
    )[0]  # fmt: skip


def difference(expected: Any, got: Any) -> float:
    """Return the largest difference as a share of the largest value."""
    assert expected.shape == got.shape, f"{expected.shape} expected, {got.shape} found"
    if not expected.size:
        return 0.0
    assert np.isfinite(expected).all()
    scale = float(np.abs(expected).max())
    gap = float(np.abs(expected.astype(np.float64) - got.astype(np.float64)).max())
    return gap / scale if scale else gap
