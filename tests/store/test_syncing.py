"""Making files last: one synchronisation for many, and an error for whoever's file it was."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelprep.store import Blob, syncing
from modelprep.store.copying import copy_hashed
from modelprep.store.store import Store


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the system was asked for, in order: really done, and written down."""
    asked: list[str] = []
    whole, single = syncing._syncfs(), os.fsync

    def file_system(descriptor: int) -> int:
        asked.append("syncfs")
        return int(whole(descriptor)) if whole is not None else 0

    def one(descriptor: int) -> None:
        asked.append("fsync")
        single(descriptor)

    monkeypatch.setattr(syncing, "_syncfs", lambda: file_system)
    monkeypatch.setattr(syncing, "_waiting", lambda: 0)
    monkeypatch.setattr(os, "fsync", one)
    return asked


def files(folder: Path, count: int) -> list[Path]:
    paths = [folder / str(number) for number in range(count)]
    for path in paths:
        path.write_bytes(b"x" * 1000)
    return paths


def test_a_few_files_are_synchronised_one_by_one(tmp_path: Path, synced: list[str]) -> None:
    syncing.sync_all(files(tmp_path, syncing.MANY - 1))
    assert synced == ["fsync"] * (syncing.MANY - 1)


def test_many_files_and_folders_are_synchronised_at_once(tmp_path: Path, synced: list[str]) -> None:
    syncing.sync_all([tmp_path, *files(tmp_path, 20)])
    assert synced == ["syncfs"]


@pytest.mark.parametrize(
    ("name", "value"), [("_syncfs", lambda: None), ("_syncfs", lambda: lambda _: -1), ("_waiting", lambda: 1 << 40)]
)
def test_where_the_whole_file_system_cannot_or_should_not_be_synchronised_each_file_is(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch, name: str, value: Callable[[], object]
) -> None:
    monkeypatch.setattr(syncing, name, value)
    syncing.sync_all(files(tmp_path, 5))
    assert synced == ["fsync"] * 5


def test_an_error_comes_to_the_one_whose_file_it_is(tmp_path: Path) -> None:
    good, gone = files(tmp_path, 6), tmp_path / "gone"
    *found, lost = syncing.sync_each([*good, gone])
    assert isinstance(lost, FileNotFoundError)
    assert found == [None] * len(good)


def test_files_that_become_blobs_together_are_synchronised_together(tmp_path: Path, synced: list[str]) -> None:
    store = Store.open(tmp_path / "cache")
    made = [store.new_file() for _ in range(8)]
    for number, path in enumerate(made):
        path.write_bytes(bytes([number]) * 10)
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in made]
    blobs = store.land_all([(path, sha256, 10) for path, sha256 in zip(made, sums, strict=True)])
    assert synced == ["syncfs"]
    assert [blob.sha256 for blob in blobs if isinstance(blob, Blob)] == sums


def test_the_disk_begins_with_a_large_file_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[int, int]] = []
    really = syncing._sync_file_range()

    def note(descriptor: int, offset: int, count: int, flags: int) -> int:
        begun.append((offset, count))
        return int(really(descriptor, offset, count, flags)) if really is not None else 0

    monkeypatch.setattr(syncing, "_sync_file_range", lambda: note)
    monkeypatch.setattr(syncing, "_EARLY", 1000)
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 20_000)  # five pieces of a copy
    copy_hashed(source, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    if begun:  # the file systems did not share the blocks
        assert sum(count for _, count in begun) == source.stat().st_size
        assert len(begun) == 5


def test_names_of_new_blobs_are_synchronised_at_the_end_of_the_work_and_their_content_before(
    tmp_path: Path, synced: list[str]
) -> None:
    store = Store.open(tmp_path / "cache")
    with store.in_use():
        with store.writer() as writer:
            writer.write(b"something")
            blob = writer.commit()
        assert synced.count("fsync") == 1
        assert blob.path.read_bytes() == b"something"
    assert len(synced) > 1


def test_bytes_that_await_the_disk_are_read_from_the_system() -> None:
    assert syncing._waiting() >= 0


@pytest.mark.skipif(sys.platform != "linux", reason="syncfs is Linux's")
def test_the_c_library_is_asked_for_syncfs_only_of_kernels_that_report_its_errors() -> None:
    code = (
        "import os; from modelprep.store import syncing\n"
        "os.uname = lambda: os.uname_result(('Linux', 'n', '5.4.0-9', 'v', 'm'))\n"
        "assert syncing._syncfs() is None; syncing._syncfs.cache_clear()\n"
        "os.uname = lambda: os.uname_result(('Linux', 'n', '6.1.0', 'v', 'm'))\n"
        "assert syncing._syncfs() is not None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
