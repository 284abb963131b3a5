"""One command for any model: it goes by the content, and says what the format's own command says."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Run
from cli.workshop import Workshop
from formats.tflite.tiny_tflite import tiny

import modelprep as library

NET = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
layer { name: "relu" type: "ReLU" bottom: "data" top: "out" }
"""
GRAPH = """
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
node { name: "y" op: "Relu" input: "x" attr { key: "T" value { type: DT_FLOAT } } }
"""
LABELS = struct.pack(">HBBI", 0, 8, 1, 3) + bytes([1, 2, 2])


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Write a model of each format, under names that do not say which."""
    contents: dict[str, bytes] = {
        "caffe": NET.encode(),
        "tf": GRAPH.encode(),
        "tflite": tiny(),
        "idx": gzip.compress(LABELS),
    }
    for name, data in contents.items():
        (tmp_path / f"a {name} file").write_bytes(data)
    return {name: tmp_path / f"a {name} file" for name in contents}


ALIASES = {"caffe": "inspect", "tf": "inspect", "tflite": "inspect", "idx": "info"}


@pytest.mark.parametrize("kind", ALIASES)
def test_a_model_is_told_by_its_content_and_as_its_own_command_tells_it(
    modelprep: Run, files: dict[str, Path], kind: str
) -> None:
    told = modelprep("inspect", files[kind], "--json", bare=True)
    own = modelprep(kind, ALIASES[kind], files[kind], "--json", bare=True)
    assert told.code == own.code == 0
    assert told.object == {"path": str(files[kind]), "format": kind, **own.object}
    assert (
        modelprep("inspect", files[kind], bare=True).out == modelprep(kind, ALIASES[kind], files[kind], bare=True).out
    )
    found = library.inspect(files[kind])
    assert found.format == kind
    assert json.loads(json.dumps(found.facts)) == own.object


def test_onnx_lists_its_nodes_where_everything_is_asked_for(modelprep: Run, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="an ONNX model is made")
    info = [onnx.helper.make_tensor_value_info(name, 1, [1, 3]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"], name="only")], "g", info[:1], info[1:])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "model.bin")
    assert "only" not in modelprep("inspect", tmp_path / "model.bin", bare=True).out
    assert "only" in modelprep("inspect", tmp_path / "model.bin", "-v", bare=True).out
    facts = modelprep("inspect", tmp_path / "model.bin", "--json", bare=True).object
    assert facts["format"] == "onnx"
    assert [node["name"] for node in facts["nodes"]] == ["only"]


def test_a_checkpoint_goes_by_any_of_its_files(modelprep: Run, tmp_path: Path) -> None:
    tensorflow = pytest.importorskip("tensorflow", reason="a checkpoint is written")
    variable = tensorflow.Variable([[1.0, 2.0]], name="weights")
    prefix = tensorflow.train.Checkpoint(weights=variable).save(str(tmp_path / "model.ckpt"))
    places = [prefix, f"{prefix}.index", f"{prefix}.data-00000-of-00001", str(tmp_path / "checkpoint"), str(tmp_path)]
    told: list[dict[str, Any]] = []
    for place in places:
        facts = modelprep("inspect", place, "--json", bare=True).object
        assert facts.pop("path") == place
        told.append(facts)
    assert all(each == told[0] for each in told)
    assert told[0]["format"] == "checkpoint"
    assert {"float32"} <= {tensor["dtype"] for tensor in told[0]["tensors"]}
    assert [1, 2] in [tensor["shape"] for tensor in told[0]["tensors"]]


def test_what_is_no_model_is_named(modelprep: Run, workshop: Workshop) -> None:
    for data, looks in ((b"<!DOCTYPE html><html></html>", "web page"), (b"%PDF-1.4 and more", "PDF"), (b"", "empty")):
        file = workshop.root / "file"
        file.write_bytes(data)
        ran = modelprep("inspect", file, bare=True)
        assert ran.code == 5
        assert looks in ran.err
    assert modelprep("inspect", workshop.root / "absent", bare=True).code == 2
    assert modelprep("inspect", workshop.root, bare=True).code == 5
