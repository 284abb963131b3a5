"""Threads that transfer small files work one at a time; a server that keeps one of them waiting keeps no other."""

from __future__ import annotations

import threading

from fetching import Bench, asset, payload
from servers.http import FaultServer
from test_fetch_landing import begun

from modelprep.fetch import Fetched
from modelprep.fetch.turn import Turn, leave, waiting


def test_one_thread_has_the_turn_until_it_waits_or_leaves() -> None:
    turn, inside, most = Turn(), [0], [0]

    def work() -> None:
        for number in range(50):
            with turn:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1
                with waiting():
                    pass
                if number % 2:
                    leave()
                    with waiting():  # without a turn there is nothing to give up
                        leave()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert most == [1]
    with turn:
        pass


def test_while_one_waits_another_has_the_turn() -> None:
    turn, taken = Turn(), threading.Event()

    def other() -> None:
        with turn:
            taken.set()

    thread = threading.Thread(target=other)
    with turn:
        thread.start()
        assert not taken.wait(0.05)
        with waiting():
            assert taken.wait(20)
    thread.join(20)


def test_a_server_that_does_not_answer_keeps_no_other_file_waiting(server: FaultServer, bench: Bench) -> None:
    data, slow = payload(20_000, 1), payload(20_000, 2)
    silent = asset(server.put("/silent", slow, stall_at=30), data=slow)
    fetcher, ended = bench.fetcher(attempts=1, stall_timeout=20.0), threading.Event()
    thread = threading.Thread(target=fetcher.begin, args=(fetcher.plan(silent), lambda _: ended.set()), daemon=True)
    thread.start()
    quick = asset(server.put("/quick", data), data=data)
    assert isinstance(begun(fetcher, [quick])["0"], Fetched)
    assert not ended.is_set()
    fetcher.cancel()


def test_one_file_in_several_threads_is_downloaded_once(server: FaultServer, bench: Bench) -> None:
    data = payload(20_000)
    wanted = asset(server.put("/m", data), data=data)
    fetcher, found = bench.fetcher(), []
    ended = threading.Semaphore(0)

    def then(how: Fetched | BaseException) -> None:
        found.append(how)
        ended.release()

    for _ in range(4):
        threading.Thread(target=fetcher.begin, args=(fetcher.plan(wanted), then), daemon=True).start()
    for _ in range(4):
        assert ended.acquire(timeout=20)
    assert all(isinstance(how, Fetched) for how in found)
    assert sorted(how.bytes_fetched for how in found if isinstance(how, Fetched)) == [0, 0, 0, len(data)]
