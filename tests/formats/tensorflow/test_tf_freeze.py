"""tf.freeze against TensorFlow's own freeze_graph, node for node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelprep.errors import StepError
from modelprep.formats.tensorflow.graphdef import encode_node, parse_graph
from modelprep.formats.tensorflow.messages import message
from modelprep.formats.tensorflow.read import read_graph
from modelprep.steps import Call, find
from modelprep.steps.tf_freeze import STEP

FROZEN = [
    *("assigned_v1", "assigned_v2", "reference_v1", "reference_v2", "reference_saver", "resource_saver"),
    *("gather_nd", "loop_reference", "loop_resource"),
    *(f"parts_{kind}_{axis}_v{version}" for kind in ("reference", "resource") for axis in (0, 1) for version in (1, 2)),
]


def freeze(graph: Path, checkpoint: Path, outputs: list[str], output: Path, **more: object) -> Any:
    output.unlink(missing_ok=True)
    index = checkpoint if checkpoint.is_file() else checkpoint.with_name(f"{checkpoint.name}.index")
    params = {"graph": graph, "checkpoint": index, "outputs": tuple(outputs), **more}
    return STEP.run(Call(params, output))


@pytest.mark.parametrize("name", FROZEN)
def test_the_frozen_graph_is_tensorflows_node_for_node(oracle: Any, tmp_path: Path, name: str) -> None:
    fact = oracle.findings["frozen"][name]
    facts = freeze(
        oracle.folder / f"{name}.pb", oracle.folder / fact["checkpoint"], fact["output"].split(","), tmp_path / "o"
    )
    theirs = read_graph(oracle.folder / f"{name}.frozen.pb")
    ours = read_graph(tmp_path / "o")
    assert [node.name for node in ours.nodes] == [node.name for node in theirs.nodes]
    for mine, other in zip(ours.nodes, theirs.nodes, strict=True):
        assert b"".join(encode_node(mine)) == b"".join(encode_node(other)), mine.name
    # and the whole file, once protobuf has put its maps in the order of the day
    ordered = message("GraphDef").FromString((tmp_path / "o").read_bytes()).SerializeToString(deterministic=True)
    assert ordered == (oracle.folder / f"{name}.frozen.pb").read_bytes()
    assert facts["variables"] > 0


def test_resource_variables_are_found_by_name_where_the_graph_has_no_saver(oracle: Any, tmp_path: Path) -> None:
    for version in (1, 2):
        freeze(oracle.folder / "resource_v2.pb", oracle.folder / f"resource.v{version}", ["net/out"], tmp_path / "o")
        theirs = read_graph(oracle.folder / "resource_saver.frozen.pb")
        ours = read_graph(tmp_path / "o")
        assert [b"".join(encode_node(n)) for n in ours.nodes] == [b"".join(encode_node(n)) for n in theirs.nodes]


def test_the_oracle_froze_all_that_is_compared(oracle: Any) -> None:
    assert sorted(oracle.findings["frozen"]) == sorted(FROZEN)


@pytest.mark.parametrize("kind", ["reference", "resource"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("version", [1, 2])
def test_parts_are_found_by_their_shapes_where_the_graph_has_no_saver(
    oracle: Any, tmp_path: Path, kind: str, axis: int, version: int
) -> None:
    name = f"parts_{kind}_{axis}"
    freeze(oracle.folder / f"{name}.bare.pb", oracle.folder / f"{name}.v{version}", ["out"], tmp_path / "bare")
    freeze(oracle.folder / f"{name}_v{version}.pb", oracle.folder / f"{name}.v{version}", ["out"], tmp_path / "saver")
    bare, saver = read_graph(tmp_path / "bare"), read_graph(tmp_path / "saver")
    assert [b"".join(encode_node(n)) for n in bare.nodes] == [b"".join(encode_node(n)) for n in saver.nodes]


def test_the_graphs_own_saver_says_which_tensor_a_variable_is(oracle: Any, tmp_path: Path) -> None:
    # the tensor called b is variable a's: going by names alone would be silently wrong
    freeze(oracle.folder / "renamed.pb", oracle.folder / "renamed", ["out"], tmp_path / "o")
    nodes = read_graph(tmp_path / "o").by_name()
    assert bytes(nodes["a"].attr("value") or b"").endswith(bytes.fromhex("0000803f00000040"))
    assert bytes(nodes["b"].attr("value") or b"").endswith(bytes.fromhex("0000404000008040"))


def test_variables_of_an_object_checkpoint_are_found_by_their_full_names(oracle: Any, tmp_path: Path) -> None:
    fact = oracle.findings["objects"]
    freeze(oracle.folder / "objects.pb", oracle.folder / fact["prefix"], ["out"], tmp_path / "o")
    node = read_graph(tmp_path / "o").by_name()["weights"]
    assert bytes(node.attr("value") or b"").endswith(bytes.fromhex(fact["data"]))


def test_a_checkpoint_of_several_files_is_one(oracle: Any, tmp_path: Path) -> None:
    for version in (1, 2):
        files = sorted(oracle.folder.glob(f"sharded.v{version}*"))
        index = next((path for path in files if path.name.endswith(".index")), files[0])
        shards = {path.name: path for path in files if path != index}
        freeze(oracle.folder / "sharded.pb", index, ["out"], tmp_path / f"v{version}", shards=shards)
    assert (tmp_path / "v1").read_bytes() == (tmp_path / "v2").read_bytes()


def test_a_text_graph_freezes_to_the_same_file(oracle: Any, tmp_path: Path) -> None:
    find("tf.convert").run(Call({"graph": oracle.folder / "reference_v1.pb", "to": "text"}, tmp_path / "graph.pbtxt"))
    freeze(tmp_path / "graph.pbtxt", oracle.folder / "reference.v1", ["net/out"], tmp_path / "from_text")
    freeze(oracle.folder / "reference_v1.pb", oracle.folder / "reference.v1", ["net/out"], tmp_path / "from_binary")
    assert (tmp_path / "from_text").read_bytes() == (tmp_path / "from_binary").read_bytes()


@pytest.mark.slow
def test_the_engine_tensorflow_gives_the_same_graph(oracle: Any, tmp_path: Path) -> None:
    fact = oracle.findings["frozen"]["resource_saver"]
    paths = (oracle.folder / "resource_saver.pb", oracle.folder / fact["checkpoint"], [fact["output"]])
    freeze(*paths, tmp_path / "theirs", engine="tensorflow")
    freeze(*paths, tmp_path / "ours")
    theirs, ours = read_graph(tmp_path / "theirs"), read_graph(tmp_path / "ours")
    assert [b"".join(encode_node(n)) for n in ours.nodes] == [b"".join(encode_node(n)) for n in theirs.nodes]


@pytest.mark.slow
def test_the_engine_tensorflow_tells_its_errors_as_ours(oracle: Any, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="TensorFlow cannot freeze"):
        freeze(oracle.folder / "resource_saver.pb", oracle.folder / "loop_resource", ["net/out"], tmp_path / "o",
               engine="tensorflow")  # fmt: skip


def refusal(oracle: Any, tmp_path: Path, graph: str, checkpoint: str, *outputs: str) -> str:
    with pytest.raises(StepError) as caught:
        freeze(oracle.folder / graph, oracle.folder / checkpoint, list(outputs), tmp_path / "o")
    assert not (tmp_path / "o").exists()
    return str(caught.value)


def test_an_output_that_is_not_there_lists_what_is(oracle: Any, tmp_path: Path) -> None:
    text = refusal(oracle, tmp_path, "reference_v1.pb", "reference.v1", "net/outs")
    assert "no output node called 'net/outs'" in text
    assert "net/out" in text.replace("net/outs", "")


def test_the_checkpoint_of_another_graph_names_the_missing_variables(oracle: Any, tmp_path: Path) -> None:
    text = refusal(oracle, tmp_path, "reference_v1.pb", "renamed", "net/out")
    assert "does not hold 5 of the graph's 5 variables" in text
    assert "net/w" in text


def test_another_shape_is_an_error_with_both_shapes(oracle: Any, tmp_path: Path) -> None:
    text = refusal(oracle, tmp_path, "loop_reference.pb", "reference.v1", "out")
    assert "'net/w'" in text or "does not hold" in text


def test_an_assignment_in_the_wanted_graph_is_an_error_that_names_it(oracle: Any, tmp_path: Path) -> None:
    for kind in ("reference", "resource"):
        text = refusal(oracle, tmp_path, f"{kind}_saver.pb", f"{kind}.v2", "save/restore_all")
        assert "cannot become a constant" in text
        assert "Assign" in text


def test_damage_in_the_checkpoint_leaves_no_output(oracle: Any, tmp_path: Path) -> None:
    data = bytearray((oracle.folder / "assigned.v1").read_bytes())
    data[1000] ^= 1
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(StepError, match="damaged"):
        freeze(oracle.folder / "assigned_v1.pb", tmp_path / "bad", ["all"], tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_devices_stay_when_asked_for(oracle: Any, tmp_path: Path) -> None:
    args = (oracle.folder / "reference_v1.pb", oracle.folder / "reference.v1", ["net/out"], tmp_path / "o")
    freeze(*args, clear_devices=False)
    assert any(node.device for node in read_graph(tmp_path / "o").nodes)
    freeze(*args)
    assert not any(node.device for node in read_graph(tmp_path / "o").nodes)


def test_a_graph_that_is_none_is_an_error() -> None:
    for junk, what in (
        (b"<html><body>no</body></html>", "web page"),
        (b"\n\x05abc", "no GraphDef"),
        (b"\x12\x00", "no nodes"),
    ):
        with pytest.raises(StepError) as caught:
            parse_graph(junk, "file.pb")
        assert what in str(caught.value)
