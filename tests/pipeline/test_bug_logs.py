"""A bug's traceback is kept in one file, and the message names it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from modelprep.errors import Interrupted, UsageError
from modelprep.pipeline.run.errors import as_error


def test_a_bug_is_written_down_once_and_the_message_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    try:
        raise RuntimeError("ours")
    except RuntimeError as caught:
        texts = {str(as_error(caught)) for _ in range(2)}
    (log,) = tmp_path.iterdir()
    assert len(texts) == 1
    assert str(log) in texts.pop()
    assert log.read_text().endswith("RuntimeError: ours\n")


@pytest.mark.parametrize("caught", [UsageError("x"), Interrupted("x"), KeyboardInterrupt(), OSError(2, "gone", "f")])
def test_what_is_no_bug_leaves_no_file(caught: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    as_error(caught)
    assert not list(tmp_path.iterdir())
