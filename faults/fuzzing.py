"""Fuzzing every reader in turn: each in a separate process (:mod:`fuzz`), for its share of the time."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from card import ROOT, Row
from readers import READERS

#: Inputs that were found before are kept and tried first.
CORPUS = ROOT / ".fuzz"


def fuzz(name: str, seconds: float) -> str:
    """Fuzz one reader; what it finds lies in ``.fuzz/`` and is named."""
    command = [sys.executable, str(Path(__file__).with_name("fuzz.py")), name, str(CORPUS), str(max(2, round(seconds)))]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    said = ran.stdout + ran.stderr
    assert "No module named 'atheris'" not in said, "atheris is not installed: pip install atheris"
    if ran.returncode != 0:
        print(said[-4000:])
    found = re.search(rf"{re.escape(str(CORPUS))}/\S+", said)
    assert ran.returncode == 0, f"a finding: {found[0] if found else said.strip().splitlines()[-1]}"
    count = re.search(r"number_of_executed_units: (\d+)", said)
    return f"{int(count[1]) if count else 0:,} inputs, no finding"


def rows(seconds: float) -> list[Row]:
    """Return a row for each reader, the time shared out evenly."""
    share = seconds / len(READERS)
    return [Row(name, lambda name=name: fuzz(name, share)) for name in READERS]  # type: ignore[misc]
