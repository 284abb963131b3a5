"""Each kind of decay is reported as its kind, by a real server that decays so."""

from __future__ import annotations

import base64
import hashlib
import random
import subprocess
from pathlib import Path

import pytest
from audit.conftest import Audit, pinned
from servers.http import PAGE, FaultServer, closed_port

from modelprep.audit.report import Row
from modelprep.fetch import share, urls
from modelprep.recipe.schema import Digests, Source

BIG = random.Random(5).randbytes(300_000)
SMALL = b"name: 'a net'\nlayer { }\n"


def only(audit: Audit, *args: object, **more: object) -> Row:
    result = audit(*args, **more)
    assert len(result.rows) == 1, result.rows
    return result.rows[0]


def test_a_file_of_the_pinned_size_is_alive_and_is_not_downloaded(server: FaultServer, audit: Audit) -> None:
    row = only(audit, pinned("good", server.put("/good", BIG), data=BIG))
    assert (row.finding.verdict, row.finding.proof, row.finding.size) == ("alive", "size", len(BIG))
    assert [r.method for r in server.log] == ["HEAD"]
    assert server.sent() == 0


def test_a_small_file_is_taken_whole_and_its_digest_told(server: FaultServer, audit: Audit) -> None:
    row = only(audit, pinned("net", server.put("/net", SMALL, content_type="text/plain"), data=SMALL))
    assert (row.finding.verdict, row.finding.proof) == ("alive", "sha256 of the whole file")


def test_a_small_file_that_was_edited_to_the_same_size_has_changed(server: FaultServer, audit: Audit) -> None:
    row = only(audit, pinned("net", server.put("/net", SMALL.replace(b"a", b"b")), data=SMALL))
    assert row.finding.verdict == "changed"
    assert "it has sha256" in row.finding.detail


@pytest.mark.parametrize("status", [404, 410, 403, 401, 500, 502])
def test_a_status_that_refuses_is_death(server: FaultServer, audit: Audit, status: int) -> None:
    row = only(audit, pinned("gone", server.put("/gone", BIG, status=status), data=BIG))
    assert (row.finding.verdict, row.finding.status) == ("dead", status)
    assert str(status) in row.finding.detail


def test_a_server_that_fails_once_is_asked_again_and_lives(server: FaultServer, audit: Audit) -> None:
    # HEAD and GET of the first attempt fail.
    row = only(audit, pinned("shaky", server.put("/shaky", BIG, status=502, times=2), data=BIG))
    assert row.finding.verdict == "alive"
    assert [r.status for r in server.log] == [502, 502, 200]


def test_a_port_at_which_nobody_listens_is_dead(audit: Audit) -> None:
    with closed_port() as port:
        row = only(audit, pinned("gone", f"http://127.0.0.1:{port}/m", data=BIG))
    assert (row.finding.verdict, row.finding.status) == ("dead", None)
    assert "connection refused" in row.finding.detail


def test_a_host_that_has_no_name_any_more_is_dead(audit: Audit) -> None:
    row = only(audit, pinned("gone", "http://no-such-host.invalid/m", data=BIG))
    assert row.finding.verdict == "dead"
    assert "looked up" in row.finding.detail


def test_a_server_that_says_nothing_is_dead(server: FaultServer, audit: Audit) -> None:
    # The headers come, the bytes do not, and the size is not told: HEAD tells too little.
    row = only(audit, pinned("mute", server.put("/mute", BIG, stall_at=0, length=-1), data=BIG))
    assert row.finding.verdict == "dead"
    assert "stalled" in row.finding.detail


def test_a_server_that_refuses_head_alone_lives(server: FaultServer, audit: Audit) -> None:
    row = only(audit, pinned("nohead", server.put("/nohead", BIG, status=405, times=1), data=BIG))
    assert (row.finding.verdict, row.finding.proof) == ("alive", "size")
    assert [r.method for r in server.log] == ["HEAD", "GET"]


def test_a_ranged_get_takes_no_more_than_the_first_bytes(server: FaultServer, audit: Audit) -> None:
    row = only(audit, pinned("page", server.put("/m", BIG, content_type="text/html"), data=BIG))
    assert row.finding.verdict == "alive"
    get = server.requests("/m")[1]
    assert get.range == "bytes=0-4095"


