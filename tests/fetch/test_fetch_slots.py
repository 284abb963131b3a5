"""How many connections there are, and that one that was used before is used again."""

from __future__ import annotations

import threading
import time

import pytest
from fetching import Bench, asset, payload
from servers.http import FaultServer

from modelprep.errors import Interrupted
from modelprep.fetch.slots import Slots


def test_no_host_gets_more_than_its_share_and_all_together_no_more_than_allowed() -> None:
    slots = Slots(per_host=2, in_all=3)
    assert slots.spare("a") is not None
    assert slots.spare("a") is not None
    assert slots.spare("a") is None
    assert slots.spare("b") is not None
    assert slots.spare("b") is None


def test_a_slot_that_was_given_back_is_given_out_again() -> None:
    slots = Slots()
    with slots.hold("a") as first:
        pass
    with slots.hold("a") as again, slots.hold("b") as other:
        assert again is first
        assert other is not first


def test_a_slot_that_somebody_waits_for_is_not_spare() -> None:
    slots = Slots(per_host=1)
    got = threading.Event()

    def wait() -> None:
        with slots.hold("a"):
            got.set()

    with slots.hold("a"):
        waiting = threading.Thread(target=wait)
        waiting.start()
        while not slots._waiting["a"]:
            time.sleep(0.001)
        assert slots.spare("a") is None
    assert got.wait(20)
    waiting.join()
    assert slots.spare("a") is not None


def test_whoever_waits_for_a_slot_can_be_stopped() -> None:
    slots = Slots(per_host=1)
    with slots.hold("a"), pytest.raises(Interrupted), slots.hold("a", stop=lambda: True):
        pass


def test_files_of_one_host_come_over_four_connections_that_are_kept(server: FaultServer, bench: Bench) -> None:
    datas = [payload(20_000, seed) for seed in range(24)]
    wanted = [asset(server.put(f"/{n}", data, pause=0.01), data=data) for n, data in enumerate(datas)]
    bench.fetch_side_by_side(wanted)
    assert len({request.peer for request in server.log}) <= 4
    assert len(list(bench.store.blobs())) == 24
