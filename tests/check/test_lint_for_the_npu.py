"""lint --for ethos-u: Vela's own answer, operator by operator, with the constraint that it breaks."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from formats.tflite.tiny_tflite import tiny

from modelprep.check.lint import examine
from modelprep.cli.main import invoke
from modelprep.errors import MissingTool, UsageError


@pytest.fixture
def vela() -> None:
    """A real Vela; `make test` puts one into an environment of its own."""
    if not os.environ.get("MODELPREP_VELA"):
        pytest.skip("no Vela here: MODELPREP_VELA names none")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "float.tflite"
    path.write_bytes(tiny())
    return path


def stand_in(folder: Path, said: str) -> str:
    """Write a program in Vela's place that says what another version would, and copies the model."""
    path = folder / "vela"
    path.write_text(
        f"#!{sys.executable}\nimport sys, pathlib, shutil\nif '--version' in sys.argv: print('3.2.0'); sys.exit()\n"
        f"pathlib.Path('made').mkdir()\nshutil.copy('model.tflite', 'made/model_vela.tflite')\nprint({said!r})\n"
    )
    path.chmod(0o755)
    return str(path)


def test_a_float_model_has_nothing_for_the_npu_and_each_operator_says_why(vela: None, model: Path) -> None:
    first, second = examine(model, "ethos-u")
    assert (first.rule, first.serious) == ("EU02", True)
    assert second.where.startswith("ADD '")
    assert "Float32" in second.what
    assert not second.serious
    assert all(finding.serious for finding in examine(model, "ethos-u65-256", all_npu=True))


def test_a_quantised_mobilenet_is_taken_whole(vela: None, upstream: Path) -> None:
    model = upstream / "extra/google-coral_edgetpu/test_data/mobilenet_v1_0.25_128_quant.tflite"
    assert examine(model, "ethos-u", all_npu=True) == []


def test_the_command_ends_1_where_nothing_runs_on_the_npu(
    vela: None, model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert invoke(["lint", str(model), "--for", "ethos-u", "--json", "--sarif", str(tmp_path / "log.sarif")]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [finding["rule"] for finding in found] == ["EU02", "EU01"]
    assert found[0]["mend"].startswith("modelprep tflite quantise")
    assert json.loads((tmp_path / "log.sarif").read_text())["runs"][0]["results"]


OLDER = (
    "Warning: SOFTMAX 'MobilenetV2/Predictions/Softmax' is not supported on the NPU. Placing on CPU instead\n"
    " - The width must be in the range [1, 65536]\n   Width is: 70000\n"
    "CPU operators = 1 (50.0%)\n   CPU: Passthrough = MobilenetV2/Predictions/Softmax (outputs [1])\n"
    "NPU operators = 1 (50.0%)\n"
)


def test_the_words_of_an_older_vela_are_read_too(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELPREP_VELA", stand_in(tmp_path, OLDER))
    (finding,) = examine(model, "ethos-u")
    assert "range [1, 65536]" in finding.detail
    assert "70000" in finding.detail
    assert invoke(["lint", str(model), "--for", "ethos-u"]) == 0
    assert invoke(["lint", str(model), "--for", "ethos-u", "--all-npu"]) == 1


def test_what_vela_does_not_compile_is_one_finding(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPREP_VELA", stand_in(tmp_path, "nothing of use"))
    (finding,) = examine(model, "ethos-u")
    assert finding.rule == "EU03"
    model.write_bytes(b"TFL3TFL3" + bytes(100))
    (finding,) = examine(model, "ethos-u")
    assert (finding.rule, finding.serious) == ("EU03", True)


def test_without_vela_there_is_no_answer(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPREP_VELA", str(tmp_path / "nothing"))
    with pytest.raises(MissingTool):
        examine(model, "ethos-u")
    assert invoke(["lint", str(model), "--for", "ethos-u"]) == 7


def test_a_test_of_arm_nn_is_no_question_to_vela(model: Path) -> None:
    assert invoke(["lint", str(model), "--for", "ethos-u", "--test", "TfLiteMobilenetQuantized-Armnn"]) == 2


def test_another_kind_of_model_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"x")
    with pytest.raises(UsageError, match="accepts only TF Lite files"):
        examine(tmp_path / "m.onnx", "ethos-u")


def test_the_nearest_target_is_offered(model: Path) -> None:
    with pytest.raises(UsageError) as caught:
        examine(model, "ethos-u66-256")
    assert "ethos-u65-256" in str(caught.value.hint)
