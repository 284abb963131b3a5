"""Files that are mapped into memory: those that cannot be are refused in the words of their own kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelprep.errors import ModelprepError, StepError, StorageError
from modelprep.formats.mapped import MappedFile, forget
from modelprep.formats.onnx import model as onnx_model
from modelprep.formats.onnx.rename import Renamer
from modelprep.formats.tensorflow.read import read_graph
from modelprep.formats.tflite import model as tflite_model

READERS = {"ONNX file": onnx_model.read, "TF Lite file": tflite_model.read, "file": read_graph}


@pytest.mark.parametrize("what", READERS)
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, what: str) -> None:
    path = tmp_path / "model"
    path.touch()
    with pytest.raises(StepError, match=f"the {what} is empty") as caught:
        READERS[what](path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("what", READERS)
def test_what_is_not_there_or_a_folder_cannot_be_read(tmp_path: Path, what: str) -> None:
    with pytest.raises(StorageError, match=f"cannot read the {what}: No such file"):
        READERS[what](tmp_path / "gone")
    # A folder may be a SavedModel, for TensorFlow alone.
    graph = READERS[what] is read_graph
    kind, told = (StepError, "a folder and no SavedModel") if graph else (StorageError, "Is a directory")
    with pytest.raises(kind, match=told if graph else f"cannot read the {what}: {told}") as caught:
        READERS[what](tmp_path)
    assert not graph or caught.value.where == str(tmp_path)


def test_a_renaming_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "m").touch()
    with pytest.raises(StepError, match="the ONNX file is empty"):
        Renamer(tmp_path / "m", {"a": "b"}, {})


def test_a_view_outlives_the_file_it_looks_into(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    with MappedFile(tmp_path / "f") as file:
        part = file.view[3:6]
    (tmp_path / "f").unlink()
    assert bytes(part) == b"345"


def test_forgotten_pages_come_back(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 9000)
    with MappedFile(tmp_path / "f") as file:
        part = file.view[:4]
        for let_go in (file.forget, lambda: forget(part), lambda: forget(b"no file")):
            let_go()
            assert bytes(part) == b"xxxx"


def test_a_name_stands_for_a_path_in_errors(tmp_path: Path) -> None:
    (tmp_path / "blob").touch()
    with pytest.raises(ModelprepError) as caught:
        MappedFile(tmp_path / "blob", "model.pb")
    assert caught.value.where == "model.pb"
