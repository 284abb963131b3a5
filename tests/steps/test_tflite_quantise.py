"""tflite.quantise: smaller models that answer alike, the same bytes twice; a quantizer that fails is told."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from formats.tflite.tiny_tflite import tiny

import modelprep
from modelprep.errors import MissingTool, RecipeError, StepError
from modelprep.formats.tflite.model import read
from modelprep.steps import Call, find, tflite_quantise

np = pytest.importorskip("numpy", reason="calibration inputs are arrays: the check extra")
STEP = find("tflite.quantise")
DEFAULTS = {name: param.default for name, param in STEP.params.items()}


@pytest.fixture
def quantizer() -> None:
    """A real quantizer; `make test` puts one into an environment of its own."""
    if not os.environ.get("MODELPREP_QUANTIZER") and find_spec("ai_edge_quantizer") is None:
        pytest.skip("no ai-edge-quantizer here: MODELPREP_QUANTIZER names none")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "float.tflite"
    path.write_bytes(tiny())
    return path


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    rng = np.random.default_rng(2)
    files = {f"{n}.npy": tmp_path / f"{n}.npy" for n in range(10)}
    for path in files.values():
        np.save(path, rng.uniform(-1, 1, 4).astype(np.float32))
    return files


def quantised(model: Path, output: Path, **params: object) -> Any:
    return STEP.run(Call({**DEFAULTS, "model": model, **params}, output))


def stand_in(folder: Path, body: str) -> str:
    """Write a program in the quantizer's place, which is an interpreter's."""
    path = folder / "python-of-its-own"
    path.write_text(f"#!{sys.executable}\nimport sys\nif 'version' in sys.argv[2]: print('9.9'); sys.exit()\n{body}")
    path.chmod(0o755)
    return str(path)


def test_a_float_model_is_quantised_to_integers_and_to_the_same_bytes_twice(
    quantizer: None, model: Path, inputs: dict[str, Path], tmp_path: Path
) -> None:
    first, second = tmp_path / "a.tflite", tmp_path / "b.tflite"
    facts = quantised(model, first, calibration=inputs)
    quantised(model, second, calibration=dict(reversed(inputs.items())))
    assert first.read_bytes() == second.read_bytes()
    assert facts["tool"].startswith("ai-edge-quantizer ")
    assert facts["agreement"]["inputs"] == 10
    assert facts["agreement"]["cosine"] > 0.99
    assert {tensor.dtype for tensor in read(first).main.tensors} == {"INT8"}


def test_a_difference_beyond_the_tolerance_is_refused(
    quantizer: None, model: Path, inputs: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(StepError, match="differs too much"):
        quantised(model, tmp_path / "o.tflite", calibration=inputs, min_cosine=1.0)
    assert not (tmp_path / "o.tflite").exists()


def test_inputs_that_do_not_fit_are_told(quantizer: None, model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "five.npy", np.ones(5))
    with pytest.raises(StepError, match="do not fit the model"):
        quantised(model, tmp_path / "o.tflite", calibration={"five.npy": tmp_path / "five.npy"})


def test_integers_need_a_calibration_set(model: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="needs a calibration set"):
        quantised(model, tmp_path / "o.tflite")


def test_a_quantised_model_is_not_quantised_again(upstream: Path, tmp_path: Path) -> None:
    model = upstream / "extra/google-coral_edgetpu/test_data/mobilenet_v1_0.25_128_quant.tflite"
    with pytest.raises(StepError, match="only a float model"):
        quantised(model, tmp_path / "o.tflite", mode="dynamic")


def test_the_version_is_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPREP_QUANTIZER", stand_in(tmp_path, ""))
    assert STEP.tool is not None
    assert STEP.tool(DEFAULTS) == "ai-edge-quantizer 9.9"


@pytest.mark.parametrize("body", ["sys.exit('ValueError: no such operator')", "raise ValueError('no such operator')"])
def test_a_quantizer_that_fails_ends_the_step(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setenv("MODELPREP_QUANTIZER", stand_in(tmp_path, body))
    with pytest.raises(StepError, match="cannot quantize") as caught:
        quantised(model, tmp_path / "o.tflite", mode="dynamic")
    assert "no such operator" in str(caught.value.got)
    assert not (tmp_path / "o.tflite").exists()


def test_a_variable_that_names_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPREP_QUANTIZER", str(tmp_path / "nothing"))
    with pytest.raises(MissingTool, match="cannot be run"):
        tflite_quantise.interpreter()


def test_the_command_on_path_names_the_python_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("aeq", "python"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.delenv("MODELPREP_QUANTIZER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tflite_quantise.interpreter() == str(tmp_path / "python")


def test_without_a_quantizer_the_hint_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("ai_edge_quantizer") is not None:
        pytest.skip("the extra quantise is installed in this environment")
    monkeypatch.delenv("MODELPREP_QUANTIZER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="not installed") as caught:
        tflite_quantise.interpreter()
    assert "quantise]" in str(caught.value.hint)
    assert caught.value.exit_code == 7


def test_a_python_without_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("ai_edge_quantizer") is not None:
        pytest.skip("the extra quantise is installed in this environment")
    monkeypatch.setenv("MODELPREP_QUANTIZER", sys.executable)
    assert STEP.tool is not None
    with pytest.raises(MissingTool, match="has no ai-edge-quantizer"):
        STEP.tool(DEFAULTS)


def test_a_recipe_keeps_how_well_the_quantised_model_agrees_and_check_tells_it(
    quantizer: None, model: Path, inputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from modelprep.cli.main import invoke

    folder = tmp_path / "recipes" / "own"
    folder.mkdir(parents=True)
    model.rename(folder / "net.tflite")
    lines = ["schema: 1", "demo: net", "summary: a quantised net", "status: ready", "tree: net", "assets:"]
    for name, path in {
        "model": folder / "net.tflite",
        **{f"in{n}": path for n, path in enumerate(inputs.values())},
    }.items():
        (folder / path.name).write_bytes(path.read_bytes())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(
            f"  {name}: {{urls: [file:{path.name}], sha256: {digest}, pinned_by: this test, licence: CC0-1.0}}"
        )
    lines += [
        "steps:", "  - id: small", "    uses: tflite.quantise",
        f"    with: {{model: $model, samples: 6, calibration: [{', '.join(f'$in{n}' for n in range(len(inputs)))}]}}",
        "install: {models/net.tflite: $small}",
    ]  # fmt: skip
    (folder / "net.yaml").write_text("\n".join(lines) + "\n")
    where = ["--recipes", str(folder.parent), "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out")]
    assert invoke(["fetch", "own/net", *where]) == 0
    capsys.readouterr()
    invoke(["check", "own/net", *where, "--json"])
    (proof,) = json.loads(capsys.readouterr().out.splitlines()[-1])["checks"][0]["proofs"]
    assert proof["outcome"] == "same"
    assert "of 6 calibration inputs" in proof["reason"]


def test_the_verb_tells_how_well_the_result_agrees(
    quantizer: None, model: Path, inputs: dict[str, Path], tmp_path: Path
) -> None:
    params = {"model": model, "calibration": list(inputs.values())}
    made = modelprep.convert("tflite.quantise", params, tmp_path / "o.tflite")
    assert any("verified: cosine similarity" in note for note in made.verified.notes)
