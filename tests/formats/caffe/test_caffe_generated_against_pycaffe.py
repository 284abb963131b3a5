"""Four hundred generated nets, with weights in two forms, baked here and by a real Caffe: the same bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import generated_nets
import pytest

from modelprep.errors import StepError
from modelprep.formats.caffe import bake

HERE = Path(__file__).parent
MANY, FEW = 700, 60


def outcomes(first: int, last: int, folder: Path, pycaffe: str) -> tuple[int, int, list[str]]:
    """Bake what Caffe bakes; give how many nets it takes, how many files were compared, and what differs."""
    seeds = range(first, last)
    for seed in seeds:
        (folder / f"{seed}.prototxt").write_bytes(generated_nets.text(seed))
    oracle = [pycaffe, str(HERE / "generated_oracle.py"), str(folder)]
    subprocess.run(oracle, stderr=subprocess.DEVNULL, check=True)
    taken, compared, wrong = 0, 0, []
    for seed in seeds:
        structure = folder / f"{seed}.prototxt"
        forms = [form for form in ("whole", "legacy") if (folder / f"{seed}.{form}.saved").exists()]
        taken += bool(forms)
        for form in forms:
            ours = folder / f"{seed}.{form}.ours"
            try:
                bake.write_plan(bake.plan(structure, folder / f"{seed}.{form}"), ours)
            except StepError as error:
                # Caffe sets up a convolution of no outputs at all; we say that its window does not fit.
                if "window is larger" in error.what:
                    continue
                wrong.append(f"{seed} {form}: {error}")
                continue
            compared += 1
            if ours.read_bytes() != (folder / f"{seed}.{form}.saved").read_bytes():
                wrong.append(f"{seed} {form}: other bytes")
    return taken, compared, wrong


@pytest.mark.slow
def test_some_generated_nets_bake_to_what_caffe_saves(tmp_path: Path, pycaffe: str) -> None:
    taken, compared, wrong = outcomes(0, FEW, tmp_path, pycaffe)
    assert wrong == []
    assert taken >= FEW // 3
    assert compared >= taken


@pytest.mark.slow
def test_four_hundred_generated_nets_bake_to_what_caffe_saves(tmp_path: Path, pycaffe: str) -> None:
    taken, compared, wrong = outcomes(FEW, FEW + MANY, tmp_path, pycaffe)
    assert wrong == []
    assert taken >= 400
    assert compared >= 750
