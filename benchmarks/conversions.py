"""Rows about conversions, from the scripts that measure them in depth, and about searching a folder of photos."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from timing import ROOT, Row


def _json(script: str, *words: str) -> dict[str, object]:
    command = [sys.executable, str(ROOT / "benchmarks" / script), "--json", *words]
    found: dict[str, object] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def bake(work: Path, rounds: int) -> list[Row]:
    """Bake a VGG-19, against cp."""
    found = _json("bake.py", "--folder", str(work), "--rounds", str(rounds))
    row = Row("bake of a VGG-19 (548 MiB), whole process, against cp", 1.5, values=[float(str(found["ratio"]))])
    row.note = f"peak {found['peak_mb']} MB; imports alone {found['idle_seconds']} s"
    return [row]


def freeze(work: Path, rounds: int) -> list[Row]:
    """Freeze an Inception v3, against TensorFlow's freeze_graph."""
    found = _json("freeze.py", str(work / "inception"), "--runs", str(rounds))
    row = Row("freeze of an Inception v3, times faster than TensorFlow", 15, more=True)
    row.values = [float(str(found["times_faster"]))]
    row.note = "the graphs are the same" if found["same_nodes"] else "THE GRAPHS ARE NOT THE SAME"
    return [row]


def photographs(work: Path, rounds: int) -> list[Row]:
    """Search a folder of photographs, against Pillow's decode and one pass of the network for each."""
    del work
    found: Any = _json("find_picture.py", "--rounds", str(rounds))
    row = Row("search of a folder of 12-megapixel photographs, against Pillow's decode and one pass of MobileNet", 1.5)
    row.values = [float(ratio) for ratio in found["ratios"]]
    row.note = f"{found['photographs']} photographs, none of which passes; {found['seconds']:.2f} s"
    return [row]