def test_a_server_that_overlooks_range_is_not_read_to_the_end(server: FaultServer, audit: Audit) -> None:
    data = random.Random(1).randbytes(64_000_000)
    row = only(audit, pinned("m", server.put("/m", data, ranges=False, content_type="text/plain"), data=data))
    assert row.finding.verdict == "alive"
    assert server.sent() < 20_000_000  # what the kernel's buffers took before the line was cut


def test_a_page_under_the_name_of_a_file_is_told(server: FaultServer, audit: Audit) -> None:
    row = only(audit, pinned("model", server.put("/m", PAGE, content_type="text/html"), data=BIG))
    assert row.finding.verdict == "page"
    assert "Sign in to continue" in row.finding.detail


def test_a_page_sent_as_a_file_of_unknown_size_is_told(server: FaultServer, audit: Audit) -> None:
    row = only(audit, pinned("model", server.put("/m", PAGE)))
    assert row.finding.verdict == "page"


def test_a_page_that_is_the_wanted_file_is_no_page(server: FaultServer, audit: Audit) -> None:
    subject = pinned("doc", server.put("/d.html", PAGE, content_type="text/html"), data=PAGE, filename="d.html")
    assert only(audit, subject).finding.verdict == "alive"


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 300000\n"


def test_a_pointer_is_told_and_whose_it_is(server: FaultServer, audit: Audit) -> None:
    oid = hashlib.sha256(BIG).hexdigest()
    url = server.put("/raw", POINTER % oid.encode(), content_type="text/plain")
    row = only(audit, pinned("model", url, data=BIG))
    assert (row.finding.verdict, row.finding.lfs_oid) == ("pointer", oid)
    assert "of the very file" in row.finding.detail
    other = only(audit, pinned("model", url, data=BIG + b"x"))
    assert "of another file than pinned" in other.finding.detail


