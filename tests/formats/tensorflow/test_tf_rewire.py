"""Renaming, inspecting and legalising graphs, without TensorFlow but for one proof of values."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelprep.cli.main import invoke
from modelprep.errors import ModelprepError, RecipeError, StepError
from modelprep.formats.protowire import bytes_field, number_field, tag
from modelprep.formats.tensorflow.attrs import attr_bool, attr_int, attr_string, attr_type, constant_attrs
from modelprep.formats.tensorflow.graphdef import Graph, Node, encode_graph, encode_node, write_pieces
from modelprep.formats.tensorflow.inspect import inspect
from modelprep.formats.tensorflow.read import read_graph
from modelprep.formats.tensorflow.tensor import DTYPES, Tensor, shape_proto
from modelprep.steps import Call, find
from modelprep.targets.armnn_19_02 import TF_NEUTRAL_ATTRS, TF_OPS, TF_RENAMED_OPS
from modelprep.targets.armnn_rules import rules

FLOAT = {"T": attr_type(1)}


def attr_shape(shape: tuple[int, ...]) -> bytes:
    return bytes_field(7, shape_proto(shape))


def const(name: str, *values: int, dtype: int = 3, shape: tuple[int, ...] | None = None) -> Node:
    kind = DTYPES[dtype]
    data = memoryview(b"".join(value.to_bytes(kind.size, "little", signed=True) for value in values))
    tensor = Tensor(kind, (len(values),) if shape is None else shape, data)
    return Node(name, "Const", attrs=constant_attrs(tensor))


def placeholder(name: str = "input", *shape: int) -> Node:
    return Node(name, "Placeholder", attrs={"dtype": attr_type(1), "shape": attr_shape(shape or (1, 4))})


def write(tmp_path: Path, *nodes: Node, name: str = "graph.pb") -> Path:
    path = tmp_path / name
    path.unlink(missing_ok=True)
    write_pieces(encode_graph(Graph(list(nodes), versions=b"\x08\x1b")), path)
    return path


# -- names --------------------------------------------------------------------------------------------------------


def named(tmp_path: Path) -> Path:
    return write(
        tmp_path,
        placeholder("data"),
        const("w", 1, 2, 3),
        Node("mid", "Split", ["w", "data:0", "^data"], attrs=FLOAT),
        Node(
            "end",
            "Add",
            ["mid:1", "mid", "^mid"],
            attrs={**FLOAT, "_class": bytes_field(1, bytes_field(2, b"loc:@data"))},
        ),
        Node("database", "Relu", ["data"], attrs=FLOAT),
    )


def test_renaming_changes_every_reference_and_nothing_else(tmp_path: Path) -> None:
    path = named(tmp_path)
    facts = find("tf.rename_io").run(
        Call({"graph": path, "inputs": {"data": "input"}, "outputs": {"end": "output"}}, tmp_path / "o")
    )
    assert facts is not None
    assert facts["references"] == 4  # data:0, ^data, loc:@data and database's input
    before, after = read_graph(path), read_graph(tmp_path / "o")
    assert [node.name for node in after.nodes] == ["input", "w", "mid", "output", "database"]
    nodes = after.by_name()
    assert nodes["mid"].inputs == ["w", "input:0", "^input"]
    assert nodes["output"].inputs == ["mid:1", "mid", "^mid"]
    assert nodes["output"].strings("_class") == [b"loc:@input"]
    assert nodes["database"].inputs == ["input"]
    back = tmp_path / "back"
    find("tf.rename_io").run(
        Call({"graph": tmp_path / "o", "inputs": {"input": "data"}, "outputs": {"output": "end"}}, back)
    )
    assert back.read_bytes() == path.read_bytes()
    assert before.nodes[1].attrs["value"] == after.nodes[1].attrs["value"]


def test_attributes_and_fields_that_nobody_sorted_keep_their_places(tmp_path: Path) -> None:
    node = Node("a", "Op", [], "", {"z": attr_int(1), "b": attr_int(2)}, rest=bytes_field(6, b"\n\x01x"))
    graph = Graph(
        [placeholder("data"), node], library=b"", versions=b"\x08\x1b", rest=b"\x18\x03" + bytes_field(5, b"")
    )
    before = b"".join(bytes(piece) for piece in encode_graph(graph, in_order=False))
    assert before.index(b"z") < before.index(b"b\x12")
    (tmp_path / "g").write_bytes(before)
    find("tf.rename_io").run(Call({"graph": tmp_path / "g", "inputs": {"data": "atad"}}, tmp_path / "o"))
    assert (tmp_path / "o").read_bytes() == before.replace(b"data", b"atad")


def test_two_nodes_can_trade_names(tmp_path: Path) -> None:
    find("tf.rename_io").run(
        Call({"graph": named(tmp_path), "outputs": {"end": "database", "database": "end"}}, tmp_path / "o")
    )
    assert [node.op for node in read_graph(tmp_path / "o").nodes] == ["Placeholder", "Const", "Split", "Add", "Relu"]
    assert read_graph(tmp_path / "o").nodes[3].name == "database"


@pytest.mark.parametrize(
    ("names", "what", "also"),
    [
        ({"inputs": {"dat": "x"}}, "no input node called 'dat'", "inputs of the graph: data"),
        ({"outputs": {"ends": "x"}}, "no output node called 'ends'", "outputs of the graph: end, database"),
        ({"outputs": {"end": "w"}}, "'w' is taken", ""),
        ({"outputs": {"end": "x", "database": "x"}}, "one name", ""),
    ],
)
def test_a_name_that_is_absent_or_taken_is_an_error(
    tmp_path: Path, names: dict[str, object], what: str, also: str
) -> None:
    with pytest.raises(StepError, match=what) as caught:
        find("tf.rename_io").run(Call({"graph": named(tmp_path), **names}, tmp_path / "o"))
    assert also in str(caught.value)
    assert not (tmp_path / "o").exists()


def test_renaming_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="nothing to rename"):
        find("tf.rename_io").run(Call({"graph": named(tmp_path)}, tmp_path / "o"))


# -- inspect ------------------------------------------------------------------------------------------------------


def test_inspect_tells_inputs_outputs_shapes_and_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = named(tmp_path)
    facts = inspect(path)
    assert [node.name for node in facts.inputs] == ["data"]
    assert [node.name for node in facts.outputs] == ["end", "database"]
    assert facts.nodes[1].shape == (3,)
    assert facts.nodes[0].shape_text == "1x4"
    assert (facts.producer, facts.variables) == (27, 0)
    assert invoke(["tf", "inspect", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["operations"] == {
        "Add": 1,
        "Const": 1,
        "Placeholder": 1,
        "Relu": 1,
        "Split": 1,
    }
    assert invoke(["tf", "inspect", str(path), "--nodes"]) == 0
    assert "^mid" in capsys.readouterr().out


def test_the_commands_write_files_and_give_exit_codes(tmp_path: Path) -> None:
    path, made = named(tmp_path), tmp_path / "made.pb"
    assert invoke(["tf", "rename-io", str(path), "--rename-input", "data=x", "-o", str(made), "-q"]) == 0
    assert invoke(["tf", "rename-io", str(path), "--rename-input", "data=x", "-o", str(made)]) == 2  # is there
    assert invoke(["tf", "rename-io", str(path), "-o", str(made), "--force"]) == 2
    assert invoke(["tf", "convert", str(path), "--text", "-o", str(tmp_path / "t.pbtxt"), "-q"]) == 0
    assert invoke(["tf", "legalise", str(path), "-o", str(tmp_path / "l.pb")]) == 5
    assert not (tmp_path / "l.pb").exists()
    assert invoke(["tf", "freeze", str(path), str(tmp_path / "none"), "-o", str(tmp_path / "f"), "-n", "end"]) == 2
    (tmp_path / "junk.pb").write_bytes(b"<!DOCTYPE html><html></html>")
    assert invoke(["tf", "inspect", str(tmp_path / "junk.pb")]) == 5


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_graph_is_a_graph_or_an_error_wherever_it_is_read(tmp_path: Path, data: st.DataObject) -> None:
    nodes = [
        *norm(),
        *convolution()[1:],
        const("k", -1, shape=()),
        Node("o", "ConcatV2", ["c", "n", "k"], attrs={**FLOAT, "N": attr_int(2)}),
    ]
    raw = bytearray(b"".join(bytes(piece) for piece in encode_graph(Graph(nodes, library=b"", versions=b"\x08\x1b"))))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.pb"
    path.write_bytes(raw)
    for name, more in (("tf.legalise", {"target": "armnn-19.02"}), ("tf.rename_io", {"inputs": {"input": "x"}})):
        (tmp_path / "made").unlink(missing_ok=True)
        with contextlib.suppress(ModelprepError):
            find(name).run(Call({"graph": path, **more}, tmp_path / "made"))
            read_graph(tmp_path / "made")
    with contextlib.suppress(ModelprepError):
        inspect(path)


# -- legalise -----------------------------------------------------------------------------------------------------


def convolution(**more: Any) -> list[Node]:
    attrs = {
        **FLOAT, "strides": bytes_field(1, bytes_field(3, b"\x01\x01\x01\x01")), "padding": attr_string(b"SAME"),
        "data_format": attr_string(b"NHWC"), **more,
    }  # fmt: skip
    return [
        placeholder("input", 1, 4, 4, 1),
        const("w", 1, dtype=1, shape=(1, 1, 1, 1)),
        Node("c", "Conv2D", ["input", "w"], attrs=attrs),
    ]


def norm(op: str = "FusedBatchNormV3", **more: bytes) -> list[Node]:
    stats = [const(f"s{i}", 1, dtype=1) for i in range(4)]
    attrs = {**FLOAT, "U": attr_type(1), "epsilon": tag(4, 5) + b"\x6f\x12\x83\x3a", "is_training": attr_bool(False),
             "exponential_avg_factor": tag(4, 5) + bytes(4), "data_format": attr_string(b"NHWC"), **more}  # fmt: skip
    return [placeholder("input", 1, 4, 4, 1), *stats, Node("n", op, ["input", *(s.name for s in stats)], attrs=attrs)]


def legalise(tmp_path: Path, *nodes: Node, **params: object) -> tuple[dict[str, Any], dict[str, Node], list[str]]:
    said: list[str] = []
    (tmp_path / "legal.pb").unlink(missing_ok=True)
    facts = find("tf.legalise").run(
        Call(
            {"graph": write(tmp_path, *nodes), "target": "armnn-19.02", **params},
            tmp_path / "legal.pb",
            warn=said.append,
        )
    )
    return dict(facts or {}), read_graph(tmp_path / "legal.pb").by_name(), said


@pytest.mark.parametrize("axes", [(1, 2), (-3, -2), (2, 1, 1)])
def test_a_mean_that_drops_its_axes_becomes_one_that_keeps_them_and_a_squeeze(
    tmp_path: Path, axes: tuple[int, ...]
) -> None:
    # Keras writes global pooling so. The board says "MeanLayer: TensorShape set on OutputSlot[0] does not match".
    mean = Node("gap", "Mean", ["input", "axes"], attrs={**FLOAT, "keep_dims": attr_bool(False)})
    relu = Node("out", "Relu", ["gap"], attrs=FLOAT)
    facts, nodes, _ = legalise(tmp_path, placeholder("input", -1, 5, 7, 3), const("axes", *axes), mean, relu)
    assert facts["means_that_keep_dims"] == 1
    assert nodes["gap"].op == "Squeeze"
    assert nodes["gap"].numbers("squeeze_dims") == [1, 2]
    kept = nodes[nodes["gap"].inputs[0]]
    assert (kept.op, kept.flag("keep_dims"), kept.inputs) == ("Mean", True, ["input", "axes"])
    assert nodes["out"].inputs == ["gap"]


def test_a_result_that_the_board_stops_at_is_no_success(tmp_path: Path) -> None:
    shape = Node("out", "Reshape", ["input", "shape"], attrs=FLOAT)
    with pytest.raises(StepError) as caught:
        legalise(tmp_path, placeholder("input", 1, 4), const("shape", 1, 5), shape)
    assert caught.value.got == "ReshapeQueueDescriptor: Input tensor has 4 but output tensor has 5 elements."
    assert caught.value.where == "out"
    assert not (tmp_path / "legal.pb").exists()


def test_a_placeholder_without_a_shape_leaves_the_layers_unchecked_and_that_is_said(tmp_path: Path) -> None:
    given = Node("input", "Placeholder", attrs={"dtype": attr_type(1)})
    _, _, said = legalise(tmp_path, given, Node("out", "Relu", ["input"], attrs=FLOAT))
    assert "not checked layer by layer: the shape of placeholder 'input' is not written in the graph" in said


def test_newer_batch_normalisation_and_addition_get_their_older_names(tmp_path: Path) -> None:
    for op in ("FusedBatchNormV2", "FusedBatchNormV3"):
        facts, nodes, _ = legalise(
            tmp_path, *norm(op), const("b", 1, dtype=1), Node("a", "AddV2", ["n", "b"], attrs=FLOAT)
        )
        assert (nodes["n"].op, nodes["a"].op) == ("FusedBatchNorm", "Add")
        assert sorted(nodes["n"].attrs) == ["T", "data_format", "epsilon", "is_training"]
        assert facts["renamed_ops"] == {f"{op} -> FusedBatchNorm": 1, "AddV2 -> Add": 1}


def test_a_legal_graph_is_unchanged_and_that_is_said(tmp_path: Path) -> None:
    facts, _, said = legalise(tmp_path, *convolution())
    assert facts["changed"] is False
    assert said == ["nothing to do: armnn-19.02 accepts the graph as it is; nothing was changed"]
    assert (tmp_path / "legal.pb").read_bytes() == (tmp_path / "graph.pb").read_bytes()


def test_what_hands_on_a_value_goes_but_for_outputs(tmp_path: Path) -> None:
    chain = [
        *convolution(), Node("i", "Identity", ["c", "^side"], attrs=FLOAT), Node("side", "NoOp"),
        Node("stop", "StopGradient", ["i"], attrs=FLOAT), Node("r", "Relu", ["stop"], attrs=FLOAT),
        Node("out", "Identity", ["r"], attrs=FLOAT), Node("unused", "ArgMax", ["r"]),
    ]  # fmt: skip
    facts, nodes, _ = legalise(tmp_path, *chain, outputs=("out",))
    assert sorted(nodes) == ["c", "input", "out", "r", "w"]
    assert nodes["r"].inputs == ["c"]
    assert nodes["out"].op == "Identity"
    assert facts["removed_nodes"] == {"Identity": 1, "StopGradient": 1, "not needed": 2}
    assert facts["removed_control_inputs"] == 1


def test_defaults_that_the_parser_wants_written_out_are_written(tmp_path: Path) -> None:
    nodes = convolution()
    del nodes[2].attrs["data_format"]
    facts, made, _ = legalise(tmp_path, *nodes)
    assert made["c"].string("data_format") == b"NHWC"
    assert facts["added_attributes"] == {"data_format": 1}


def test_an_attribute_nobody_knew_in_1_12_goes_with_a_warning(tmp_path: Path) -> None:
    _, made, said = legalise(tmp_path, *convolution(new_thing=attr_int(1), _output_shapes=attr_int(1)))
    assert sorted(made["c"].attrs) == ["T", "data_format", "padding", "strides"]
    assert len(said) == 1
    assert "new_thing" in said[0]


def test_a_negative_concatenation_axis_becomes_what_it_is(tmp_path: Path) -> None:
    joined = Node("j", "ConcatV2", ["c", "c", "axis"], attrs={**FLOAT, "N": attr_int(2), "Tidx": attr_type(3)})
    facts, made, _ = legalise(tmp_path, *convolution(), const("axis", -1, shape=()), joined)
    assert made["j"].inputs == ["c", "c", "j/axis_3"]
    assert "axis" not in made
    assert facts["positive_axes"] == 1


def _pool(**attrs: bytes) -> Callable[[], list[Node]]:
    base = {**FLOAT, "strides": bytes_field(1, bytes_field(3, bytes([1, 2, 2, 1]))),
            "ksize": bytes_field(1, bytes_field(3, bytes([1, 2, 2, 1]))), "padding": attr_string(b"SAME")}  # fmt: skip
    return lambda: [placeholder("input", 1, 4, 4, 1), Node("p", "MaxPool", ["input"], attrs={**base, **attrs})]


BROKEN: list[tuple[str, str, Callable[[], list[Node]]]] = [
    ("TF01", "t", lambda: [placeholder(), Node("t", "Transpose", ["input"], attrs=FLOAT)]),
    ("TF02", "v", lambda: [placeholder(), Node("v", "VariableV2"), Node("r", "Add", ["input", "v"], attrs=FLOAT)]),
    ("TF04", "r", lambda: [placeholder(), Node("r", "Relu", ["input"], attrs={"T": attr_type(2)})]),
    ("TF05", "k", lambda: [placeholder(), const("k", 1, dtype=9), Node("a", "Add", ["input", "k"], attrs=FLOAT)]),
    ("TF07", "keep", lambda: [placeholder(), placeholder("keep"), Node("a", "Mul", ["input", "keep"], attrs=FLOAT)]),
    ("TF09", "a", lambda: [placeholder(), Node("a", "Relu", ["input:101"], attrs=FLOAT)]),
    ("TF10", "r", lambda: [*norm(), Node("r", "Relu", ["n:1"], attrs=FLOAT)]),
    ("TF11", "c", lambda: convolution(data_format=attr_string(b"NCDHW"))),
    ("TF12", "c", lambda: convolution(padding=attr_string(b"EXPLICIT"))),
    ("TF12", "p", _pool(strides=b"")),
    ("TF13", "c", lambda: [*convolution()[:1], Node("w", "Relu", ["input"], attrs=FLOAT), convolution()[2]]),
    ("TF14", "c", lambda: convolution(dilations=bytes_field(1, bytes_field(3, b"\x01\x02\x02\x01")))),
    ("TF16", "n", lambda: norm("FusedBatchNorm", is_training=attr_bool(True))),
    ("TF01", "n", lambda: norm(is_training=attr_bool(True))),
    ("TF17", "m", lambda: [placeholder(), Node("m", "MatMul", ["input", "input"], attrs=FLOAT)]),
    (
        "TF18",
        "m",
        lambda: [
            placeholder(),
            const("k", 1, dtype=1),
            Node("m", "MatMul", ["input", "k"], attrs={**FLOAT, "transpose_b": attr_bool(True)}),
        ],
    ),
    (
        "TF21",
        "b",
        lambda: [
            placeholder(),
            const("k", 1, dtype=1, shape=(1, 1)),
            Node("b", "BiasAdd", ["input", "k"], attrs=FLOAT),
        ],
    ),
    (
        "TF23",
        "j",
        lambda: [
            placeholder(),
            const("k", 0, shape=()),
            Node("j", "ConcatV2", ["input", "input", "k"], attrs={**FLOAT, "N": attr_int(2)}),
        ],
    ),
    (
        "TF24",
        "s",
        lambda: [
            placeholder(),
            const("k", 2, shape=()),
            Node("s", "Split", ["k", "input"], attrs={**FLOAT, "num_split": attr_int(2)}),
        ],
    ),
    ("TF25", "s", lambda: [placeholder(), const("k", -1, -1), Node("s", "Reshape", ["input", "k"], attrs=FLOAT)]),
    ("TF26", "s", lambda: [placeholder(), Node("s", "Shape", ["input"], attrs={**FLOAT, "out_type": attr_type(9)})]),
    (
        "TF27",
        "z",
        lambda: [
            placeholder(),
            const("k", 8, 8),
            Node("z", "ResizeBilinear", ["input", "k"], attrs={**FLOAT, "half_pixel_centers": attr_bool(True)}),
        ],
    ),
    (
        "TF29",
        "p",
        lambda: [placeholder(), const("k", -1, 0, shape=(1, 2)), Node("p", "Pad", ["input", "k"], attrs=FLOAT)],
    ),
    ("TF30", "m", lambda: [placeholder(), Node("m", "Mean", ["input", "input"], attrs=FLOAT)]),
    (
        "TF31",
        "e",
        lambda: [
            placeholder(),
            const("k", 1, shape=()),
            Node("e", "ExpandDims", ["input", "k"], attrs={**FLOAT, "Tdim": attr_type(3)}),
        ],
    ),
    ("TF34", "a", lambda: [placeholder(), Node("a", "Add", ["input"], attrs=FLOAT)]),
]


@pytest.mark.parametrize(("rule", "node", "make"), BROKEN, ids=[f"{rule}-{node}" for rule, node, _ in BROKEN])
def test_what_the_parser_cannot_take_is_refused_with_node_op_and_rule(
    tmp_path: Path, rule: str, node: str, make: Callable[[], list[Node]]
) -> None:
    with pytest.raises(StepError) as caught:
        legalise(tmp_path, *make())
    lines = (caught.value.got or "").splitlines()
    assert any(line.startswith(f"{node} (") and line.endswith(f"[{rule}]") for line in lines), lines
    assert not (tmp_path / "legal.pb").exists()


def test_the_table_holds_together() -> None:
    assert set(TF_RENAMED_OPS.values()) <= set(TF_OPS)
    assert not set(TF_RENAMED_OPS) & set(TF_OPS)
    for name, op in TF_OPS.items():
        assert set(op.required) <= set(op.attrs), name
        assert not set(op.attrs) & set(TF_NEUTRAL_ATTRS), name
    assert {rule for rule, _, _ in BROKEN} <= set(rules())


@pytest.mark.slow
def test_legalising_changes_no_value(oracle: Any) -> None:
    fact = oracle.findings["legal"]
    assert fact["difference"] == 0.0
    assert 0.01 < fact["peak"] <= 1.0
    assert fact["facts"]["renamed_ops"] == {"AddV2 -> Add": 1, "FusedBatchNormV3 -> FusedBatchNorm": 1}
    assert fact["facts"]["positive_axes"] == 1
    ops = {node.op for node in read_graph(oracle.folder / "legal.pb").nodes}
    assert ops <= set(TF_OPS)


# -- freezing what TensorFlow would write wrongly -------------------------------------------------------------------


class _Held:
    """A checkpoint that holds one vector, for the rules that no checkpoint file is needed for."""

    name = "held"

    def __init__(self, *names: str) -> None:
        from modelprep.formats.tensorflow.checkpoint.base import Stored

        self.stored = {name: Stored(1, (4,)) for name in names}


def variable(name: str, op: str, *shape: int) -> Node:
    return Node(name, op, attrs={"dtype": attr_type(1), "shape": attr_shape(shape or (4,))})


@pytest.mark.parametrize(
    ("nodes", "where"),
    [
        ([variable("v", "VariableV2"), Node("o", "RefSwitch", ["v", "v"])], "'o' (RefSwitch)"),
        ([variable("v", "VariableV2"), Node("o", "AssignAdd", ["v", "v"])], "'o' (AssignAdd)"),
        ([variable("v", "VariableV2"), Node("i", "Identity", ["v"]), Node("o", "RefEnter", ["i"])], "'o' (RefEnter)"),
        ([variable("v", "VarHandleOp"), Node("e", "Enter", ["v"]), Node("o", "Merge", ["e", "n"]),
          Node("n", "NextIteration", ["o"])], "'o' (Merge)"),
        ([variable("v", "VarHandleOp"), Node("o", "StatefulPartitionedCall", ["v"])], "'o' (StatefulPartitionedCall)"),
        ([variable("v", "VarHandleOp"), Node("o", "ResourceGather", ["v", "v"], attrs={"batch_dims": attr_int(1)})],
         "'o' (ResourceGather)"),
    ],
)  # fmt: skip
def test_a_variable_that_is_needed_itself_cannot_be_frozen(nodes: list[Node], where: str) -> None:
    from modelprep.steps._freeze_native import plan

    with pytest.raises(StepError, match="'v' cannot become a constant") as caught:
        plan(Graph(nodes), _Held("v"), ["o"])  # type: ignore[arg-type]
    assert where in str(caught.value)


def test_a_variable_of_another_shape_or_type_is_an_error_with_both() -> None:
    from modelprep.steps._freeze_native import plan

    with pytest.raises(StepError, match="different shapes") as caught:
        plan(Graph([variable("v", "VariableV2", 5)]), _Held("v"), ["v"])  # type: ignore[arg-type]
    assert "[5]" in str(caught.value)
    assert "[4]" in str(caught.value)
    half = Node("v", "VariableV2", attrs={"dtype": attr_type(19)})
    with pytest.raises(StepError, match="different types") as caught:
        plan(Graph([half]), _Held("v"), ["v"])  # type: ignore[arg-type]
    assert "float16" in str(caught.value)


def test_a_graph_with_a_missing_node_or_two_of_one_name_is_an_error() -> None:
    from modelprep.steps._freeze_native import plan

    with pytest.raises(StepError, match="takes 'gone:0', which is not in the graph"):
        plan(Graph([Node("a", "Relu", ["gone:0"])]), _Held(), ["a"])  # type: ignore[arg-type]
    with pytest.raises(StepError, match="two nodes are called 'a'"):
        plan(Graph([Node("a", "Relu"), Node("a", "Relu")]), _Held(), ["a"])  # type: ignore[arg-type]


def test_nodes_are_encoded_with_attributes_in_order(tmp_path: Path) -> None:
    from modelprep.formats.tensorflow.messages import message

    node = Node("n", "Op", ["a", "^b"], "/cpu:0", {"b": attr_int(0), "a": attr_bool(False), "c": attr_type(1)})
    parsed = message("GraphDef").FromString(b"".join(bytes(p) for p in encode_node(node)))
    assert parsed.SerializeToString(deterministic=True) == b"".join(bytes(p) for p in encode_node(node))
    assert parsed.node[0].attr["a"].WhichOneof("value") == "b"


def test_a_constant_whose_numbers_are_cut_short_is_refused(tmp_path: Path) -> None:
    value = bytes_field(8, number_field(1, 3) + bytes_field(7, b"\x80"))  # int32, a packed number without its end
    node = Node("c", "Const", attrs={"dtype": attr_type(3), "value": value})
    (tmp_path / "graph").write_bytes(b"".join(map(bytes, encode_graph(Graph([node])))))
    params = {"graph": tmp_path / "graph", "target": "armnn-19.02", "outputs": ("c",)}
    with pytest.raises(StepError, match="rules are broken") as caught:
        find("tf.legalise").run(Call(params, tmp_path / "made"))
    assert "the data end inside a number" in str(caught.value)
