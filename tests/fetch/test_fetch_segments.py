"""A large file from a slow server by several connections; pieces and waiting times are made small for it."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from fetching import Bench, asset, payload
from servers.http import Behaviour, FaultServer, Request

from modelprep.errors import DigestMismatch, Interrupted
from modelprep.fetch import segments

SIZE = 1_500_000
SLOW = {"pause": 0.02, "piece": 16_384}  # about 0.8 MB/s a connection


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "PIECE", 65_536)
    monkeypatch.setattr(segments, "WATCHED", 0.05)
    monkeypatch.setattr(segments, "WORTH", 0.1)


def at_once(log: list[Request]) -> int:
    """How many of the requests for parts were being answered at one time, at most."""
    parts = [r for r in log if r.range]
    return max(sum(other.time <= one.time < other.ended for other in parts) for one in parts)


def test_four_connections_share_a_slow_file_and_each_byte_comes_once(server: FaultServer, bench: Bench) -> None:
    data = payload(SIZE)
    fetched = bench.fetch(asset(server.put("/m", data, **SLOW), data=data))
    assert fetched.blob.path.read_bytes() == data
    assert fetched.bytes_fetched == SIZE
    first, *parts = server.log
    assert first.range == ""
    assert all(part.status == 206 and part.if_range == server.paths["/m"].tag for part in parts)
    bounds = sorted(tuple(map(int, part.range.removeprefix("bytes=").split("-"))) for part in parts)
    assert all(left[1] + 1 == right[0] for left, right in pairwise(bounds))
    assert bounds[-1][1] == SIZE - 1
    assert 2 <= at_once(server.log) <= 4
    assert [event.data["connections"] for event in bench.events if "connections" in event.data] == [4]


def test_a_fast_file_comes_over_one_connection(server: FaultServer, bench: Bench) -> None:
    data = payload(SIZE)
    bench.fetch(asset(server.put("/m", data), data=data))
    assert [request.range for request in server.log] == [""]


def test_a_file_without_a_digest_comes_over_one_connection(server: FaultServer, bench: Bench) -> None:
    data = payload(200_000)
    bench.fetch(asset(server.put("/m", data, **SLOW), filename="model.bin"))
    assert [request.range for request in server.log] == [""]


def test_no_more_connections_than_the_policy_allows(server: FaultServer, bench: Bench) -> None:
    data = payload(SIZE)
    bench.fetch(asset(server.put("/m", data, **SLOW), data=data), per_host=2)
    assert at_once(server.log) <= 2


def test_connections_that_other_files_wait_for_are_left_to_them(server: FaultServer, bench: Bench) -> None:
    datas = [payload(400_000, seed) for seed in range(6)]
    wanted = [asset(server.put(f"/{n}", data, **SLOW), data=data) for n, data in enumerate(datas)]
    bench.fetch_side_by_side(wanted, per_host=2)
    # Only the last one finds the other connection free.
    assert len({request.path for request in server.log if request.range}) <= 1
    assert len(list(bench.store.blobs())) == 6


@pytest.mark.parametrize(
    "lie",
    [
        {"ranges": False},
        {"refuse_ranges": 403},
        {"refuse_ranges": 500},
        {"content_range": "bytes 0-65535/1500000"},
        {"content_range": "bytes 7/8"},
        {"blind": True, "etag": '"one"', "after": lambda how: setattr(how, "etag", '"two"')},
    ],
)
def test_a_server_that_gives_no_parts_still_gives_the_file(
    server: FaultServer, bench: Bench, lie: dict[str, object]
) -> None:
    data = payload(SIZE)
    assert bench.fetch(asset(server.put("/m", data, **SLOW, **lie), data=data)).blob.path.read_bytes() == data


def test_parts_of_another_file_under_the_same_tag_are_found_out_and_the_file_asked_for_anew(
    server: FaultServer, bench: Bench
) -> None:
    data, other = payload(SIZE), payload(SIZE, seed=2)

    def swap(how: Behaviour) -> None:
        how.data = other if any(request.range for request in server.log) and len(server.log) < 12 else data

    url = server.put("/m", data, etag='"same"', after=swap, **SLOW)
    assert bench.fetch(asset(url, data=data)).blob.path.read_bytes() == data
    assert "several connections has the wrong checksum" in " ".join(event.text for event in bench.events)


def test_a_file_that_is_another_one_over_any_number_of_connections_is_refused(
    server: FaultServer, bench: Bench
) -> None:
    with pytest.raises(DigestMismatch):
        bench.fetch(asset(server.put("/m", payload(SIZE, seed=2), **SLOW), data=payload(SIZE)))
    assert not list(bench.store.blobs())


def test_a_connection_that_is_cut_leaves_its_part_to_the_others(server: FaultServer, bench: Bench) -> None:
    data = payload(SIZE)
    lost = threading.Event()

    def once(how: Behaviour) -> None:
        parts = [request for request in server.log if request.range]
        how.cut_at, how.times = (20_000, 1) if len(parts) >= 5 and not lost.is_set() else (how.cut_at, how.times)
        if how.cut_at:
            lost.set()

    fetched = bench.fetch(asset(server.put("/m", data, after=once, **SLOW), data=data))
    assert lost.is_set()
    assert fetched.blob.path.read_bytes() == data


def test_what_an_interruption_leaves_has_no_hole_and_is_continued(server: FaultServer, bench: Bench) -> None:
    data = payload(SIZE)
    what = asset(server.put("/m", data, **SLOW), data=data)
    fetcher = bench.fetcher()

    def stop_half_way() -> None:
        while not any((event.done or 0) > SIZE // 3 for event in list(bench.events)):
            pass
        fetcher.cancel()

    stopper = threading.Thread(target=stop_half_way)
    stopper.start()
    with pytest.raises(Interrupted):
        fetcher.fetch(fetcher.plan(what))
    stopper.join()
    [left] = [path for path in bench.partials() if path.suffix != ".json"]
    held = left.read_bytes()
    assert len(held) > SIZE // 3
    assert data.startswith(held)
    before = server.sent()
    assert bench.fetch(what).blob.path.read_bytes() == data
    assert server.sent() - before < SIZE
