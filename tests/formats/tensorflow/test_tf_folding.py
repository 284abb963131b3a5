"""What graphs compute of their own shapes and of constants is worked out beforehand, and the numbers stay."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from modelprep.errors import StepError
from modelprep.formats.protowire import bytes_field
from modelprep.formats.tensorflow.attrs import attr_type, constant_attrs
from modelprep.formats.tensorflow.graphdef import Graph, Node
from modelprep.formats.tensorflow.read import read_graph
from modelprep.formats.tensorflow.size_values import Symbol, Value, over, times
from modelprep.formats.tensorflow.sizes import Known, reshaped
from modelprep.formats.tensorflow.tensor import DTYPES, Tensor, shape_proto
from modelprep.steps import Call
from modelprep.steps._legalise_fold import fold
from modelprep.steps.tf_legalise import STEP

HERE = Path(__file__).parent
BATCH = Symbol(1, ("input:0",))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Graphs as TensorFlow 1 exports them."""
    if find_spec("tensorflow") is None:
        pytest.skip("the graphs are made by TensorFlow (extra tf), which is not installed")
    folder = tmp_path_factory.mktemp("exported")
    done = subprocess.run(
        [sys.executable, str(HERE / "tf_exported.py"), str(folder)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def legalise(path: Path, output: Path, constants: Mapping[str, object] | None = None) -> Any:
    return STEP.run(Call({"graph": path, "target": "armnn-19.02", "outputs": ("out",), "constants": constants}, output))


FOLDS = {
    "flatten": {},
    "flatten_long_ago": {},
    "flatten_fixed": {},
    "upsampled": {},
    "dropout_old": {"keep_prob": 1},
    "dropout_rate": {"keep_prob": 1},
    "dropout_now": {"keep_prob": 1.0},
    "dropout_default": {},
    "condition": {"is_training": False},
}
GONE = {"Shape", "StridedSlice", "Slice", "Pack", "Prod", "RandomUniform", "Floor", "GreaterEqual", "Switch", "Merge"}


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDS)
def test_an_exported_graph_is_folded_and_its_numbers_stay(exported: Path, tmp_path: Path, name: str) -> None:
    from modelprep.check.proof import tensorflow

    source = exported / f"{name}.pb"
    legalise(source, tmp_path / "out.pb", FOLDS[name])
    made = read_graph(tmp_path / "out.pb")
    assert not GONE & {node.op for node in made.nodes}
    shapes = {"input": (1, 8, 8, 3)}
    with (
        tensorflow.opened(source, tensorflow.Request(shapes, ["out"], constants=FOLDS[name])) as before,
        tensorflow.opened(tmp_path / "out.pb", tensorflow.Request(shapes, ["out"])) as after,
    ):
        for number in (0, 1):
            (wanted,), (got,) = before(number), after(number)
            assert wanted.shape == got.shape
            assert abs(wanted - got).max() <= 1e-6 * max(1.0, abs(wanted).max())


@pytest.mark.slow
def test_a_flatten_of_an_open_batch_has_a_constant_shape(exported: Path, tmp_path: Path) -> None:
    legalise(exported / "flatten.pb", tmp_path / "out.pb")
    known = Known(read_graph(tmp_path / "out.pb"))
    (reshape,) = (node for node in known.nodes.values() if node.op == "Reshape")
    assert known.value(reshape.inputs[1]) == Value((-1, 64))


REFUSED = {
    "dropout_old": ("RandomUniform", "--constant keep_prob=1"),
    "condition": ("Switch", "--constant is_training=false"),
    "unknown_shape": ("StridedSlice", "'input' has no shape"),
    "dropped_for_ever": ("RandomUniform", "exported for training"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_what_stops_it_is_said_by_operator_with_the_way_on(exported: Path, tmp_path: Path, name: str) -> None:
    op, way = REFUSED[name]
    with pytest.raises(StepError, match="does not accept this graph") as caught:
        legalise(exported / f"{name}.pb", tmp_path / "out.pb")
    assert f"({op}): " in (caught.value.got or "") or f"{op} (" in (caught.value.got or "")
    assert way in (caught.value.hint or "")
    assert not (tmp_path / "out.pb").exists()
    # Every line of the message is set in.
    assert all(line.startswith("  ") for line in str(caught.value).splitlines()[1:])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("constants", "words"),
    [
        ({"absent": 1}, "no input node"),
        ({"Conv2D": 1}, "not a placeholder"),
        ({"keep_prob": [[1]]}, "wrong type or shape"),
    ],
)
def test_a_constant_that_cannot_be_set_is_refused(
    exported: Path, tmp_path: Path, constants: Mapping[str, object], words: str
) -> None:
    with pytest.raises(StepError, match=words):
        legalise(exported / "dropout_old.pb", tmp_path / "out.pb", constants)


@pytest.mark.slow
def test_a_keep_probability_below_one_is_not_taken_out(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="does not accept this graph"):
        legalise(exported / "dropout_old.pb", tmp_path / "out.pb", {"keep_prob": 0.9})


CONDITIONS = {
    "itself": ("is_training", []),
    "LogicalNot": ("no", [Node("no", "LogicalNot", ["is_training"])]),
    "LogicalAnd": ("both", [Node("both", "LogicalAnd", ["is_training", "open"])]),
    "LogicalOr": ("one", [Node("one", "LogicalOr", ["is_training", "is_training"])]),
    "Equal": ("same", [Node("same", "Equal", ["mode", "two"])]),
    "Cast": ("truth", [Node("truth", "Cast", ["mode"], attrs={"DstT": attr_type(10)})]),
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_of_a_constant_condition_only_the_taken_branch_stays(condition: str) -> None:
    predicate, more = CONDITIONS[condition]
    taken = predicate in ("no", "truth")
    nodes = [
        Node("input", "Placeholder", attrs={"dtype": attr_type(1), "shape": bytes_field(7, shape_proto((1, 4)))}),
        Node("is_training", "Placeholder", attrs={"dtype": attr_type(10)}),
        Node("open", "Placeholder", attrs={"dtype": attr_type(10)}),
        Node("mode", "Placeholder", attrs={"dtype": attr_type(3)}),
        Node("two", "Const", attrs=dict(constant_attrs(Tensor(DTYPES[3], (), memoryview(b"\2\0\0\0"))))),
        *more,
        Node("switch", "Switch", ["input", predicate]),
        Node("pivot", "Identity", ["switch:1", "^switch"]),
        Node("no_branch", "Relu6", ["switch:0"]),
        Node("yes_branch", "Relu", ["pivot"]),
        Node("merge", "Merge", ["no_branch", "yes_branch"]),
        Node("out", "Identity", ["merge:0"]),
    ]
    graph = Graph([Node(n.name, n.op, list(n.inputs), attrs=dict(n.attrs)) for n in nodes])
    fold(graph, ["out"], {"is_training": False, "mode": 3})
    made = graph.by_name()
    assert made["out"].inputs == ["yes_branch" if taken else "no_branch"]
    assert ("no_branch" in made, "yes_branch" in made) == (not taken, taken)
    assert "merge" not in made


def test_a_condition_that_is_open_keeps_both_branches() -> None:
    nodes = [
        Node("input", "Placeholder"), Node("is_training", "Placeholder", attrs={"dtype": attr_type(10)}),
        Node("open", "Placeholder"), Node("either", "LogicalOr", ["is_training", "open"]),
        Node("switch", "Switch", ["input", "either"]), Node("a", "Relu6", ["switch"]), Node("b", "Relu", ["switch:1"]),
        Node("out", "Merge", ["a", "b"]),
    ]  # fmt: skip
    graph = Graph(nodes)
    fold(graph, ["out"], {"is_training": False})
    assert graph.by_name()["out"].inputs == ["a", "b"]


def test_sizes_are_multiplied_and_divided_with_what_is_open_in_them() -> None:
    assert times((2, BATCH, 3)) == Symbol(6, ("input:0",))
    assert times((0, BATCH)) == 0
    assert over(Symbol(6, ("input:0",)), BATCH) == 6
    assert over(6, BATCH) is None
    assert over(Symbol(6, ("input:0",)), 4) is None
    assert reshaped((BATCH, 4, 4, 16), Value((BATCH, -1))) == (BATCH, 256)
    assert reshaped(None, Value((BATCH, -1))) == (BATCH, None)
