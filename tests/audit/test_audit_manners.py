"""Servers are treated politely, and what audits remember is kept and checked."""

from __future__ import annotations

import itertools
import json
import random
from datetime import timedelta
from pathlib import Path

import pytest
from audit.conftest import NOW, Audit, pinned
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers.http import FaultServer, closed_port

from modelprep.audit import History
from modelprep.errors import UsageError

BIG = random.Random(6).randbytes(100_000)


def overlaps(server: FaultServer) -> list[tuple[str, str]]:
    """Return the pairs of requests of which the second came before the last byte of the first's answer was sent."""
    log = sorted(server.log, key=lambda request: request.time)
    assert all(request.ended for request in log)
    return [(a.path, b.path) for a, b in itertools.pairwise(log) if b.time < a.ended]


def test_no_host_is_asked_twice_at_once_and_each_gets_its_pause(audit: Audit) -> None:
    with FaultServer() as first, FaultServer() as second:
        wanted = []
        for number in range(6):
            for server in (first, second):
                # Slow answers, so that an impatient client would be seen.
                url = server.put(f"/{number}", BIG, content_type="text/html", pause=0.01, piece=1024)
                wanted.append(pinned(f"{server.port}-{number}", url, data=BIG))
        result = audit(*wanted, pause=0.05, hosts_at_once=8)
        assert set(result.counts) == {"alive"}
        for server in (first, second):
            assert len(server.log) == 12  # HEAD and GET each
            assert overlaps(server) == []
            times = [request.time for request in server.log]
            assert min(b - a for a, b in itertools.pairwise(times)) >= 0.05
        # And yet the two hosts were asked side by side.
        assert max(r.time for r in first.log) > min(r.time for r in second.log)
        assert max(r.time for r in second.log) > min(r.time for r in first.log)


def test_a_redirect_to_a_busy_host_waits_for_its_turn(audit: Audit) -> None:
    with FaultServer() as busy, FaultServer() as other:
        wanted = []
        for number in range(5):
            url = busy.put(f"/own-{number}", BIG, content_type="text/html", pause=0.02, piece=512)
            wanted.append(pinned(f"own-{number}", url, data=BIG))
            target = busy.put(f"/from-other-{number}", BIG, content_type="text/html", pause=0.02, piece=512)
            wanted.append(pinned(f"far-{number}", other.put(f"/{number}", location=target), data=BIG))
        result = audit(*wanted, hosts_at_once=4)
        assert set(result.counts) == {"alive"}
        assert len(busy.log) == 20
        assert overlaps(busy) == []


def test_a_url_that_several_assets_share_is_asked_once(server: FaultServer, audit: Audit) -> None:
    url = server.put("/m", BIG)
    result = audit(pinned("a", url, data=BIG), pinned("b", url, data=BIG), pinned("c", url, data=BIG))
    assert [row.finding.verdict for row in result.rows] == ["alive"] * 3
    assert len(server.log) == 1


def test_a_server_that_asks_for_patience_gets_it(server: FaultServer, audit: Audit) -> None:
    subject = pinned("m", server.put("/m", BIG, status=503, times=2, retry_after="1"), data=BIG)
    assert audit(subject).rows[0].finding.verdict == "alive"
    assert server.log[2].time - server.log[1].time >= 0.9


def test_the_second_audit_says_when_a_source_last_worked(server: FaultServer, audit: Audit) -> None:
    subject = pinned("m", server.put("/m", BIG), data=BIG)
    first = audit(subject)
    assert first.rows[0].last_worked == ""
    server.put("/m", status=404)
    second = audit(subject, now=NOW + timedelta(days=7))
    assert second.rows[0].finding.verdict == "dead"
    assert second.rows[0].last_worked == "2026-11-23T12:00:00+00:00"
    third = audit(subject, now=NOW + timedelta(days=14)).rows[0]
    assert third.last_worked == "2026-11-23T12:00:00+00:00"
    assert third.to_json()["failing_since"] == "2026-11-30T12:00:00+00:00"


