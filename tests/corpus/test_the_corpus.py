"""Every command over many models: nothing ends in a traceback, nothing that is written is invalid."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import corpus_models
import corpus_run
import pytest

pytest.importorskip("onnxruntime", reason="the extras onnx and check make and run the models")
pytest.importorskip("ai_edge_litert", reason="the extra check runs TF Lite models")
UPSTREAM = Path(__file__).parents[2].parent / "shared" / "upstream"


def clean(rows: list[corpus_run.Row]) -> None:
    wrong = [str(row) for row in rows if row.outcome in ("traceback", "invalid", "crash")]
    assert not wrong, "\n".join(wrong)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


@pytest.mark.slow
def test_generated_models_of_every_kind_are_converted_and_verified_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    assert corpus_models.write(folder, 7, library=2) == 8
    (folder / "notes.txt").write_text("no model")
    rows = list(corpus_run.over(folder, each=1, slow=False))
    clean(rows)
    assert {Path(row.file).suffix for row in rows} == {".onnx", ".pb", ".prototxt", ".tflite"}
    outcomes = Counter(row.outcome for row in rows)
    assert outcomes["accepted"] > outcomes["refused"]
    assert any("numbers" in row.verified for row in rows)
    assert all(row.message for row in rows if row.outcome == "refused")
    assert f"{outcomes['accepted']} accepted" in corpus_run.summary(rows)


def test_the_same_seed_gives_the_same_model() -> None:
    for make, _ in corpus_models.MAKERS.values():
        assert make(7) == make(7)


@pytest.mark.slow
@pytest.mark.skipif(not UPSTREAM.is_dir(), reason="needs the real model files beside the checkout")
def test_real_files_are_converted_and_verified_or_refused() -> None:
    clean(list(corpus_run.over(UPSTREAM, slow=False)))
