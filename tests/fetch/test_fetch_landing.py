"""Finished downloads become blobs in one thread, together; each asset hears of its own end."""

from __future__ import annotations

import threading

import pytest
from fetching import Bench, asset, payload
from servers.http import FaultServer

from modelprep.errors import FetchError, StorageError
from modelprep.fetch import Fetched, Fetcher
from modelprep.recipe.schema import Asset


def begun(fetcher: Fetcher, wanted: list[Asset]) -> dict[str, Fetched | BaseException]:
    """Begin all in this thread, and wait for what becomes of them."""
    ended: dict[str, Fetched | BaseException] = {}
    all_ended = threading.Semaphore(0)
    for number, one in enumerate(wanted):

        def then(how: Fetched | BaseException, name: str = str(number)) -> None:
            ended[name] = how
            all_ended.release()

        fetcher.begin(fetcher.plan(one), then)
    for _ in wanted:
        assert all_ended.acquire(timeout=20)
    return ended


def test_each_asset_hears_of_its_own_end(server: FaultServer, bench: Bench) -> None:
    datas = [payload(20_000, seed) for seed in range(8)]
    wanted = [asset(server.put(f"/{n}", data), data=data) for n, data in enumerate(datas)]
    wanted.append(asset(f"{server.base}/missing", data=b"nowhere"))
    fetcher = bench.fetcher(attempts=1)
    ended = begun(fetcher, wanted)
    assert isinstance(ended.pop("8"), FetchError)
    found = [how.blob.path.read_bytes() for _, how in sorted(ended.items()) if isinstance(how, Fetched)]
    assert found == datas
    fetcher.landing.ensure_alive()


def test_a_disk_that_says_no_is_told_to_the_asset_and_lets_its_lock_go(
    server: FaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = payload(20_000)
    wanted = asset(server.put("/m", data), data=data)
    monkeypatch.setattr("modelprep.store.syncing._sync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    assert isinstance(begun(bench.fetcher(), [wanted])["0"], StorageError)
    assert not list(bench.store.blobs())
    monkeypatch.undo()
    assert isinstance(begun(bench.fetcher(), [wanted])["0"], Fetched)


def test_where_the_system_has_no_more_threads_files_land_in_the_thread_that_there_is(
    server: FaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = payload(20_000)
    wanted = asset(server.put("/m", data), data=data)
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "modelprep-landing":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert isinstance(begun(bench.fetcher(), [wanted])["0"], Fetched)
