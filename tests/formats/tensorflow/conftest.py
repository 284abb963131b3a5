"""What a real TensorFlow made, for the tests of this package: ``tf_oracle.py`` runs once, in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from once import once

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[2] / "modelprep"


class Oracle:
    """Where the files are, and what TensorFlow found (no dataclass: Hypothesis would print megabytes of it)."""

    def __init__(self, folder: Path, findings: dict[str, Any]) -> None:
        self.folder = folder
        self.findings = findings


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """Checkpoints, graphs and frozen graphs that TensorFlow wrote, and what it says of them."""
    if find_spec("tensorflow") is None:
        pytest.skip("the oracle is TensorFlow itself (extra tf), which is not installed")
    folder = once(tmp_path_factory, "tf-oracle", _ask)
    return Oracle(folder, json.loads((folder / "findings.json").read_text()))


def _ask(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, str(HERE / "tf_oracle.py"), str(folder), str(PACKAGE / "formats/tensorflow/schema.tsv")],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