def test_the_content_of_a_pointer_is_asked_for_and_saves_the_asset(
    server: FaultServer, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = server.put("/raw", POINTER % hashlib.sha256(BIG).hexdigest().encode(), content_type="text/plain")
    media = server.put("/media", BIG)
    monkeypatch.setattr(urls, "lfs_media_url", lambda url: media if url == raw else None)
    result = audit(pinned("model", raw, data=BIG))
    assert [row.finding.verdict for row in result.rows] == ["pointer", "alive"]
    assert result.lost == ()


def test_a_file_of_another_size_is_told(server: FaultServer, audit: Audit) -> None:
    row = only(audit, pinned("cut", server.put("/cut", BIG[:200_000]), data=BIG))
    assert row.finding.verdict == "size"
    assert "are missing" in row.finding.detail


def test_a_permanent_redirect_is_a_move_and_a_temporary_one_is_not(server: FaultServer, audit: Audit) -> None:
    new = server.put("/new", BIG)
    server.put("/moved", location=new)
    temporary = only(audit, pinned("m", server.url("/moved"), data=BIG))
    assert (temporary.finding.verdict, temporary.finding.moved_to) == ("alive", "")
    server.put("/moved", location=new, redirect=308)
    permanent = only(audit, pinned("m", server.url("/moved"), data=BIG))
    assert (permanent.finding.verdict, permanent.finding.moved_to) == ("moved", new)


def test_a_move_to_the_front_page_is_a_page(server: FaultServer, audit: Audit) -> None:
    server.put("/", PAGE, content_type="text/html")
    server.put("/moved", location="/", redirect=301)
    row = only(audit, pinned("m", server.url("/moved"), data=BIG))
    assert (row.finding.verdict, row.finding.moved_to) == ("page", server.url("/"))


def test_a_redirect_in_a_circle_is_dead(server: FaultServer, audit: Audit) -> None:
    server.put("/a", location="/b")
    server.put("/b", location="/a")
    row = only(audit, pinned("m", server.url("/a"), data=BIG))
    assert row.finding.verdict == "dead"
    assert "redirected more than" in row.finding.detail


def test_a_redirect_to_something_that_is_no_web_address_is_dead(server: FaultServer, audit: Audit) -> None:
    server.put("/a", location="ftp://127.0.0.1/m")
    assert only(audit, pinned("m", server.url("/a"), data=BIG)).finding.verdict == "dead"


def test_a_password_in_a_redirect_is_never_shown(server: FaultServer, audit: Audit) -> None:
    server.put("/signed?token=s3cret", BIG)
    server.put("/a", location="/signed?token=s3cret", redirect=301)
    row = only(audit, pinned("m", server.url("/a"), data=BIG))
    assert row.finding.verdict == "moved"
    assert "s3cret" not in str(row.to_json())


@pytest.mark.parametrize(
    "header",
    [
        lambda data: {"x-goog-hash": f"crc32c=AAAAAA==, md5={base64.b64encode(hashlib.md5(data).digest()).decode()}"},
        lambda data: {"Repr-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"},
        lambda data: {"X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"'},
        lambda data: {"Content-MD5": base64.b64encode(hashlib.md5(data).digest()).decode()},
    ],
)
def test_a_digest_that_the_server_states_proves_or_disproves(server: FaultServer, audit: Audit, header: object) -> None:
    digests = Digests({"sha256": hashlib.sha256(BIG).hexdigest(), "md5": hashlib.md5(BIG).hexdigest()})
    url = server.put("/m", BIG, headers=header(BIG))  # type: ignore[operator]
    same = only(audit, pinned("m", url, digests=digests, size=len(BIG)))
    assert (same.finding.verdict, same.finding.proof != "size") == ("alive", True)
    other = BIG[:-1] + b"?"
    server.put("/m", other, headers=header(other))  # type: ignore[operator]
    changed = only(audit, pinned("m", url, digests=digests, size=len(BIG)))
    assert changed.finding.verdict == "changed"
    assert "the server states" in changed.finding.detail


def test_an_etag_that_is_no_md5_disproves_nothing(server: FaultServer, audit: Audit) -> None:
    digests = Digests({"md5": hashlib.md5(BIG).hexdigest()})
    url = server.put("/m", BIG, etag=f'"{"0" * 32}"')
    assert only(audit, pinned("m", url, digests=digests, size=len(BIG))).finding.verdict == "alive"
    server.put("/m", BIG, etag=f'"{hashlib.md5(BIG).hexdigest()}"')
    assert only(audit, pinned("m", url, digests=digests, size=len(BIG))).finding.proof == "md5 (etag)"


def test_a_server_that_was_asked_too_often_is_not_judged(server: FaultServer, audit: Audit) -> None:
    subject = pinned("m", server.put("/m", BIG, status=429, retry_after="3600"), data=BIG)
    result = audit(subject)
    assert result.rows[0].finding.verdict == "unclear"
    assert result.assets[0].state == "unclear"
    assert result.lost == ()
    assert len(server.log) == 1


def test_an_untrusted_certificate_is_its_own_kind(audit: Audit, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    try:
        subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("openssl is not here to make a certificate with")
    with FaultServer(tls=(cert, key)) as server:
        row = only(audit, pinned("m", server.put("/m", BIG), data=BIG))
        assert row.finding.verdict == "certificate"
        assert server.log == []


def test_a_confirmation_page_of_a_share_link_is_followed(
    server: FaultServer, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share, "_HOSTS", ("127.0.0.1",))
    page = b"<!DOCTYPE html><title>Virus scan warning</title><form id=download-form action=/file>"
    page += b"<input type=hidden name=id value=7></form>"
    server.put("/file?id=7", BIG)
    row = only(audit, pinned("m", server.put("/share", page, content_type="text/html"), data=BIG))
    assert (row.finding.verdict, row.finding.proof) == ("alive", "size")


def test_a_compressed_answer_is_unpacked_before_it_is_judged(server: FaultServer, audit: Audit) -> None:
    row = only(audit, pinned("m", server.put("/m", BIG, encoding="gzip"), data=BIG))
    assert row.finding.verdict == "alive"
    page = only(audit, pinned("m", server.put("/m", PAGE * 2000, encoding="gzip"), data=BIG))
    assert page.finding.verdict == "page"


def test_of_a_member_the_archive_is_what_is_held_against_the_pin(server: FaultServer, audit: Audit) -> None:
    source = Source(
        server.put("/a.tgz", BIG),
        member="inner",
        digests=Digests({"sha256": hashlib.sha256(BIG).hexdigest()}),
        size=len(BIG),
    )
    assert only(audit, pinned("m", source, data=b"inner file")).finding.verdict == "alive"
    server.put("/a.tgz", BIG[:-5])
    assert only(audit, pinned("m", source, data=b"inner file")).finding.verdict == "size"


def test_a_local_file_is_looked_at_without_a_socket(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"12345")
    here = pinned("here", (tmp_path / "here").as_uri())
    gone = pinned("gone", (tmp_path / "gone").as_uri())
    result = audit(here, gone, pinned("odd", "ftp://host/file"))
    assert {row.place.key: row.finding.verdict for row in result.rows} == {
        "here": "alive",
        "gone": "dead",
        "odd": "skipped",
    }
