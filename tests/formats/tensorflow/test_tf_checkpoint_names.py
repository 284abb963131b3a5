"""A checkpoint is known by several names; any of them will do, and which of its files is not there is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelprep.errors import StepError, UsageError
from modelprep.formats.tensorflow.checkpoint.find import files_of
from modelprep.formats.tensorflow.checkpoint.open import open_checkpoint

PARTS = ("model.ckpt.data-00000-of-00002", "model.ckpt.data-00001-of-00002")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*PARTS, "model.ckpt.index", "model.ckpt.meta", "model.ckpt-2.data-00000-of-00001"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def whole(folder: Path) -> tuple[Path, dict[str, Path]]:
    return folder / "model.ckpt.index", {part: folder / part for part in PARTS}


@pytest.mark.parametrize("name", ["model.ckpt", "model.ckpt.index", "model.ckpt.meta", *PARTS])
def test_any_name_of_a_v2_checkpoint_gives_its_index_and_its_data(folder: Path, name: str) -> None:
    assert files_of(folder / name) == whole(folder)


@pytest.mark.parametrize("name", ["model.ckpt", "model.ckpt.index", *PARTS])
def test_a_missing_index_is_named_and_not_taken_for_damage(folder: Path, name: str) -> None:
    (folder / "model.ckpt.index").unlink()
    with pytest.raises(UsageError, match="index is not there") as caught:
        files_of(folder / name)
    assert caught.value.expected == str(folder / "model.ckpt.index")
    assert PARTS[0] in (caught.value.got or "")


def test_one_file_is_a_v1_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "inception_v3.ckpt"
    path.write_bytes(b"x")
    assert files_of(path) == (path, {})
    assert files_of(tmp_path / "inception_v3.ckpt.meta") == (path, {})


@pytest.mark.parametrize("name", ["absent", "a/b", "/"])
def test_what_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises((UsageError, StepError)):
        files_of(tmp_path / name if name != "/" else Path("/"))


LISTS = {
    "as TensorFlow writes it": 'model_checkpoint_path: "model.ckpt"\nall_model_checkpoint_paths: "model.ckpt-1"\n',
    "with another folder's path": 'all_model_checkpoint_paths: "x"\nmodel_checkpoint_path: "/home/me/model.ckpt"\n',
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_the_list_of_checkpoints_and_its_folder_lead_to_the_latest(
    folder: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "checkpoint").write_text(text)
    assert files_of(folder / "checkpoint") == whole(folder)
    assert files_of(folder) == whole(folder)
    monkeypatch.chdir(folder)
    assert files_of(Path()) == (Path("model.ckpt.index"), {part: Path(part) for part in PARTS})


def test_a_list_that_names_what_is_not_there_lists_what_is(folder: Path) -> None:
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-99"\n')
    with pytest.raises(StepError, match=r"names 'model\.ckpt-99', which is not there") as caught:
        files_of(folder)
    assert "model.ckpt" in (caught.value.got or "")


def test_a_folder_without_a_list_is_its_only_checkpoint_or_is_refused(folder: Path) -> None:
    assert files_of(folder) == whole(folder)
    (folder / "other.index").write_bytes(b"x")
    with pytest.raises(StepError, match="several checkpoints") as caught:
        files_of(folder)
    assert "other" in (caught.value.hint or "")


def test_a_saved_models_folder_leads_to_its_variables(tmp_path: Path) -> None:
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").write_bytes(b"x")
    assert files_of(tmp_path) == (tmp_path / "variables" / "variables.index", {})


def test_a_list_on_its_own_is_named_where_nothing_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "blob").write_text('model_checkpoint_path: "model.ckpt"\n')
    with pytest.raises(StepError, match="list of checkpoints") as caught:
        open_checkpoint(tmp_path / "blob", {"model.ckpt.data-00000-of-00001": tmp_path / "blob"})
    assert "model.ckpt" in str(caught.value)
