"""onnx.to_tflite: onnx2tf out of process, no network, its version without starting it; a failure is told."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from check.proof_cases import onnx_file
from formats.tflite.tiny_tflite import tiny

import modelprep
from modelprep.errors import MissingTool, StepError
from modelprep.formats.tflite.model import read
from modelprep.steps import Call, find, onnx_to_tflite

np = pytest.importorskip("numpy", reason="the step needs numpy, of the check extra")
STEP = find("onnx.to_tflite")


def stand_in(folder: Path, body: str, version: str = "1.2.3") -> str:
    """Write a program in onnx2tf's place."""
    path = folder / "onnx2tf"
    path.write_text(
        f"#!{sys.executable}\nimport os, pathlib, sys\nif '--version' in sys.argv: print('{version}'); "
        f"print('a log line', os.getpid(), file=sys.stderr); sys.exit()\n{body}"
    )
    path.chmod(0o755)
    return str(path)


WRITES = "pathlib.Path('made').mkdir(); pathlib.Path('made/model_float32.tflite').write_bytes({data!r})"


def converted(folder: Path, **params: object) -> Any:
    model = onnx_file(folder)
    return STEP.run(Call({"model": model, "keep_nchw": None, **params}, folder / "o.tflite"))


def test_the_program_gets_the_model_and_no_way_to_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        "assert os.environ['HTTPS_PROXY'] == 'http://127.0.0.1:9'\nassert pathlib.Path('model.onnx').is_file()\n"
        "assert list(pathlib.Path('.').glob('calibration_image_sample_data*'))\n"
        "assert sys.argv[sys.argv.index('-k') + 1] == 'in'\n"
    )
    monkeypatch.setenv("MODELPREP_ONNX2TF", stand_in(tmp_path, body + WRITES.format(data=tiny())))
    facts = converted(tmp_path, keep_nchw=("in",))
    assert facts["tool"] == "onnx2tf 1.2.3"
    assert (tmp_path / "o.tflite").read_bytes() == tiny()


@pytest.mark.parametrize(
    ("body", "text"), [("sys.exit('operator X is not supported')", "operator X"), ("", "wrote no model")]
)
def test_a_program_that_fails_ends_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, text: str
) -> None:
    monkeypatch.setenv("MODELPREP_ONNX2TF", stand_in(tmp_path, body))
    with pytest.raises(StepError) as caught:
        converted(tmp_path)
    assert text in str(caught.value)
    assert not (tmp_path / "o.tflite").exists()


def test_the_version_comes_from_the_metadata_beside_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starting the program loads TensorFlow; and what it logs is another text each time."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 7.7\n")
    python.chmod(0o755)
    monkeypatch.setenv("MODELPREP_ONNX2TF", stand_in(tmp_path, "", version="not asked"))
    assert onnx_to_tflite.ONNX2TF.version() == "onnx2tf 7.7"


def test_without_the_program_the_hint_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("onnx2tf") is not None:
        pytest.skip("onnx2tf is installed in this environment")
    monkeypatch.delenv("MODELPREP_ONNX2TF", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool) as caught:
        onnx_to_tflite.ONNX2TF.version()
    assert "pip install onnx2tf" in str(caught.value.hint)


@pytest.mark.slow
def test_a_result_that_computes_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert", reason="LiteRT, of the check extra, runs the result")
    monkeypatch.setenv("MODELPREP_ONNX2TF", stand_in(tmp_path, WRITES.format(data=tiny())))
    model = onnx_file(tmp_path)
    with pytest.raises(StepError, match="computes different numbers"):
        modelprep.convert("onnx.to_tflite", {"model": model}, tmp_path / "o.tflite")
    assert not (tmp_path / "o.tflite").exists()


@pytest.mark.slow
def test_a_small_model_is_converted_and_the_same_bytes_come_twice(tmp_path: Path) -> None:
    if not os.environ.get("MODELPREP_ONNX2TF") and find_spec("onnx2tf") is None:
        pytest.skip("no onnx2tf here: MODELPREP_ONNX2TF names none")
    model = onnx_file(tmp_path)
    for name in ("a", "b"):
        made = modelprep.convert("onnx.to_tflite", {"model": model}, tmp_path / name)
        assert made.verified.proof is not None
        assert made.verified.proof.outcome == "same"
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert [operator.name for operator in read(tmp_path / "a").main.operators] == ["ADD"]
