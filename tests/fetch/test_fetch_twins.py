"""A large file that a tree needs a copy of is written twice while it is downloaded."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from fetching import Bench, asset, payload
from servers.http import FaultServer

from modelprep.errors import DigestMismatch, FetchError
from modelprep.fetch import Fetched, Fetcher, Policy, download
from modelprep.recipe.schema import Asset
from modelprep.store.store import Store


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TWIN", 1 << 20)


def fetched(bench: Bench, wanted: Asset, names: tuple[str, ...] = ("m.bin",)) -> Fetched:
    policy = Policy(backoff=0.01, archives=False, stall_timeout=1.0, attempts=1)
    fetcher = Fetcher(bench.store, policy, listen=bench.events.append, twins=True)
    return fetcher.fetch(fetcher.plan(wanted, names))


def second_copies(store: Store) -> list[Path]:
    return sorted((store.root / "scratch").glob("*/file-*"))


def test_the_first_copy_is_the_second_file_and_the_next_one_is_made(
    server: FaultServer, bench: Bench, tmp_path: Path
) -> None:
    data = payload()
    blob = fetched(bench, asset(server.put("/m", data), data=data)).blob
    [twin] = second_copies(bench.store)
    inode, seen = twin.stat().st_ino, []
    for name in ("first", "second"):
        bench.store.copy(blob, tmp_path / name, sync=False, progress=lambda done, total: seen.append((done, total)))
        assert (tmp_path / name).read_bytes() == data
    assert (tmp_path / "first").stat().st_ino == inode != (tmp_path / "second").stat().st_ino
    assert (tmp_path / "first").stat().st_mode == (tmp_path / "second").stat().st_mode
    assert not second_copies(bench.store)
    assert seen[0] == (len(data), len(data))


def test_a_second_file_that_was_changed_is_not_used(server: FaultServer, bench: Bench, tmp_path: Path) -> None:
    data = payload()
    blob = fetched(bench, asset(server.put("/m", data), data=data)).blob
    [twin] = second_copies(bench.store)
    twin.write_bytes(bytes(len(data)))
    bench.store.copy(blob, tmp_path / "copy", sync=False)
    assert (tmp_path / "copy").read_bytes() == data


def test_a_resumed_or_wrong_file_and_one_that_no_tree_needs_leave_none(server: FaultServer, bench: Bench) -> None:
    data = payload()
    cut = asset(server.put("/m", data, cut_at=2_000_000, times=1), data=data)
    with pytest.raises(FetchError):
        fetched(bench, cut)
    assert not second_copies(bench.store)
    assert fetched(bench, cut).blob.path.read_bytes() == data
    wrong = asset(server.put("/w", payload(seed=2)), data=payload(seed=3))
    with pytest.raises(DigestMismatch):
        fetched(bench, wrong)
    other = payload(seed=4)
    fetched(bench, asset(server.put("/n", other), data=other), names=())
    assert not second_copies(bench.store)


def test_where_the_second_file_cannot_be_written_the_first_is_fetched_all_the_same(
    server: FaultServer, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("modelprep.store.twin.write_all", full)
    data = payload()
    blob = fetched(bench, asset(server.put("/m", data), data=data)).blob
    assert not second_copies(bench.store)
    bench.store.copy(blob, tmp_path / "copy", sync=False)
    assert hashlib.sha256((tmp_path / "copy").read_bytes()).hexdigest() == blob.sha256
