"""tf.to_tflite: every source and mode, the same bytes twice, proven against the original; what cannot be is told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from steps import tflite_workshop

from modelprep.cli.main import invoke
from modelprep.errors import MissingTool
from modelprep.formats.tflite.model import read
from modelprep.steps import Call, find

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("tensorflow") is None:
        pytest.skip("TensorFlow, of the tf extra, makes and converts these models")
    folder = tmp_path_factory.mktemp("tflite")
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "-1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "ignore", tflite_workshop.__file__, str(folder)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert (folder / "told.json").is_file(), done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def told(workshop: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((workshop / "told.json").read_text())
    return found


GOOD = [name for name in tflite_workshop.CASES if not name.startswith("refused")]


@pytest.mark.parametrize("name", GOOD)
def test_a_model_is_converted_and_answers_as_the_original(name: str, workshop: Path, told: dict[str, Any]) -> None:
    facts = told[name].get("facts")
    assert facts is not None, told[name]
    agreement = facts["agreement"]
    assert agreement["cosine"] >= agreement["min_cosine"]
    assert agreement["inputs"] >= 2
    assert facts["tool"].startswith("tensorflow ")
    graph = read(workshop / f"{name}.tflite").main
    # What goes to a board has no open sizes.
    assert all(graph.tensors[i].shape[0] == 1 and -1 not in graph.tensors[i].signature for i in graph.inputs)


@pytest.mark.parametrize(("one", "other"), [("frozen", "frozen-again"), ("frozen", "text"), ("int8", "int8-again")])
def test_the_same_model_becomes_the_same_bytes(one: str, other: str, workshop: Path) -> None:
    assert (workshop / f"{one}.tflite").read_bytes() == (workshop / f"{other}.tflite").read_bytes()


@pytest.mark.parametrize(
    ("name", "dtypes"),
    [("int8", {"INT8"}), ("int8-uint8", {"UINT8"}), ("int8-float", {"FLOAT32"}), ("dynamic", {"FLOAT32"})],
)
def test_inputs_and_outputs_have_the_type_asked_for(name: str, dtypes: set[str], workshop: Path) -> None:
    graph = read(workshop / f"{name}.tflite").main
    assert {graph.tensors[i].dtype for i in (*graph.inputs, *graph.outputs)} == dtypes


def test_quantised_models_compute_in_integers_and_are_smaller(workshop: Path) -> None:
    sizes = {name: (workshop / f"{name}.tflite").stat().st_size for name in ("keras", "float16", "dynamic", "int8")}
    assert max(sizes, key=sizes.__getitem__) == "keras"
    graph = read(workshop / "int8.tflite").main
    assert {t.dtype for t in graph.tensors} <= {"INT8", "INT32", "INT64"}


def test_another_seed_takes_other_pictures(workshop: Path) -> None:
    assert (workshop / "int8-other-seed.tflite").read_bytes() != (workshop / "int8-float.tflite").read_bytes()


def test_a_model_of_several_inputs_or_of_bytes_is_calibrated_and_keeps_its_types(
    workshop: Path, told: dict[str, Any]
) -> None:
    two, data = (read(workshop / f"{name}.tflite").main for name in ("two-int8", "bytes-int8"))
    assert told["two-int8"]["facts"]["agreement"]["inputs"] == 30
    assert [two.tensors[i].dtype for i in two.inputs] == ["INT8", "INT8"]
    assert {tuple(two.tensors[i].shape) for i in two.inputs} == {(1, 4), (1, 6)}
    assert [data.tensors[i].dtype for i in data.inputs] == ["UINT8"]


@pytest.mark.parametrize(("name", "calibration"), [("two-inputs", "sets"), ("bytes", "pictures")])
def test_tflite_quantise_takes_the_same_calibration(
    name: str, calibration: str, workshop: Path, tmp_path: Path
) -> None:
    if not os.environ.get("MODELPREP_QUANTIZER") and find_spec("ai_edge_quantizer") is None:
        pytest.skip("no ai-edge-quantizer here: MODELPREP_QUANTIZER names none")
    step = find("tflite.quantise")
    params = {key: param.default for key, param in step.params.items()} | {
        "model": workshop / f"{name}.tflite", "preprocess": {"scale": 1}, "samples": 24,
        "min_cosine": 0.9, "min_top1": 0.8,  # the quantizer averages ranges: few values get clipped
        "calibration": tflite_workshop.files(workshop / calibration),
    }  # fmt: skip
    outputs = [tmp_path / "a.tflite", tmp_path / "b.tflite"]
    facts = [step.run(Call(params, output)) for output in outputs]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert facts[0] is not None
    assert facts[0]["agreement"]["inputs"] == 24  # type: ignore[index]
    assert facts[0]["agreement"]["cosine"] > 0.9  # type: ignore[index]


def test_agreement_of_the_top_class_is_of_the_calibration_set_alone(told: dict[str, Any]) -> None:
    assert told["int8"]["facts"]["agreement"]["top1"] >= 0.9
    assert told["int8"]["facts"]["agreement"]["inputs"] == 24
    assert told["dynamic"]["facts"]["agreement"]["top1"] is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("refused-cosine", "differs too much"),
        ("refused-size", "do not fit the model"),
        ("refused-two-inputs", "an .npz file"),
        ("refused-names", "bee [6]"),
        ("refused-range", "takes uint8"),
        ("refused-open-shape", "is not fixed"),
        ("refused-other-shape", "another shape"),
        ("refused-output", "no node 'nothing'"),
        ("refused-variables", "not frozen"),
        ("refused-operator", "cannot convert"),
        ("refused-page", "web page"),
        ("refused-half", "cannot convert"),
        ("refused-lambda", "cannot convert"),
    ],
)
def test_what_cannot_be_converted_is_told_and_leaves_nothing(
    name: str, text: str, workshop: Path, told: dict[str, Any]
) -> None:
    error = told[name]["error"]
    assert error["exit_code"] == 5
    assert text in json.dumps(error)
    assert str(workshop) not in str(error.get("got"))
    assert not (workshop / f"{name}.tflite").exists() or name == "refused-cosine"


def test_the_command_takes_a_saved_model_s_folder_and_a_folder_of_pictures(workshop: Path, tmp_path: Path) -> None:
    """TensorFlow runs in a process of its own here."""
    target = tmp_path / "o.tflite"
    words = ["tf", "to-tflite", str(workshop / "saved"), "-o", str(target), "--mode", "int8", "--input-type", "int8"]
    assert invoke([*words, "--calibration", str(workshop / "pictures"), "--preprocess", "scale=0.00392"]) == 0
    graph = read(target).main
    assert {graph.tensors[i].dtype for i in graph.inputs} == {"INT8"}


def test_tensorflow_s_version_is_part_of_the_key() -> None:
    tool = find("tf.to_tflite").tool
    assert tool is not None
    if find_spec("tensorflow") is None:
        with pytest.raises(MissingTool):
            tool({})
    else:
        assert re.fullmatch(r"tensorflow \d+\.\d+.*", tool({}))


def test_an_unsupported_operator_is_named(told: dict[str, Any]) -> None:
    assert "Betainc" in json.dumps(told["refused-operator"])