def test_an_unpinned_file_that_is_another_one_has_changed_once(server: FaultServer, audit: Audit) -> None:
    subject = pinned("m", server.put("/m", BIG))
    assert audit(subject).rows[0].finding.verdict == "alive"
    assert audit(subject).rows[0].finding.verdict == "alive"
    server.put("/m", BIG + b"more")
    changed = audit(subject, now=NOW + timedelta(days=7)).rows[0]
    assert changed.finding.verdict == "changed"
    assert "since 2026-11-23 its size has changed from 100000 to 100004 bytes" in changed.finding.detail
    assert audit(subject).rows[0].finding.verdict == "alive"


def test_an_unpinned_file_with_a_new_date_has_changed_and_with_a_new_tag_alone_has_not(
    server: FaultServer, audit: Audit
) -> None:
    subject = pinned("m", server.put("/m", BIG))
    audit(subject)
    server.put("/m", BIG, etag='"of another machine"')
    assert audit(subject).rows[0].finding.verdict == "alive"
    server.put("/m", BIG, last_modified=1_600_000_000.0)
    assert audit(subject).rows[0].finding.verdict == "changed"


def test_a_new_tag_of_a_pinned_file_is_a_hint_only(server: FaultServer, audit: Audit) -> None:
    subject = pinned("m", server.put("/m", BIG, last_modified=None), data=BIG)
    audit(subject)
    server.put("/m", BIG, last_modified=None, etag='"another"')
    row = audit(subject).rows[0]
    assert (row.finding.verdict, row.finding.detail) == ("alive", "since 2026-11-23 its ETag has changed")


def test_an_asset_without_a_living_source_is_lost_and_names_its_demos(server: FaultServer, audit: Audit) -> None:
    with closed_port() as port:
        gone = pinned("gone", f"http://127.0.0.1:{port}/a", server.put("/b", status=404), data=BIG)
        kept = pinned("kept", f"http://127.0.0.1:{port}/c", server.put("/d", BIG), data=BIG)
        result = audit(gone, kept, pinned("slot"))
    assert [(asset.subject.key, asset.state) for asset in result.assets] == [
        ("gone", "lost"),
        ("kept", "living"),
        ("slot", "slot"),
    ]
    assert result.demos_lost == ("Demo-gone",)


def test_an_archive_of_last_resort_is_told_apart(
    server: FaultServer, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelprep.fetch import urls

    last = server.put("/by-digest", BIG)
    monkeypatch.setattr(urls, "by_digest", lambda digests: (last,))
    subject = pinned("m", server.put("/m", status=404), data=BIG)
    assert audit(subject).assets[0].state == "lost"
    assert audit(subject, archives=True).assets[0].state == "archive"


def test_a_licence_that_nobody_states_is_told(server: FaultServer, audit: Audit) -> None:
    from modelprep.recipe.schema import Licence

    url = server.put("/m", BIG)
    result = audit(
        pinned("a", url, data=BIG, licence=None),
        pinned("b", url, data=BIG, licence=Licence("MIT", "the asset facts, which name no document")),
        pinned("c", url, data=BIG),
    )
    assert {asset.subject.key: asset.licence for asset in result.assets} == {
        "a": "missing",
        "b": "untraced",
        "c": "stated",
    }
    assert result.unlicensed == ("a",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "{",
        '{"schema": 2, "urls": {}}',
        '{"schema": 1, "urls": []}',
        '{"schema": 1, "urls": {"http://h/x": 3}}',
        '{"schema": 1, "urls": {"http://h/x": {"size": true}}}',
        '{"schema": 1, "urls": {"http://h/x": {"etag": 1}}}',
        '{"schema": 1, "urls": {"http://h/x": {"verdict": "fine"}}}',
        "[" * 100_000,
    ],
)
def test_a_file_that_is_no_history_is_told_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="not a history of"):
        History(path)
    assert path.read_text() == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.binary(max_size=300))
def test_any_bytes_in_the_place_of_a_history_are_an_ordinary_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "history.json"
    path.write_bytes(data)
    with pytest.raises(UsageError):
        History(path)


def test_a_history_survives_being_written_and_read(server: FaultServer, audit: Audit, tmp_path: Path) -> None:
    audit(pinned("m", server.put("/m?token=s3cret", BIG), data=BIG))
    text = (tmp_path / "history.json").read_text()
    assert "s3cret" not in text
    (entry,) = json.loads(text)["urls"].values()
    assert entry["worked"] == "2026-11-23T12:00:00+00:00"
    assert len(History(tmp_path / "history.json")) == 1
