"""tflite.vela: the same bytes twice, what stays on the CPU is named, and a program that is missing or fails is told."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from formats.tflite.tiny_tflite import tiny

from modelprep.errors import MissingTool, RecipeError, StepError
from modelprep.formats.tflite.model import read
from modelprep.steps import Call, find, tflite_vela

STEP = find("tflite.vela")
DEFAULTS = {name: param.default for name, param in STEP.params.items()}


@pytest.fixture
def vela() -> str:
    """A real Vela; `make test` puts one into an environment of its own."""
    program = os.environ.get("MODELPREP_VELA")
    if not program:
        pytest.skip("no Vela here: MODELPREP_VELA names none")
    return program


@pytest.fixture
def quantised(upstream: Path) -> Path:
    return upstream / "extra/google-coral_edgetpu/test_data/mobilenet_v1_0.25_128_quant.tflite"


def compiled(model: Path, output: Path, warned: list[str] | None = None, **params: object) -> Any:
    call = Call({**DEFAULTS, "model": model, **params}, output, warn=(warned if warned is not None else []).append)
    return STEP.run(call)


def program(folder: Path, body: str) -> str:
    """Write a stand-in for the program, in Python."""
    path = folder / "vela"
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}")
    path.chmod(0o755)
    return str(path)


VERSION = "if '--version' in sys.argv: print('9.9.9'); sys.exit()\n"


def test_a_quantised_mobilenet_runs_whole_on_the_npu_and_compiles_to_the_same_bytes_twice(
    vela: str, quantised: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "a.tflite", tmp_path / "b.tflite"
    facts = compiled(quantised, first, all_npu=True)
    compiled(quantised, second)
    assert first.read_bytes() == second.read_bytes()
    assert facts["cpu_operators"] == 0
    assert facts["npu_operators"] > 20
    made = read(first)
    assert "ethos-u" in {operator.custom for operator in made.main.operators}
    before = read(quantised)
    assert [made.main.tensors[i].shape for i in made.main.inputs] == [
        before.main.tensors[i].shape for i in before.main.inputs
    ]


def test_operators_that_stay_on_the_cpu_are_named_and_refused_where_all_must_run_on_the_npu(
    vela: str, tmp_path: Path
) -> None:
    model = tmp_path / "float.tflite"
    model.write_bytes(tiny())
    warned: list[str] = []
    facts = compiled(model, tmp_path / "o.tflite", warned)
    assert facts["cpu_operators"] == 1
    assert "1 of 1 operators stay on the CPU: ADD '" in warned[-1]
    assert "unsupported DataType Float32" in warned[-1]
    with pytest.raises(StepError, match="cannot run on the NPU") as caught:
        compiled(model, tmp_path / "p.tflite", all_npu=True)
    assert "ADD" in str(caught.value.got)
    assert not (tmp_path / "p.tflite").exists()


def test_another_version_than_the_boards_is_a_warning(vela: str, quantised: Path, tmp_path: Path) -> None:
    warned: list[str] = []
    compiled(quantised, tmp_path / "o.tflite", warned, expected_version="0.0.1")
    assert "the board's release has Vela 0.0.1, this model is compiled with vela " in warned[0]
    assert "MODELPREP_VELA comes before it" in warned[0]


def test_an_installed_vela_of_the_boards_version_comes_before_path_and_after_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stand-ins that tell a version of their own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for folder, version in (
        ("path", "5.2.0"), ("named", "4.3.0"), ("data/modelprep/tools/vela-3.12.0/bin", "3.12.0")
    ):  # fmt: skip
        (tmp_path / folder).mkdir(parents=True)
        program(tmp_path / folder, f"print({version!r})\n")
    monkeypatch.delenv("MODELPREP_VELA", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert STEP.tool is not None
    assert STEP.tool(DEFAULTS) == "vela 5.2.0"
    assert STEP.tool({**DEFAULTS, "expected_version": "3.12.0"}) == "vela 3.12.0"
    assert STEP.tool({**DEFAULTS, "expected_version": "4.1.0"}) == "vela 5.2.0"
    if find_spec("ethosu") is None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert STEP.tool(DEFAULTS) == "vela 3.12.0"
    monkeypatch.setenv("MODELPREP_VELA", str(tmp_path / "named/vela"))
    assert STEP.tool({**DEFAULTS, "expected_version": "3.12.0"}) == "vela 4.3.0"


@pytest.mark.parametrize(
    ("version", "python", "more"),
    [("3.6.0", "python3.9", " 'numpy<1.24'"), ("3.12.0", "python3", " 'numpy<2'"), ("4.1.0", "python3", ""),
     ("10.0.0", "python3", "")],
)  # fmt: skip
def test_without_any_vela_the_hint_installs_the_boards_version_where_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, python: str, more: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("MODELPREP_VELA", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if find_spec("ethosu") is not None:
        pytest.skip("the extra vela is installed in this environment")
    folder = tmp_path / f"modelprep/tools/vela-{version}"
    with pytest.raises(MissingTool) as caught:
        tflite_vela.VELA.of_version(version).command()
    assert caught.value.hint == (
        f"{python} -m venv {folder} && {folder}/bin/pip install ethos-u-vela=={version}{more}"
    )  # fmt: skip


def test_the_version_of_the_program_is_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPREP_VELA", program(tmp_path, VERSION))
    assert STEP.tool is not None
    assert STEP.tool(DEFAULTS) == "vela 9.9.9"


@pytest.mark.parametrize("body", ["sys.exit(3)", "print('x'); sys.exit(1)"])
def test_a_program_that_does_not_tell_its_version_is_no_vela(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setenv("MODELPREP_VELA", program(tmp_path, body))
    with pytest.raises(MissingTool):
        tflite_vela.VELA.version()


def test_without_the_program_the_hint_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELPREP_VELA", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if find_spec("ethosu") is not None:
        pytest.skip("the extra vela is installed in this environment")
    with pytest.raises(MissingTool, match="vela is not installed") as caught:
        tflite_vela.VELA.command()
    assert "vela]" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("print('Error: Invalid tensor'); sys.exit(1)", "Invalid tensor"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("print('CPU operators = 0')", "wrote no model"),
    ],
)
def test_a_program_that_fails_ends_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, text: str
) -> None:
    monkeypatch.setenv("MODELPREP_VELA", program(tmp_path, VERSION + body))
    model = tmp_path / "m.tflite"
    model.write_bytes(tiny())
    with pytest.raises(StepError) as caught:
        compiled(model, tmp_path / "o.tflite")
    assert text in str(caught.value)
    assert not (tmp_path / "o.tflite").exists()


def test_a_result_with_other_inputs_is_refused(upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that answers with another model: what it wrote is read, not believed."""
    other = upstream / "extra/google-coral_edgetpu/test_data/mobilenet_v1_0.25_128_quant.tflite"
    body = (
        "import pathlib, shutil\npathlib.Path('made').mkdir()\n"
        f"shutil.copy({str(other)!r}, 'made/model_vela.tflite')\n"
        "print('CPU operators = 0')\nprint('NPU operators = 1')\n"
    )
    monkeypatch.setenv("MODELPREP_VELA", program(tmp_path, VERSION + body))
    model = tmp_path / "m.tflite"
    model.write_bytes(tiny())
    with pytest.raises(StepError, match="other inputs or outputs"):
        compiled(model, tmp_path / "o.tflite")


def test_a_soc_without_an_ethos_u_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPREP_VELA", program(tmp_path, VERSION))
    model = tmp_path / "m.tflite"
    model.write_bytes(tiny())
    with pytest.raises(RecipeError, match="no Ethos-U"):
        compiled(model, tmp_path / "o.tflite", soc="imx95")
