"""Proxies, netrc, certificates; threads; and the roads that lead on: confirmation pages, pointers, archives."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path

import pytest
from fetching import Bench, asset, payload
from hypothesis import given
from hypothesis import strategies as st
from servers.http import FaultServer

from modelprep.errors import FetchError, UsageError
from modelprep.fetch import share, urls
from modelprep.fetch.sources import candidates
from modelprep.recipe.schema import Source


def test_a_proxy_of_the_environment_is_used(server: FaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    server.put("http://models.example/m", b"data")
    monkeypatch.setenv("http_proxy", server.base)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert bench.fetch(asset("http://models.example/m", data=b"data")).blob.size == 4


@pytest.mark.parametrize(
    "proxy",
    ["http://", "http://[bad", "ftp://x:1", "http://user:s3cretpw@host:port", "localhost:abc", "http://..:1", "://"],
)
def test_a_proxy_that_is_no_url_is_the_cause_and_not_the_url_of_the_recipe(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(FetchError) as caught:
        bench.fetch(asset("http://models.example/m", data=b"data"), backoff=5)
    shown = proxy.replace("user:s3cretpw", "REDACTED")
    assert f"the proxy in the environment, {shown}, is not a usable URL" in caught.value.tried[0]
    assert [e for e in bench.events if e.kind == "retry"] == []


def test_netrc_gives_the_password(
    server: FaultServer, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    bench.fetch(asset(server.put("/m", b"data"), data=b"data"))
    assert server.log[0].headers["Authorization"].startswith("Basic ")


def test_an_untrusted_certificate_is_told_and_not_asked_again(bench: Bench, certificate: tuple[Path, Path]) -> None:
    with FaultServer(tls=certificate) as server:
        with pytest.raises(FetchError) as caught:
            bench.fetch(asset(server.put("/m", b"data"), data=b"data"), backoff=5)
        assert "TLS certificate is not trusted" in caught.value.tried[0]
        assert server.log == []
        assert [e for e in bench.events if e.kind == "retry"] == []


def test_a_ca_bundle_of_the_environment_is_used(
    bench: Bench, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with FaultServer(tls=certificate) as server:
        assert bench.fetch(asset(server.put("/m", b"data"), data=b"data")).blob.size == 4


def test_of_eight_threads_one_downloads(server: FaultServer, bench: Bench) -> None:
    data = payload()
    wanted = asset(server.put("/m", data, pause=0.005), data=data)
    fetcher = bench.fetcher()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: fetcher.fetch(fetcher.plan(wanted)), range(8)))
    assert sorted(f.bytes_fetched for f in found) == [0] * 7 + [len(data)]
    assert len(server.log) == 1
    assert any("waiting" in e.text for e in bench.events)


def test_two_threads_that_want_two_members_fetch_the_archive_once(server: FaultServer, bench: Bench) -> None:
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", b"first")
        archive.writestr("b", b"second" + payload(1_000_000))
    url = server.put("/a.zip", out.getvalue(), pause=0.01)
    wanted = [
        asset(Source(url, member="a"), data=b"first"),
        asset(Source(url, member="b"), data=b"second" + payload(1_000_000)),
    ]
    fetcher = bench.fetcher()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda a: fetcher.fetch(fetcher.plan(a)), wanted))
    assert [f.blob.size for f in found] == [5, 1_000_006]
    assert len(server.log) == 1


def test_a_confirmation_page_is_followed_to_the_file(
    server: FaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share, "_HOSTS", ("127.0.0.1",))
    data = payload()
    page = b"<!DOCTYPE html><title>Virus scan warning</title><form id=download-form action=/file>"
    page += b"<input type=hidden name=id value=7></form>"
    server.put("/file?id=7", data)
    url = server.put("/share", page)
    fetched = bench.fetch(asset(url, data=data))
    assert fetched.source == url
    assert [r.path for r in server.log] == ["/share", "/file?id=7"]


def test_a_confirmation_page_that_leads_to_itself_ends(
    server: FaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share, "_HOSTS", ("127.0.0.1",))
    page = b"<!DOCTYPE html><form id=download-form action=/share2><input type=hidden name=id value=7></form>"
    server.put("/share2?id=7", page)
    with pytest.raises(FetchError):
        bench.fetch(asset(server.put("/share", page), data=b"data"))
    assert len(server.log) == 2


def test_a_pointer_leads_to_its_content(server: FaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    data = payload()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 3000000\n"
    media = server.put("/media", data)
    monkeypatch.setattr(urls, "lfs_media_url", lambda url: media)
    fetched = bench.fetch(asset(server.put("/raw", pointer), server.put("/mirror", data), data=data))
    assert fetched.source == media
    assert [r.path for r in server.log] == ["/raw", "/media"]


def test_an_archive_of_last_resort_gives_what_all_sources_have_lost(
    server: FaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = payload(1000)
    last = server.put("/by-digest", data)
    monkeypatch.setattr(urls, "by_digest", lambda digests: (last,))
    gone = server.url("/gone")
    fetched = bench.fetch(asset(gone, data=data), archives=True)
    assert fetched.source == last
    assert [r.path for r in server.log] == ["/gone", "/by-digest"]


def test_a_mirror_folder_that_is_not_there_is_wrong_usage(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mirror folder does not exist"):
        bench.fetcher(mirrors=(str(tmp_path / "mistyped"),))


@given(st.text(max_size=80), st.sampled_from(["", "http://", "https://github.com/", "file://", "file:///"]))
def test_any_url_of_a_recipe_gives_candidates_and_can_be_shown(text: str, start: str) -> None:
    for candidate in candidates(asset(start + text, data=b"x"), mirrors=("/m", "http://mirror")):
        assert isinstance(candidate.shown, str)


@pytest.mark.parametrize(
    "url", ["file://host/x", "file:///%00", "http://", "nonsense", "ftp://127.0.0.1/x", "http://[/"]
)
def test_an_unusable_url_is_an_ordinary_failure(bench: Bench, url: str) -> None:
    with pytest.raises(FetchError):
        bench.fetch(asset(url, data=b"x"))
