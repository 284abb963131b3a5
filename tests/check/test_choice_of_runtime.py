"""Which runtime answers for the board: none without the extra, and never one of the working directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelprep.check.runtimes.choice import ready
from modelprep.errors import MissingTool


@pytest.mark.parametrize("parser", ["caffe", "tf", "tflite", "onnx"])
def test_without_numpy_the_extra_is_named(parser: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELPREP_PYARMNN", raising=False)
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(MissingTool, match="needs the extra check"):
        ready(tmp_path / "model", parser, "in", [1], ["out"])


def test_the_process_for_models_is_of_this_package_whatever_lies_in_the_working_directory(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "modelprep").mkdir()
    (tmp_path / "modelprep" / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    # Started as an installed command is, whose path begins with no working directory.
    script = (
        f"import sys; sys.path[0] = {str(repository)!r}\n"
        "from modelprep.check.runtimes import isolated\nimport os\nprint(isolated.call(os.getcwd))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(tmp_path), done.stderr
