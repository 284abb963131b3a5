"""Checkpoints of both forms, as TensorFlow wrote them, and what damage does to them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelprep.errors import ModelprepError, StepError, UsageError
from modelprep.formats.tensorflow.checkpoint.open import open_checkpoint
from modelprep.formats.tensorflow.slices import Slice

pytestmark = pytest.mark.slow  # TensorFlow writes the checkpoints


@pytest.mark.parametrize("form", ["types.v1", "types.v2"])
def test_every_type_and_shape_has_the_bytes_that_tensorflow_saved(oracle: Any, form: str) -> None:
    expected = oracle.findings[form]
    with open_checkpoint(oracle.folder / form) as checkpoint:
        assert checkpoint.version == form[-2:].upper()
        assert sorted(checkpoint.stored) == sorted(expected)
        for name, fact in expected.items():
            tensor = checkpoint.read(name)
            assert (tensor.dtype.number, list(tensor.shape)) == (fact["dtype"], fact["shape"]), name
            got = [s.hex() for s in tensor.strings] if isinstance(fact["data"], list) else bytes(tensor.data).hex()
            assert got == fact["data"], name


@pytest.mark.parametrize("kind", ["reference", "resource"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("version", [1, 2])
def test_slices_of_a_partitioned_variable_make_up_the_whole(oracle: Any, kind: str, axis: int, version: int) -> None:
    whole = oracle.findings[f"parts_{kind}_{axis}.whole"]
    with open_checkpoint(oracle.folder / f"parts_{kind}_{axis}.v{version}") as checkpoint:
        assert len(checkpoint.stored["net/w"].slices) == 3
        tensor = checkpoint.read("net/w")
        assert bytes(tensor.data).hex() == whole["data"]
        data, columns = bytes(tensor.data), whole["shape"][1]
        box = checkpoint.read("net/w", Slice.parse("2,3:4,5"))
        rows = [data[4 * (row * columns + 4) : 4 * (row * columns + 9)] for row in range(2, 5)]
        assert bytes(box.data) == b"".join(rows)


def test_a_part_that_reaches_outside_is_an_error(oracle: Any) -> None:
    with (
        open_checkpoint(oracle.folder / "parts_reference_0.v1") as checkpoint,
        pytest.raises(StepError, match="no such"),
    ):
        checkpoint.read("net/w", Slice.parse("5,3:-"))


def test_an_unknown_tensor_is_an_error_with_the_nearest_name(oracle: Any) -> None:
    with open_checkpoint(oracle.folder / "reference.v1") as checkpoint, pytest.raises(StepError) as caught:
        checkpoint.read("net/tabel")
    assert "net/table" in str(caught.value)


def test_files_named_by_digest_are_told_apart_by_the_names_given(oracle: Any, tmp_path: Path) -> None:
    shards = {}
    for index, path in enumerate(sorted(oracle.folder.glob("sharded.v2.data-*"), reverse=True)):
        shards[path.name] = Path(shutil.copy(path, tmp_path / f"{index}blob"))
    assert len(shards) == 2
    with open_checkpoint(oracle.folder / "sharded.v2.index", shards) as checkpoint:
        assert bytes(checkpoint.read("v0").data[:4]) == bytes.fromhex("0000c03f")
        assert bytes(checkpoint.read("v1").data[:4]) == bytes.fromhex("00002040")


def test_a_missing_data_file_is_named(oracle: Any, tmp_path: Path) -> None:
    for path in oracle.folder.glob("sharded.v2*"):
        shutil.copy(path, tmp_path / path.name)
    next(tmp_path.glob("*data-00001*")).unlink()
    with open_checkpoint(tmp_path / "sharded.v2") as checkpoint:
        checkpoint.read("v0")
        with pytest.raises(StepError, match=r"'v1'.*missing") as caught:
            checkpoint.read("v1")
    assert "data-00001-of-00002" in str(caught.value)


def test_no_checkpoint_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such checkpoint"):
        open_checkpoint(tmp_path / "model.ckpt")
    for content, what in ((b"", "empty"), (b"<html>" * 100, "no checkpoint table"), (b"x" * 20, "no checkpoint table")):
        (tmp_path / "model.ckpt").write_bytes(content)
        with pytest.raises(StepError, match=what):
            open_checkpoint(tmp_path / "model.ckpt")


@pytest.mark.parametrize("form", ["types.v1", "types.v2.data-00000-of-00001"])
def test_a_flipped_bit_in_a_weight_names_tensor_file_and_offset(oracle: Any, tmp_path: Path, form: str) -> None:
    prefix = form.partition(".data")[0]
    for path in oracle.folder.glob(f"{prefix}*"):
        shutil.copy(path, tmp_path / path.name)
    data = bytearray((tmp_path / form).read_bytes())
    place = data.find(bytes.fromhex(oracle.findings[prefix]["bigger"]["data"])[5000:5040])
    data[place] ^= 0x10
    (tmp_path / form).write_bytes(data)
    with open_checkpoint(tmp_path / prefix) as checkpoint, pytest.raises(StepError) as caught:
        checkpoint.read("bigger")
    text = str(caught.value)
    assert "'bigger'" in text
    assert form in text
    assert "offset" in text
    assert "CRC-32C" in text


@pytest.mark.parametrize("form", ["types.v1", "types.v2.index", "types.v2.data-00000-of-00001"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed(oracle: Any, tmp_path: Path, form: str, place: float, bit: int) -> None:
    prefix = form.partition(".data")[0].partition(".index")[0]
    for path in oracle.folder.glob(f"{prefix}*"):
        shutil.copyfile(path, tmp_path / path.name)
    data = bytearray((tmp_path / form).read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    (tmp_path / form).write_bytes(data)
    try:
        with open_checkpoint(tmp_path / prefix) as checkpoint:
            read = {name: checkpoint.read(name) for name in checkpoint.stored}
            got = {n: [s.hex() for s in t.strings] if t.strings else bytes(t.data).hex() for n, t in read.items()}
            del read
    except ModelprepError:
        return
    # The footer's padding and the handle of the unused meta index are the only bytes that mean nothing.
    assert form != "types.v2.data-00000-of-00001"
    assert len(data) - 48 <= int(place * len(data))
    assert all(
        got[name] == (fact["data"] or "") for name, fact in oracle.findings[prefix].items() if fact["data"] != []
    )


@pytest.mark.parametrize("form", ["types.v1", "types.v2.index", "types.v2.data-00000-of-00001"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_an_error(oracle: Any, tmp_path: Path, form: str, part: float) -> None:
    prefix = form.partition(".data")[0].partition(".index")[0]
    for path in oracle.folder.glob(f"{prefix}*"):
        shutil.copyfile(path, tmp_path / path.name)
    data = (tmp_path / form).read_bytes()
    (tmp_path / form).write_bytes(data[: int(part * len(data))])
    with pytest.raises(ModelprepError):
        _read_all(tmp_path / prefix)


def _read_all(path: Path) -> None:
    with open_checkpoint(path) as checkpoint:
        for name in checkpoint.stored:
            checkpoint.read(name)
