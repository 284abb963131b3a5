"""Graphs inside a MetaGraphDef or a SavedModel are read, and named by what takes a GraphDef only."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelprep.check.lint import Asked, lint
from modelprep.cli.main import invoke
from modelprep.errors import StepError
from modelprep.formats.protowire import bytes_field, number_field
from modelprep.formats.tensorflow.graphdef import Graph, Node, encode_graph
from modelprep.formats.tensorflow.inspect import inspect
from modelprep.formats.tensorflow.read import read_any_graph, read_graph
from modelprep.steps import Call
from modelprep.steps.tf_convert import STEP as CONVERT
from modelprep.steps.tf_freeze import STEP as FREEZE

GRAPH = b"".join(
    bytes(piece) for piece in encode_graph(Graph([Node("input", "Placeholder"), Node("out", "Relu", ["input"])]))
)
OTHER = b"".join(bytes(piece) for piece in encode_graph(Graph([Node("train", "NoOp")])))


def meta(graph: bytes, *tags: str, version: str = "") -> bytes:
    """A MetaGraphDef: what TensorFlow says of itself, the operations with their signatures, the graph, a saver."""
    operations = bytes_field(1, bytes_field(1, b"Relu") + bytes_field(2, bytes_field(1, b"features")))
    described = bytes_field(1, version.encode()) if version else b""
    described += bytes_field(2, operations) + b"".join(bytes_field(4, tag.encode()) for tag in tags)
    return bytes_field(1, described + bytes_field(5, b"1.15.0")) + bytes_field(2, graph) + bytes_field(3, b"\x0a\x01x")


FILES = {
    "a MetaGraphDef": meta(GRAPH),
    "a MetaGraphDef with a version": meta(GRAPH, version="v1"),
    "a SavedModel": number_field(1, 1) + bytes_field(2, meta(GRAPH, "serve")),
    "a SavedModel for training first": number_field(1, 1)
    + bytes_field(2, meta(OTHER, "train"))
    + bytes_field(2, meta(GRAPH, "serve")),
    "a hub module": bytes_field(2, meta(OTHER, "train")) + bytes_field(2, meta(GRAPH)),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_graph_inside_is_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[kind])
    graph, wrapper = read_any_graph(path)
    assert [node.name for node in graph.nodes] == ["input", "out"]
    assert wrapper is not None
    assert inspect(path).form == wrapper.kind
    CONVERT.run(Call({"graph": path, "to": "binary"}, tmp_path / "graph.pb"))
    assert (tmp_path / "graph.pb").read_bytes() == GRAPH


@pytest.mark.parametrize("kind", FILES)
def test_what_takes_a_graph_only_names_the_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[kind])
    with pytest.raises(StepError, match="MetaGraphDef" if "Meta" in kind else "SavedModel"):
        read_graph(path)
    found = lint(path, "tf", Asked())
    assert [finding.rule for finding in found] == ["TF02"]


def test_a_saved_models_folder_is_the_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(FILES["a SavedModel"])
    assert len(inspect(tmp_path).nodes) == 2


def signed(graph: bytes) -> bytes:
    """A SavedModel whose signature for serving answers with ``out``."""
    tensor = bytes_field(2, bytes_field(1, b"prob") + bytes_field(2, bytes_field(1, b"out:0")))
    signature = bytes_field(5, bytes_field(1, b"serving_default") + bytes_field(2, tensor))
    return number_field(1, 1) + bytes_field(2, meta(graph, "serve") + signature)


VARIABLE = b"".join(
    bytes(piece) for piece in encode_graph(Graph([Node("w", "VariableV2"), Node("out", "Identity", ["w"])]))
)


@pytest.mark.parametrize("way", ["folder", "file"])
@pytest.mark.parametrize("verb", [["to-onnx"], ["rename-io", "--rename-output", "out=prob"]])
def test_what_takes_a_graph_only_names_the_command_that_makes_one(
    verb: list[str], way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "saved_model.pb"
    given = str(tmp_path if way == "folder" else file)
    for graph, command in (
        (GRAPH, f"modelprep tf convert {file} -o frozen.pb"),
        (VARIABLE, f"modelprep tf freeze {file} -n out -o frozen.pb"),
    ):
        file.write_bytes(signed(graph))
        assert invoke(["tf", verb[0], given, *verb[1:], "-o", str(tmp_path / "result")]) == 5
        assert command in " ".join(capsys.readouterr().err.split())


def test_a_saved_model_without_variables_needs_no_freezing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "saved_model.pb").write_bytes(signed(GRAPH))
    assert invoke(["tf", "freeze", str(tmp_path), "-n", "out", "-o", str(tmp_path / "frozen.pb")]) == 5
    assert f"modelprep tf convert {tmp_path}" in capsys.readouterr().err
    (tmp_path / "saved_model.pb").write_bytes(signed(VARIABLE))
    assert invoke(["tf", "freeze", str(tmp_path), "-n", "out", "-o", str(tmp_path / "frozen.pb")]) == 2
    assert "there is no such checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["inspect"], ["tf", "inspect"]])
def test_both_commands_look_into_the_folder_of_a_saved_model(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "saved_model.pb").write_bytes(signed(GRAPH))
    assert invoke([*words, str(tmp_path)]) == 0
    assert "a TensorFlow SavedModel, 2 nodes" in capsys.readouterr().out


def test_lint_reads_the_folder_and_names_the_command_that_freezes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "saved_model.pb"
    for graph, command in ((GRAPH, "convert"), (VARIABLE, "freeze")):
        file.write_bytes(signed(graph))
        assert invoke(["lint", str(tmp_path), "--json"]) == 1
        (finding,) = json.loads(capsys.readouterr().out)["findings"]
        assert finding["rule"] == "TF02"
        assert finding["mend"].startswith(f"modelprep tf {command} MODEL")


def test_a_saved_model_of_tensorflow_2_is_named(tmp_path: Path) -> None:
    graph = Graph([Node("w", "VarHandleOp"), Node("out", "StatefulPartitionedCall", ["w"])])
    (tmp_path / "x").write_bytes(signed(b"".join(bytes(piece) for piece in encode_graph(graph))))
    with pytest.raises(StepError) as caught:
        read_graph(tmp_path / "x")
    assert "TensorFlow 2 wrote it" in (caught.value.hint or "")


def test_another_folder_lists_the_graphs_in_it(tmp_path: Path) -> None:
    (tmp_path / "frozen.pb").write_bytes(GRAPH)
    with pytest.raises(StepError, match="no SavedModel") as caught:
        read_any_graph(tmp_path)
    assert "frozen.pb" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["meta_info_def { tags: 'serve' }", "saved_model_schema_version: 1\nmeta_graphs { }"])
def test_their_text_forms_are_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.pbtxt").write_text(text)
    with pytest.raises(StepError, match="as text"):
        read_any_graph(tmp_path / "x.pbtxt")


@pytest.mark.parametrize("cut", range(1, len(FILES["a SavedModel"]), 7))
def test_a_damaged_file_is_an_error(cut: int, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(FILES["a SavedModel"][:cut])
    with pytest.raises(StepError):
        read_any_graph(tmp_path / "x")


@pytest.mark.parametrize("wrap", [meta, lambda graph: number_field(1, 1) + bytes_field(2, meta(graph, "serve"))])
def test_freezing_gives_what_the_plain_graph_gives(oracle: Any, tmp_path: Path, wrap: Callable[[bytes], bytes]) -> None:
    fact = oracle.findings["frozen"]["reference_saver"]
    (tmp_path / "wrapped").write_bytes(wrap((oracle.folder / "reference_saver.pb").read_bytes()))
    index = (oracle.folder / fact["checkpoint"]).with_suffix("")
    index = index.with_name(f"{(oracle.folder / fact['checkpoint']).name}.index")
    checkpoint = index if index.is_file() else oracle.folder / fact["checkpoint"]
    params = {"graph": tmp_path / "wrapped", "checkpoint": checkpoint, "outputs": tuple(fact["output"].split(","))}
    FREEZE.run(Call(params, tmp_path / "out"))
    FREEZE.run(Call({**params, "graph": oracle.folder / "reference_saver.pb"}, tmp_path / "plain"))
    assert (tmp_path / "out").read_bytes() == (tmp_path / "plain").read_bytes()
