"""Rows about conversions beside other tools for the same, about the cost of verifying one, and about photographs."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from timing import ROOT, Command, Cost, Row, run, side_by_side

_PYCAFFE = os.environ.get("MODELPREP_PYCAFFE", "")
_NO_PYCAFFE = "no Python 3.9 here for kendryte-caffe"
#: One forward pass in a separate process, which writes how long the pass alone took.
_TIMED = """
began = time.perf_counter()
net.forward()
open(sys.argv[3], "w").write(str(time.perf_counter() - began))
"""
_PASS = {
    "pycaffe": f"import sys, time, caffe\nnet = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST){_TIMED}",
    "OpenCV": "import sys, time, cv2, numpy\nnet = cv2.dnn.readNetFromCaffe(sys.argv[1], sys.argv[2])\n"
    f"net.setInput(numpy.ones((1, 3, 224, 224), 'f')){_TIMED}",
}


def _fresh(output: Path, work: partial[Cost]) -> Cost:
    """Remove the output and run what writes it."""
    output.unlink(missing_ok=True)
    return work()


def _vgg(work: Path) -> tuple[Path, Path]:
    import vgg

    structure, weights = work / "vgg19.prototxt", work / "vgg19.caffemodel"
    structure.write_text(vgg.prototxt().replace("input_dim: 10", "input_dim: 1", 1))
    vgg.write_weights(weights)
    os.sync()
    return structure, weights


#: The steps alone, each in a separate process, which ends as the command does.
_BAKE = """
import os, sys
from pathlib import Path
from modelprep.formats.caffe import bake
structure, weights, output = map(Path, sys.argv[1:])
bake.write_plan(bake.plan(structure, weights), output)
os._exit(0)
"""
_FREEZE = """
import os, sys
from pathlib import Path
from modelprep.steps import Call, find
graph, checkpoint, output = map(Path, sys.argv[1:4])
find("tf.freeze").run(Call({"graph": graph, "checkpoint": checkpoint, "outputs": (sys.argv[4],)}, output))
os._exit(0)
"""


def _step(modelprep: Command, code: str, *words: object) -> partial[Cost]:
    return partial(run, [sys.executable, "-c", code, *map(str, words)], modelprep.environment)


def bake(work: Path, rounds: int) -> list[Row]:
    """Bake a VGG-19, against cp and against a real Caffe that loads and saves it."""
    structure, weights = _vgg(work)
    output, modelprep = work / "out", Command(work)
    step = _step(modelprep, _BAKE, structure, weights, output)
    ours = partial(modelprep, "caffe", "bake", structure, weights, "-o", output, "--no-verify", "-q")
    copy = partial(run, ["cp", str(weights), str(output)])
    row = Row("bake of a VGG-19 (548 MiB), whole process, against cp", 1.5)
    row.pairs = side_by_side(rounds, partial(_fresh, output, step), partial(_fresh, output, copy))
    row.note = _against_bare(row)
    command = Row("the same as the command `modelprep caffe bake --no-verify`, which also checks the file", None)
    command.pairs = side_by_side(rounds, partial(_fresh, output, ours), partial(_fresh, output, copy))
    saved = Row("the command, times faster than `caffe.Net(...).save()`", None, more=True)
    saved.note = "" if _PYCAFFE else _NO_PYCAFFE
    if _PYCAFFE:
        code = "import sys, caffe; caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST).save(sys.argv[3])"
        caffe = partial(run, [_PYCAFFE, "-c", code, *map(str, (structure, weights, output))])
        saved.pairs = side_by_side(min(rounds, 2), partial(_fresh, output, ours), partial(_fresh, output, caffe))
    return [row, command, saved]


def _against_bare(row: Row) -> str:
    bare = run([sys.executable, "-c", "pass"]).seconds
    seconds = sorted(ours.seconds for ours, _ in row.pairs)
    return f"{seconds[len(seconds) // 2]:.2f} s; a bare interpreter takes {bare:.3f} s here"


def verification(work: Path, rounds: int) -> list[Row]:
    """Measure the cost of verifying a baked VGG-19, against a process that passes one picture through the model."""
    structure, weights = _vgg(work)
    output, alone = work / "out", work / "seconds"
    command = partial(Command(work), "caffe", "bake", structure, weights, "-o", output, "-q")
    runtime = "pycaffe" if _PYCAFFE else "OpenCV"
    code = [_PYCAFFE or sys.executable, "-c", _PASS[runtime], *map(str, (structure, weights, alone))]
    passes = []

    def added() -> Cost:
        plain = _fresh(output, partial(command, "--no-verify"))
        whole = _fresh(output, partial(command, "--verify"))
        return replace(whole, seconds=whole.seconds - plain.seconds, cpu=whole.cpu - plain.cpu)

    def one() -> Cost:
        cost = run(code, {**os.environ, "GLOG_minloglevel": "2"})
        passes.append(float(alone.read_text()))
        return cost

    row = Row(f"verification of the baked VGG-19, against one pass of the model by {runtime}, loaded for it", 3)
    row.pairs = side_by_side(rounds, added, one)
    unit, ours = sorted(passes)[len(passes) // 2], sorted(cost.seconds for cost, _ in row.pairs)[len(row.pairs) // 2]
    row.note = (
        f"{ours:.1f} s: original and result are each loaded and run on two pictures; "
        f"one pass of a loaded model takes {unit:.2f} s"
    )
    return [row]


def _inception(work: Path) -> tuple[Path, Path, Path, str]:
    """Make an Inception v3 with TensorFlow; return graph, checkpoint, frozen graph and the name of its output."""
    code = [sys.executable, str(ROOT / "tests/formats/tensorflow/tf_inception.py"), str(work)]
    run(code, {**os.environ, "PYTHONPATH": str(ROOT)})
    return work / "graph.pb", work / "v1.ckpt", work / "frozen.pb", "InceptionV3/Predictions/Reshape_1"


def _absent(row: Row, modules: Sequence[str]) -> bool:
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    row.note = f"{', '.join(absent)}: not installed" if absent else row.note
    return bool(absent)


def tensorflow(work: Path, rounds: int) -> list[Row]:
    """Freeze an Inception v3 against TensorFlow's freeze_graph; convert it to ONNX against the command tf2onnx."""
    freeze = Row("freeze of an Inception v3, whole process, times faster than TensorFlow's freeze_graph", 15, more=True)
    command = Row(
        "the same as the command `modelprep tf freeze --no-verify`, which also checks the file", None, more=True
    )
    onnx = Row("the same graph to ONNX, whole command, times faster than the command tf2onnx", 2.5, more=True)
    if _absent(freeze, ["tensorflow"]) or _absent(onnx, ["tensorflow", "tf2onnx"]):
        return [freeze, command, onnx]
    graph, checkpoint, frozen, node = _inception(work)
    modelprep, output = Command(work), work / "out"
    quiet = {**modelprep.environment, "TF_CPP_MIN_LOG_LEVEL": "3"}

    def module(name: str, *words: str) -> partial[Cost]:
        return partial(run, [sys.executable, "-m", name, *words], quiet)

    ours = partial(modelprep, "tf", "freeze", graph, checkpoint, "-n", node, "-o", output, "--no-verify", "-q")
    theirs = module(
        "tensorflow.python.tools.freeze_graph", f"--input_graph={graph}", "--input_binary=true",
        f"--input_checkpoint={checkpoint}", f"--output_node_names={node}", f"--output_graph={output}",
    )  # fmt: skip
    step = _step(modelprep, _FREEZE, graph, checkpoint, output, node)
    freeze.pairs = side_by_side(rounds, partial(_fresh, output, step), partial(_fresh, output, theirs))
    freeze.note = _against_bare(freeze)
    command.pairs = side_by_side(min(rounds, 3), partial(_fresh, output, ours), partial(_fresh, output, theirs))
    command.note = "TensorFlow's own import checks the file, and loading its library is most of it"
    ours = partial(modelprep, "tf", "to-onnx", frozen, "-o", output, "--no-verify", "-q")
    theirs = module(
        "tf2onnx.convert", "--graphdef", str(frozen), "--inputs", "input:0", "--outputs", f"{node}:0",
        "--opset", "13", "--output", str(output),
    )  # fmt: skip
    onnx.pairs = side_by_side(min(rounds, 3), partial(_fresh, output, ours), partial(_fresh, output, theirs))
    onnx.note = f"{_against_bare(onnx)}; of our 6 processor seconds, importing TensorFlow and tf2onnx takes 1.5, "
    onnx.note += "TensorFlow's folding 1.4, and tf2onnx's mapping and optimizers 2.7"
    return [freeze, command, onnx]


def photographs(work: Path, rounds: int) -> list[Row]:
    """Search a folder of photographs, against Pillow's decode and one pass of the network for each."""
    command = [sys.executable, str(ROOT / "benchmarks" / "find_picture.py"), "--rounds", str(rounds)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=Command(work).environment).stdout
    found: Any = json.loads(said)
    row = Row("search of a folder of 12-megapixel photographs, against Pillow's decode and one pass of MobileNet", 1.5)
    row.values = [float(ratio) for ratio in found["ratios"]]
    row.note = f"{found['photographs']} photographs, none of which passes; {found['seconds']:.2f} s"
    return [row]
