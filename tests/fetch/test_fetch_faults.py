"""What peers get wrong when servers misbehave, row by row; every server here is a real one on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest
from fetching import Bench, asset, payload
from servers.disks import mounted
from servers.http import LONG_AGO, PAGE, Behaviour, FaultServer, closed_port

from modelprep.errors import DigestMismatch, FetchError, Interrupted, StorageError
from modelprep.fetch import download, partials
from modelprep.store import maintenance

Spawn = Callable[..., "subprocess.Popen[str]"]


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


# -- cut and resume ----------------------------------------------------------------------------------------------


def test_a_cut_download_is_resumed_with_if_range_and_transfers_no_byte_twice(server: FaultServer, bench: Bench) -> None:
    data = payload()
    url = server.put("/m", data, cut_at=1_500_000, times=1)
    fetched = bench.fetch(asset(url, data=data))
    first, second = server.log
    assert (first.status, second.status) == (200, 206)
    assert second.range == "bytes=1500000-"
    assert second.if_range == server.paths["/m"].tag
    assert server.sent() == fetched.bytes_fetched == len(data)
    assert fetched.blob.path.read_bytes() == data


def test_without_a_strong_etag_the_modification_time_is_the_validator(server: FaultServer, bench: Bench) -> None:
    data = payload()
    url = server.put("/m", data, cut_at=1_500_000, times=1, etag='W/"weak"')
    bench.fetch(asset(url, data=data))
    assert server.log[1].if_range == formatdate(LONG_AGO, usegmt=True)
    assert server.log[1].status == 206


def test_without_any_validator_nothing_is_resumed(server: FaultServer, bench: Bench) -> None:
    data = payload()
    url = server.put("/m", data, cut_at=1_500_000, times=1, etag="", last_modified=None)
    assert bench.fetch(asset(url, data=data)).blob.path.read_bytes() == data
    assert [(r.status, r.range) for r in server.log] == [(200, ""), (200, "")]


def test_a_server_without_ranges_is_asked_again_from_zero(server: FaultServer, bench: Bench) -> None:
    data = payload()
    url = server.put("/m", data, cut_at=1_500_000, times=1, ranges=False)
    assert bench.fetch(asset(url, data=data)).blob.path.read_bytes() == data
    assert [r.status for r in server.log] == [200, 200]


def test_a_line_that_is_cut_every_time_still_brings_the_file_while_something_comes(
    server: FaultServer, bench: Bench
) -> None:
    data = payload()
    url = server.put("/m", data, cut_at=400_000)
    assert bench.fetch(asset(url, data=data), attempts=2).blob.path.read_bytes() == data
    assert server.sent() == len(data)
    assert len(server.log) == 8


def test_what_one_run_left_is_continued_by_the_next_process(server: FaultServer, bench: Bench, spawn: Spawn) -> None:
    data = payload()
    url = server.put("/m", data, cut_at=1_000_000, times=4, ranges=False)
    with pytest.raises(FetchError):
        bench.fetch(asset(url, data=data), attempts=1)
    assert bench.fetcher().plan(asset(url, data=data)).resumable == 1_000_000
    assert bench.fetcher().plan(asset(url, data=data)).bytes_to_come == len(data) - 1_000_000
    server.paths["/m"] = Behaviour(data)
    process = spawn(url, data)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["bytes"] == len(data) - 1_000_000
    assert server.log[-1].range == "bytes=1000000-"
    assert bench.partials() == []


def test_a_killed_process_leaves_a_partial_that_the_next_one_continues(
    server: FaultServer, bench: Bench, spawn: Spawn
) -> None:
    data = payload(8_000_000)
    url = server.put("/m", data, stall_at=4_000_000, times=1)
    process = spawn(url, data)
    wait_for(lambda: any(p.stat().st_size == 4_000_000 for p in bench.partials()))
    process.send_signal(signal.SIGKILL)
    process.wait()
    second = spawn(url, data)
    out, _ = second.communicate(timeout=60)
    assert second.returncode == 0
    assert json.loads(out)["bytes"] == 4_000_000
    assert [(r.status, r.range) for r in server.log] == [(200, ""), (206, "bytes=4000000-")]
    assert list((bench.store.root / "scratch").glob("*-*/*")) == []


def test_a_process_killed_between_the_last_byte_and_the_rename_costs_no_request(
    server: FaultServer, bench: Bench
) -> None:
    data = payload()
    url = server.put("/m", data, cut_at=1_000_000, times=1)
    with pytest.raises(FetchError):
        bench.fetch(asset(url, data=data), attempts=1)
    partial = next(p for p in bench.partials() if p.suffix != ".json")
    partial.write_bytes(data)
    assert bench.fetch(asset(url, data=data)).bytes_fetched == 0
    assert len(server.log) == 1


def test_ctrl_c_ends_at_once_keeps_the_partial_and_the_next_run_resumes(
    server: FaultServer, bench: Bench, spawn: Spawn
) -> None:
    data = payload(4_000_000)
    url = server.put("/m", data, stall_at=2_000_000, times=1)
    process = spawn(url, data)
    wait_for(lambda: any(p.stat().st_size == 2_000_000 for p in bench.partials()))
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors == ""
    assert time.monotonic() - began < 5
    assert bench.fetch(asset(url, data=data)).bytes_fetched == 2_000_000


def test_cancelling_from_another_thread_ends_every_fetch_and_keeps_what_came(server: FaultServer, bench: Bench) -> None:
    import threading

    data = payload(4_000_000)
    url = server.put("/m", data, pause=0.02, piece=32_768)
    fetcher = bench.fetcher()
    threading.Timer(0.3, fetcher.cancel).start()
    with pytest.raises(Interrupted):
        fetcher.fetch(fetcher.plan(asset(url, data=data)))
    kept = fetcher.plan(asset(url, data=data)).resumable
    assert 0 < kept < len(data)
    server.paths["/m"].pause = 0
    assert bench.fetch(asset(url, data=data)).bytes_fetched == len(data) - kept


# -- replaced objects and poisoned partials ----------------------------------------------------------------------


def replace_with(data: bytes) -> Callable[[Behaviour], None]:
    def after(how: Behaviour) -> None:
        how.data, how.cut_at, how.after = data, None, None

    return after


def test_an_object_replaced_between_cut_and_resume_is_fetched_anew(server: FaultServer, bench: Bench) -> None:
    old, new = payload(seed=1), payload(seed=2)
    url = server.put("/m", old, cut_at=1_500_000, after=replace_with(new))
    assert bench.fetch(asset(url, data=new)).blob.path.read_bytes() == new
    assert [r.status for r in server.log] == [200, 200]


@pytest.mark.parametrize("pinned", [True, False])
def test_a_server_that_overlooks_if_range_cannot_mix_two_objects(
    server: FaultServer, bench: Bench, pinned: bool
) -> None:
    old, new = payload(seed=1), payload(seed=2)
    url = server.put("/m", old, cut_at=1_500_000, blind=True, after=replace_with(new))
    wanted = asset(url, data=new) if pinned else asset(url, pin="first-use")
    assert bench.fetch(wanted).blob.path.read_bytes() == new
    assert [r.status for r in server.log] == [200, 206, 200]


def test_a_server_with_a_lying_etag_cannot_poison_the_partial(server: FaultServer, bench: Bench) -> None:
    old, new = payload(seed=1), payload(seed=2)
    url = server.put("/m", old, cut_at=1_500_000, blind=True, etag='"same"', after=replace_with(new))
    assert bench.fetch(asset(url, data=new)).blob.path.read_bytes() == new
    assert [(r.status, r.range) for r in server.log] == [(200, ""), (206, "bytes=1500000-"), (200, "")]
    assert bench.partials() == []


def test_a_partial_with_foreign_bytes_heals_by_itself(server: FaultServer, bench: Bench) -> None:
    data = payload()
    url = server.put("/m", data, cut_at=1_000_000, times=1)
    with pytest.raises(FetchError):
        bench.fetch(asset(url, data=data), attempts=1)
    partial = next(p for p in bench.partials() if p.suffix != ".json")
    partial.write_bytes(b"\0" * 1_000_000)  # as after a power cut
    assert bench.fetch(asset(url, data=data)).blob.path.read_bytes() == data
    assert bench.quarantined() == []


@pytest.mark.parametrize("size", [2_999_999, 3_000_000, 5_000_000])
def test_a_partial_as_long_as_the_file_or_longer_heals_by_itself(server: FaultServer, bench: Bench, size: int) -> None:
    data = payload()
    url = server.put("/m", data, cut_at=1_000_000, times=1)
    with pytest.raises(FetchError):
        bench.fetch(asset(url, data=data), attempts=1)
    next(p for p in bench.partials() if p.suffix != ".json").write_bytes(b"x" * size)
    assert bench.fetch(asset(url, data=data)).blob.path.read_bytes() == data


def test_an_unpinned_partial_is_not_continued_after_a_restart_of_the_machine(
    server: FaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = payload()
    url = server.put("/m", data, cut_at=1_000_000, times=1)
    with pytest.raises(FetchError):
        bench.fetch(asset(url, pin="first-use"), attempts=1)
    for module in (download, partials):
        monkeypatch.setattr(module, "boot_id", lambda: "another")
    assert bench.fetch(asset(url, pin="first-use")).blob.path.read_bytes() == data
    assert server.log[-1].range == ""


@pytest.mark.parametrize(
    "said",
    [
        "bytes 0-2999999/3000000",
        "bytes 1500001-2999999/3000000",
        "bytes 1499999-2999998/3000000",
        "bytes 1500000-2999999/9",
        "rubbish",
        "",
    ],
)
def test_a_wrong_content_range_makes_it_start_from_zero(server: FaultServer, bench: Bench, said: str) -> None:
    data = payload()
    url = server.put("/m", data, cut_at=1_500_000, times=1, content_range=said or "bytes */3000000")
    assert bench.fetch(asset(url, data=data)).blob.path.read_bytes() == data
    assert [r.status for r in server.log] == [200, 206, 200]


# -- wrong content -----------------------------------------------------------------------------------------------


def test_a_wrong_digest_is_one_request_the_bytes_are_evidence_and_the_next_source_starts_clean(
    server: FaultServer, bench: Bench
) -> None:
    data, other = payload(seed=1), payload(seed=2)
    bad, good = server.put("/bad", other), server.put("/good", data)
    fetched = bench.fetch(asset(bad, good, data=data))
    assert fetched.source == good
    assert [(r.path, r.range) for r in server.log] == [("/bad", ""), ("/good", "")]
    (evidence,) = bench.quarantined()
    assert evidence.read_bytes() == other
    note = json.loads(evidence.with_suffix(".json").read_text())
    assert note["url"] == bad
    assert note["expected"].startswith("sha256 ")
    assert "another file" in fetched.tried[0]


def test_a_wrong_digest_everywhere_is_a_digest_mismatch_that_says_what_to_do(server: FaultServer, bench: Bench) -> None:
    data, other = payload(seed=1), payload(seed=2)
    url = server.put("/bad", other)
    with pytest.raises(DigestMismatch) as caught:
        bench.fetch(asset(url, server.url("/gone"), data=data, pinned_by="the authors' page"))
    error = caught.value
    assert error.exit_code == 4
    assert len(error.tried) == 2
    assert "the authors' page" in (error.expected or "")
    assert f"curl -fL -C - -o model.bin {url}" in (error.hint or "")
    assert "--set weights=model.bin" in (error.hint or "")
    assert [r.path for r in server.log] == ["/bad", "/gone"]
    assert bench.partials() == []


def test_a_good_old_file_outlives_a_changed_pin_and_a_dead_link(server: FaultServer, bench: Bench) -> None:
    old, new = payload(seed=1), payload(seed=2)
    url = server.put("/m", old)
    blob = bench.fetch(asset(url, data=old)).blob
    del server.paths["/m"]
    with pytest.raises(FetchError):
        bench.fetch(asset(url, data=new))
    assert blob.path.read_bytes() == old


def test_a_login_page_is_rejected_by_its_first_bytes_and_the_mirror_is_asked_for_the_whole(
    server: FaultServer, bench: Bench
) -> None:
    data = payload()
    page = PAGE + b" " * 30_000_000
    url = server.put("/login", page, content_type="text/html")
    good = server.put("/good", data)
    wanted = asset(url, good, data=data)
    fetched = bench.fetch(wanted)
    assert fetched.source == good
    assert "a web page titled 'Sign in to continue'" in fetched.tried[0]
    assert [(r.path, r.range) for r in server.log] == [("/login", ""), ("/good", "")]
    assert server.log[0].sent < 20_000_000


def test_a_page_in_place_of_an_unpinned_file_is_never_taken(server: FaultServer, bench: Bench) -> None:
    url = server.put("/login", PAGE)
    with pytest.raises(FetchError) as caught:
        bench.fetch(asset(url, pin="first-use"))
    assert caught.value.looks_like is not None
    assert "Sign in to continue" in caught.value.looks_like


def test_a_page_that_is_the_wanted_file_is_taken(server: FaultServer, bench: Bench) -> None:
    url = server.put("/a.html", PAGE)
    assert bench.fetch(asset(url, data=PAGE, filename="a.html")).blob.size == len(PAGE)


def test_a_page_does_not_destroy_the_partial_of_the_real_file(server: FaultServer, bench: Bench) -> None:
    data = payload()
    url = server.put("/m", data, cut_at=1_000_000, times=1)
    with pytest.raises(FetchError):
        bench.fetch(asset(url, data=data), attempts=1)
    server.paths["/m"] = Behaviour(PAGE)
    with pytest.raises(FetchError):
        bench.fetch(asset(url, data=data), attempts=1)
    server.paths["/m"] = Behaviour(data)
    assert bench.fetch(asset(url, data=data)).bytes_fetched == len(data) - 1_000_000


def test_an_announced_size_other_than_the_pinned_one_is_rejected_before_the_transfer(
    server: FaultServer, bench: Bench
) -> None:
    data = payload()
    url = server.put("/big", payload(30_000_000))
    good = server.put("/good", data)
    fetched = bench.fetch(asset(url, good, data=data))
    assert server.log[0].sent < 20_000_000
    assert "27,000,000 bytes (25.7 MiB) too many" in fetched.tried[0]


def test_a_truncated_copy_is_told_as_truncated_with_the_count(server: FaultServer, bench: Bench) -> None:
    data = payload()
    url = server.put("/short", data[:-1000])
    with pytest.raises(DigestMismatch) as caught:
        bench.fetch(asset(url, data=data))
    assert "truncated, 1000 bytes are missing" in (caught.value.looks_like or "")


def test_a_git_lfs_pointer_is_named_with_the_object_it_stands_for(server: FaultServer, bench: Bench) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 26454\n"
    url = server.put("/m.onnx", pointer)
    with pytest.raises(FetchError) as caught:
        bench.fetch(asset(url, data=payload(26454)))
    assert "Git LFS pointer for sha256 aaaa" in (caught.value.looks_like or "")


def test_more_bytes_than_pinned_in_a_chunked_answer_are_cut_off(server: FaultServer, bench: Bench) -> None:
    data = payload()
    url = server.put("/m", data * 20, length=-2)
    with pytest.raises(DigestMismatch, match="not the expected"):
        bench.fetch(asset(url, data=data))
    assert server.sent() < 40_000_000
    assert bench.partials() == []


def test_an_endless_unpinned_answer_ends_at_the_cap(server: FaultServer, bench: Bench) -> None:
    url = server.put("/m", payload(), length=-2)
    with pytest.raises(FetchError):
        bench.fetch(asset(url, pin="first-use"), max_bytes=1_000_000)


@pytest.mark.parametrize("length", [-1, -2])
def test_a_file_without_announced_length_is_taken_when_its_digest_is_right(
    server: FaultServer, bench: Bench, length: int
) -> None:
    data = payload()
    url = server.put("/m", data, length=length)
    assert bench.fetch(asset(url, data=data)).blob.path.read_bytes() == data


def test_a_content_length_that_is_too_large_counts_as_cut(server: FaultServer, bench: Bench) -> None:
    url = server.put("/m", payload(1000), length=2000)
    with pytest.raises(FetchError):
        bench.fetch(asset(url, pin="first-use"), attempts=2)
    assert list(bench.store.blobs()) == []


@pytest.mark.parametrize("name", ["gzip", "x-gzip"])
def test_a_server_that_compresses_though_nobody_asked_gives_the_file(
    server: FaultServer, bench: Bench, name: str
) -> None:
    data = b"layer { name: 'data' }\n" * 5000
    url = server.put("/deploy.prototxt", data, encoding=name)
    assert bench.fetch(asset(url, data=data, filename="deploy.prototxt")).blob.path.read_bytes() == data
    assert server.log[0].headers["Accept-Encoding"] == "identity"


def test_a_compressed_file_that_is_called_encoded_is_kept_as_it_is(server: FaultServer, bench: Bench) -> None:
    import gzip

    plain = payload(100_000)
    packed = gzip.compress(plain, 1, mtime=0)
    url = server.put("/a.gz", plain, encoding="gzip")
    assert bench.fetch(asset(url, data=packed, filename="a.gz")).blob.path.read_bytes() == packed


def test_a_compressed_bomb_ends_at_the_pinned_size(server: FaultServer, bench: Bench) -> None:
    url = server.put("/m", bytes(50_000_000), encoding="gzip")
    with pytest.raises(FetchError, match="could not download m"):
        bench.fetch(asset(url, data=bytes(1000)))


# -- statuses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_refusal_is_asked_once_and_the_mirror_next(server: FaultServer, bench: Bench, status: int) -> None:
    data = payload(1000)
    url, good = server.put("/m", data, status=status), server.put("/good", data)
    fetched = bench.fetch(asset(url, good, data=data))
    assert [r.path for r in server.log] == ["/m", "/good"]
    assert f"answered {status}" in fetched.tried[0]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(server: FaultServer, bench: Bench, status: int) -> None:
    data = payload(1000)
    url = server.put("/m", data, status=status, times=2)
    assert bench.fetch(asset(url, data=data)).blob.size == 1000
    assert [r.status for r in server.log] == [status, status, 200]
    assert [e.kind for e in bench.events].count("retry") == 2


def test_retries_pause_longer_each_time(server: FaultServer, bench: Bench) -> None:
    data = payload(1000)
    url = server.put("/m", data, status=503, times=3)
    bench.fetch(asset(url, data=data), backoff=0.1)
    times = [r.time for r in server.log]
    assert times[1] - times[0] >= 0.07
    assert times[3] - times[2] >= 0.29


def test_retry_after_in_seconds_is_honoured(server: FaultServer, bench: Bench) -> None:
    data = payload(1000)
    url = server.put("/m", data, status=429, times=1, retry_after="1")
    bench.fetch(asset(url, data=data))
    assert 1.0 <= server.log[1].time - server.log[0].time < 2.5


def test_retry_after_as_a_date_is_honoured(server: FaultServer, bench: Bench) -> None:
    data = payload(1000)
    url = server.put("/m", data, status=503, times=1, retry_after=formatdate(time.time() + 2, usegmt=True))
    bench.fetch(asset(url, data=data))
    assert 0.7 <= server.log[1].time - server.log[0].time < 3.5


def test_an_hour_of_retry_after_sends_to_the_next_source_at_once(server: FaultServer, bench: Bench) -> None:
    data = payload(1000)
    url = server.put("/m", data, status=429, retry_after="3600")
    good = server.put("/good", data)
    fetched = bench.fetch(asset(url, good, data=data))
    assert "asks to wait 3600 s" in fetched.tried[0]
    assert len(server.log) == 2


def test_a_retry_after_of_any_length_is_told_in_full(server: FaultServer, bench: Bench) -> None:
    for asked in ("1000000000", "123456789012"):
        url = server.put("/m", b"", status=503, retry_after=asked)
        with pytest.raises(FetchError) as caught:
            bench.fetch(asset(url, data=payload(1000)))
        assert f"asks to wait {asked} s" in caught.value.tried[0]


@pytest.mark.parametrize("interim", [100, 102, 103, 199])
@pytest.mark.parametrize("times", [1, 3])
def test_interim_answers_are_passed_over(bench: Bench, interim: int, times: int) -> None:
    from servers.raw import listening, request

    data = payload(1000)
    early = f"HTTP/1.1 {interim} Wait\r\nLink: </style.css>; rel=preload\r\nContent-Length: 5\r\n\r\n".encode()
    asked = []

    def serve(connection: socket.socket) -> None:
        asked.append(request(connection))
        for _ in range(times):
            connection.sendall(early)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + data)

    with listening(serve) as port:
        assert bench.fetch(asset(f"http://127.0.0.1:{port}/m", data=data)).bytes_fetched == 1000
    assert len(asked) == 1


def test_a_switch_to_another_protocol_that_nobody_asked_for_is_refused(bench: Bench) -> None:
    from servers.raw import listening, request

    def serve(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")

    with listening(serve) as port, pytest.raises(FetchError) as caught:
        bench.fetch(asset(f"http://127.0.0.1:{port}/m", data=payload(1000)))
    assert "answered 101 Switching Protocols" in caught.value.tried[0]


def test_interim_answers_without_end_stall(bench: Bench) -> None:
    from servers.raw import dripping, listening

    early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    with listening(dripping(early, early, 0.05)) as port, pytest.raises(FetchError) as caught:
        bench.fetch(
            asset(f"http://127.0.0.1:{port}/m", data=payload(1000)), stall_timeout=0.3, connect_timeout=0.2, attempts=1
        )
    assert "stalled: no answer within 0.5 s" in caught.value.tried[0]


def test_a_stalled_transfer_is_resumed_after_the_stall_timeout(server: FaultServer, bench: Bench) -> None:
    data = payload()
    url = server.put("/m", data, stall_at=1_000_000, times=1)
    began = time.monotonic()
    assert bench.fetch(asset(url, data=data), stall_timeout=0.5).bytes_fetched == len(data)
    assert time.monotonic() - began < 5
    assert server.log[1].range == "bytes=1000000-"


def test_a_slow_transfer_that_goes_on_is_left_alone(server: FaultServer, bench: Bench) -> None:
    data = payload(200_000)
    url = server.put("/m", data, pause=0.1, piece=10_000)
    assert bench.fetch(asset(url, data=data), stall_timeout=0.5).blob.size == len(data)
    assert len(server.log) == 1


def test_a_trickle_counts_as_a_stall(server: FaultServer, bench: Bench) -> None:
    data = payload(5000)
    url = server.put("/m", data, pause=0.05, piece=1)
    with pytest.raises(FetchError) as caught:
        bench.fetch(asset(url, data=data), stall_timeout=0.4, attempts=1)
    assert "stalled" in caught.value.tried[0]


def test_a_refused_connection_is_no_matter_of_many_attempts(bench: Bench) -> None:
    with closed_port() as port, pytest.raises(FetchError) as caught:
        bench.fetch(asset(f"http://127.0.0.1:{port}/m", data=b"x"))
    assert caught.value.exit_code == 3
    assert "connection refused (2 attempts)" in caught.value.tried[0]


def test_an_unknown_host_is_told_as_such(bench: Bench) -> None:
    with pytest.raises(FetchError) as caught:
        bench.fetch(asset("http://no-such-host.invalid/m", data=b"x"))
    assert "name cannot be looked up" in caught.value.tried[0]


def test_a_redirect_is_followed_and_a_loop_is_given_up(server: FaultServer, bench: Bench) -> None:
    data = payload(1000)
    server.put("/real", data)
    loop = server.put("/loop", location="/loop")
    url = server.put("/m", location="/real")
    fetched = bench.fetch(asset(loop, url, data=data))
    assert fetched.source == url
    assert "redirected more than 10 times" in fetched.tried[0]


def test_the_body_of_a_redirect_is_not_read(server: FaultServer, bench: Bench) -> None:
    data = payload(1000)
    server.put("/real", data)
    url = server.put("/m", location="/real", body=b"x" * 30_000_000)
    bench.fetch(asset(url, data=data))
    assert server.log[0].sent < 20_000_000


@pytest.mark.parametrize("target", ["http://[", "ftp://127.0.0.1/x", "http://", "file:///etc/passwd", "//"])
def test_a_redirect_to_nowhere_is_an_ordinary_failure(server: FaultServer, bench: Bench, target: str) -> None:
    url = server.put("/m", location=target)
    with pytest.raises(FetchError):
        bench.fetch(asset(url, pin="first-use"))


def test_credentials_do_not_follow_a_redirect_to_another_origin(server: FaultServer, bench: Bench) -> None:
    data = payload(1000)
    with FaultServer() as other:
        there = other.put("/m", data)
        url = server.put("/m", location=there.replace("127.0.0.1", "localhost"))
        bench.fetch(asset(url.replace("http://", "http://user:secret@"), data=data))
        assert "Authorization" in server.log[0].headers
        assert "Authorization" not in other.log[0].headers


def test_credentials_are_shown_nowhere(server: FaultServer, bench: Bench) -> None:
    data = payload(1000)
    server.put("/m?token=hush", payload(1000, seed=9), etag="")
    url = server.url("/m?token=hush").replace("http://", "http://user:secret@")
    with pytest.raises(DigestMismatch) as caught:
        bench.fetch(asset(url, data=data))
    told = str(caught.value) + repr(bench.events) + json.dumps(caught.value.to_json())
    for file in bench.store.root.rglob("*.json*"):
        told += file.read_text()
    assert "secret" not in told
    assert "hush" not in told


# -- many processes ----------------------------------------------------------------------------------------------


def test_of_eight_processes_one_downloads_and_all_succeed(server: FaultServer, bench: Bench, spawn: Spawn) -> None:
    data = payload(6_000_000)
    url = server.put("/m", data, pause=0.005)
    processes = [spawn(url, data) for _ in range(8)]
    outs = [p.communicate(timeout=90) for p in processes]
    assert [p.returncode for p in processes] == [0] * 8, outs
    assert len(server.log) == 1
    assert sorted(json.loads(out)["bytes"] for out, _ in outs) == [0] * 7 + [len(data)]
    (blob,) = bench.store.blobs()
    assert blob.read_bytes() == data


def test_when_the_process_that_downloads_is_killed_a_waiting_one_takes_over(
    server: FaultServer, bench: Bench, spawn: Spawn
) -> None:
    data = payload(4_000_000)
    url = server.put("/m", data, stall_at=1_000_000, times=1)
    first = spawn(url, data)
    wait_for(lambda: any(p.stat().st_size == 1_000_000 for p in bench.partials()))
    second = spawn(url, data)
    time.sleep(0.5)
    first.kill()
    out, _ = second.communicate(timeout=60)
    assert json.loads(out)["bytes"] == 3_000_000


def test_a_second_run_makes_no_request(server: FaultServer, bench: Bench) -> None:
    data = payload()
    url = server.put("/m", data)
    bench.fetch(asset(url, data=data))
    again = bench.fetch(asset(url, data=data))
    assert again.bytes_fetched == 0
    assert again.source == url
    assert len(server.log) == 1


# -- the disk ----------------------------------------------------------------------------------------------------


def test_a_bit_flipped_in_the_store_is_found_by_verify_and_fetched_again(server: FaultServer, bench: Bench) -> None:
    data = payload()
    url = server.put("/m", data)
    blob = bench.fetch(asset(url, data=data)).blob
    stat = blob.path.stat()
    blob.path.chmod(0o644)
    with blob.path.open("r+b") as file:
        file.seek(1000)
        file.write(bytes([data[1000] ^ 1]))
    os.utime(blob.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    report = maintenance.verify(bench.store)
    assert report.corrupt == (blob.sha256,)
    assert bench.fetch(asset(url, data=data)).blob.path.read_bytes() == data


def test_no_room_is_told_before_the_first_byte(
    server: FaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelprep.store.disk.free_space", lambda path: 1_000_000)
    url = server.put("/m", payload(30_000_000))
    with pytest.raises(StorageError) as caught:
        bench.fetch(asset(url, data=payload(30_000_000)))
    assert caught.value.exit_code == 6
    assert "30,000,000" in (caught.value.expected or "")
    assert server.sent() < 20_000_000


def test_a_disk_that_fills_up_leaves_nothing_behind_and_says_so(server: FaultServer, tmp_path: Path) -> None:
    from modelprep.store import Store

    with mounted(tmp_path / "small", "size=2m") as mount:
        bench = Bench(Store.open(mount / "cache"))
        url = server.put("/m", payload(5_000_000), length=-2)  # a size that nobody tells beforehand
        with pytest.raises(StorageError) as caught:
            bench.fetch(asset(url, pin="first-use"))
        assert "the disk is full" in caught.value.what
        assert str(mount) in (caught.value.where or "")
        assert "free" in (caught.value.got or "")
        assert bench.partials() == []
        assert list(bench.store.blobs()) == []
        small = server.put("/small", payload(100_000))
        assert bench.fetch(asset(small, data=payload(100_000))).blob.size == 100_000


def test_a_limit_on_file_sizes_is_a_storage_error(server: FaultServer, bench: Bench, repository: Path) -> None:
    url = server.put("/m", payload(5_000_000), length=-2)
    code = (
        "import resource, signal, sys, runpy\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000000, 1000000))\n"
        f"sys.argv = ['worker', {url!r}, '-', '0', {str(bench.store.root)!r}]\n"
        f"runpy.run_path({str(repository / 'tests/fetch/worker.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repository)},
        timeout=60,
    )
    assert done.returncode == 6, done.stderr
    assert json.loads(done.stdout)["error"] == "storage"
    assert bench.partials() == []
