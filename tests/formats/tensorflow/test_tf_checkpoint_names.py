"""A checkpoint is known by several names; the command takes any of them and says which of its files is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelprep.cli.tf import _files
from modelprep.errors import UsageError

PARTS = ("model.ckpt.data-00000-of-00002", "model.ckpt.data-00001-of-00002")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*PARTS, "model.ckpt.index", "model.ckpt.meta", "model.ckpt-2.data-00000-of-00001"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize("name", ["model.ckpt", "model.ckpt.index", "model.ckpt.meta", *PARTS])
def test_any_name_of_a_v2_checkpoint_gives_its_index_and_its_data(folder: Path, name: str) -> None:
    assert _files(folder / name) == (folder / "model.ckpt.index", {part: folder / part for part in PARTS})


@pytest.mark.parametrize("name", ["model.ckpt", "model.ckpt.index", *PARTS])
def test_a_missing_index_is_named_and_not_taken_for_damage(folder: Path, name: str) -> None:
    (folder / "model.ckpt.index").unlink()
    with pytest.raises(UsageError, match="index is not there") as caught:
        _files(folder / name)
    assert caught.value.expected == str(folder / "model.ckpt.index")
    assert PARTS[0] in (caught.value.got or "")


def test_one_file_is_a_v1_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "inception_v3.ckpt"
    path.write_bytes(b"x")
    assert _files(path) == (path, {})
    assert _files(tmp_path / "absent") == (tmp_path / "absent", {})
