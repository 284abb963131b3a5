"""``modelprep tflite`` as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tiny_tflite import tiny

ROOT = Path(__file__).resolve().parents[3]
SOFTMAX = "MobilenetV2/Predictions/Softmax"


def modelprep(*words: str | Path) -> subprocess.CompletedProcess[str]:
    words_ = [sys.executable, "-m", "modelprep", *map(str, words)]
    return subprocess.run(words_, cwd=ROOT, capture_output=True, text=True, check=False)


def test_inspect_shows_inputs_outputs_and_operators(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny())
    done = modelprep("tflite", "inspect", path, "--tensors")
    assert done.returncode == 0, done.stderr
    assert SOFTMAX in done.stdout
    assert "ADD" in done.stdout
    facts = json.loads(modelprep("tflite", "inspect", path, "--json").stdout)
    assert facts["subgraphs"][0]["inputs"] == ["input"]
    assert facts["subgraphs"][0]["operators"][0]["options"] == {
        "fused_activation_function": "RELU",
        "pot_scale_int16": True,
    }
    assert modelprep("tflite", "inspect", path, "--quiet").stdout.split() == ["input", SOFTMAX]


def test_rename_io_writes_a_new_file_and_never_over_another(tmp_path: Path) -> None:
    path, out = tmp_path / "m.tflite", tmp_path / "out.tflite"
    path.write_bytes(tiny())
    words = ("tflite", "rename-io", path, "-o", out, "--rename-output", f"{SOFTMAX}=output")
    assert modelprep(*words).returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.tflite", "out.tflite"]
    again = modelprep(*words)
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert modelprep(*words, "--force").returncode == 0
    onto_itself = modelprep("tflite", "rename-io", path, "-o", path, "--force", "--rename-output", f"{SOFTMAX}=output")
    assert onto_itself.returncode == 2
    assert path.read_bytes() == tiny()


def test_a_bad_file_is_one_message_and_exit_code_5(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny()[:100])
    done = modelprep("tflite", "inspect", path)
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert json.loads(modelprep("tflite", "inspect", path, "--json").stdout)["error"] == "step"


def test_naming_nothing_to_rename_is_wrong_usage(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny())
    assert modelprep("tflite", "rename-io", path, "-o", tmp_path / "o").returncode == 2
    assert modelprep("tflite", "rename-io", path, "-o", tmp_path / "o", "--rename-input", "input").returncode == 2
