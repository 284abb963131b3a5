"""Where an asset is looked for, in which order, and under which names."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from fetching import Bench, asset, payload
from hypothesis import given
from hypothesis import strategies as st
from servers.http import FaultServer

from modelprep.errors import DigestMismatch, FetchError, NeedsBringing
from modelprep.fetch import urls
from modelprep.fetch.sources import candidates
from modelprep.recipe.schema import Asset, Digests, Source
from modelprep.url import Url


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


# -- names in a mirror -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://yann.lecun.com/exdb/mnist/t10k.gz", "yann.lecun.com/exdb/mnist/t10k.gz"),
        ("https://Example.COM:443/a.bin", "example.com/a.bin"),
        ("https://example.com:8443/a.bin", "example.com:8443/a.bin"),
        ("https://www.dropbox.com/s/x/a.tgz?dl=1", "www.dropbox.com/s/x/a.tgz%3Fdl%3D1"),
        ("https://h/Machine%20learning//x.zip", "h/Machine learning/x.zip"),
        ("https://h/folder/", "h/folder/index.html"),
        ("https://h/a/../../etc/passwd", "h/a/%2E%2E/%2E%2E/etc/passwd"),
        ("https://h/a/%2e%2e%2Fb", "h/a/..%2Fb"),
        ("https://user:pw@h/a", "h/a"),
    ],
)
def test_a_mirror_keeps_a_url_under_its_host_and_path(url: str, place: str) -> None:
    assert str(urls.mirror_path(Url(url))) == place


@given(st.text(max_size=80), st.text(max_size=40))
def test_no_url_names_a_file_outside_of_the_mirror(path: str, query: str) -> None:
    place = urls.mirror_path(Url(f"http://host/{path}?{query}"))
    if place is not None:
        assert place.parts[0] == "host" or "#" in path or "@" in path
        assert not place.is_absolute()
        assert ".." not in place.parts
        assert all("\0" not in part and "/" not in part for part in place.parts)


@given(st.text(max_size=120))
def test_any_text_for_a_url_is_answered_without_an_exception(text: str) -> None:
    url = Url(text)
    assert isinstance(str(url), str)
    urls.mirror_path(url)
    urls.direct_forms(url)
    urls.lfs_media_url(url)
    urls.by_url(url)
    urls.basename(url)
    urls.bitbake_name(url)


# -- links made for browsers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "direct"),
    [
        (
            "https://drive.google.com/file/d/0Bzy9/view?usp=sharing",
            "https://drive.usercontent.google.com/download?id=0Bzy9&export=download&confirm=t",
        ),
        (
            "https://drive.google.com/uc?id=0Bzy9",
            "https://drive.usercontent.google.com/download?id=0Bzy9&export=download&confirm=t",
        ),
        (
            "https://onedrive.live.com/?authkey=%21AAFW2-FVoxeVRck&cid=4006CBB8476FF777&id=4006CBB8476FF777%2117895",
            "https://onedrive.live.com/download?cid=4006CBB8476FF777&resid=4006CBB8476FF777%2117895"
            "&authkey=%21AAFW2-FVoxeVRck",
        ),
        ("https://www.dropbox.com/s/k/a.tgz?dl=0", "https://www.dropbox.com/s/k/a.tgz?dl=1"),
        ("https://huggingface.co/u/m/blob/main/a.onnx", "https://huggingface.co/u/m/resolve/main/a.onnx"),
        ("https://github.com/u/r/blob/master/m/a.bin", "https://raw.githubusercontent.com/u/r/master/m/a.bin"),
        ("https://github.com/u/r/raw/master/a.bin", "https://github.com/u/r/raw/master/a.bin"),
    ],
)
def test_a_link_made_for_browsers_becomes_what_gives_the_file(link: str, direct: str) -> None:
    assert urls.direct_forms(Url(link))[0][0] == direct


def test_a_short_onedrive_link_becomes_its_share_token() -> None:
    ((url, _),) = urls.direct_forms(Url("https://1drv.ms/u/s!Ab"))
    assert url == "https://api.onedrive.com/v1.0/shares/u!aHR0cHM6Ly8xZHJ2Lm1zL3UvcyFBYg/root/content"


def test_a_blob_page_is_a_warning(bench: Bench) -> None:
    places = candidates(asset("https://github.com/u/r/blob/master/a.bin", data=b"x"), archives=False)
    assert "web page" in places[0].warning


def test_the_content_of_an_lfs_pointer_is_asked_for_where_github_keeps_it() -> None:
    assert (
        urls.lfs_media_url(Url("https://github.com/onnx/models/raw/main/a/m.onnx"))
        == "https://media.githubusercontent.com/media/onnx/models/main/a/m.onnx"
    )
    assert urls.lfs_media_url(Url("https://example.com/a")) is None


def test_a_confirmation_page_leads_on_to_the_file_with_all_its_hidden_fields() -> None:
    from modelprep.fetch import share

    page = (
        b"<!DOCTYPE html><html><title>Virus scan warning</title><form id='download-form' "
        b"action='https://drive.usercontent.google.com/download' method='get'><input type='submit' value='go'>"
        b"<input type='hidden' name='id' value='0Bz'><input type='hidden' name='uuid' value='a b'></form>"
    )
    with pytest.raises(share.Confirm) as caught:
        share.confirm(Url("https://drive.usercontent.google.com/download?id=0Bz"), page)
    assert caught.value.url == "https://drive.usercontent.google.com/download?id=0Bz&uuid=a+b"
    share.confirm(Url("https://example.com/download?id=0Bz"), page)
    share.confirm(Url("https://drive.google.com/x"), page.replace(b"https://drive.usercontent.google", b"https://evil"))


# -- archives of last resort -------------------------------------------------------------------------------------


def test_archives_of_last_resort_come_after_every_source_of_a_pinned_asset() -> None:
    url = "https://raw.githubusercontent.com/BVLC/caffe/master/models/a.prototxt"
    wanted = asset(url, digests=Digests({"git": "a" * 40}), size=100)
    assert [(c.kind, c.url) for c in candidates(wanted)] == [
        ("recipe", url),
        ("archive", f"https://archive.softwareheritage.org/api/1/content/sha1_git:{'a' * 40}/raw/"),
        ("archive", "https://cdn.jsdelivr.net/gh/BVLC/caffe@master/models/a.prototxt"),
        ("archive", f"https://web.archive.org/web/2id_/{url}"),
    ]


def test_archives_are_not_asked_for_what_nothing_pins_nor_when_the_user_says_no() -> None:
    url = "https://raw.githubusercontent.com/BVLC/caffe/master/models/a.prototxt"
    assert {c.kind for c in candidates(asset(url, pin="first-use"))} == {"recipe"}
    assert {c.kind for c in candidates(asset(url, data=b"x"), archives=False)} == {"recipe"}
    assert {c.kind for c in candidates(asset(url, pin="first-use"), pinned=Digests({"sha256": "0" * 64}))} == {
        "recipe",
        "archive",
    }


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a",
        "http://10.1.2.3/a",
        "http://nas/a",
        "http://build.corp/a",
        "https://u:p@example.com/a",
        "https://example.com/a?token=x",
        "file:///a",
    ],
)
def test_a_private_url_is_never_told_to_an_archive(url: str) -> None:
    assert urls.by_url(Url(url)) == ()


def test_a_big_file_is_not_asked_of_jsdelivr() -> None:
    url = "https://raw.githubusercontent.com/u/r/main/a.bin"
    assert len(urls.by_url(Url(url), size=1000)) == 2
    assert len(urls.by_url(Url(url), size=243_862_414)) == 1


def test_what_is_a_member_elsewhere_is_asked_for_bare_by_its_digest() -> None:
    wanted = asset(Source("https://example.com/a.zip", member="m.bin"), data=b"x")
    by_digest = [c for c in candidates(wanted) if "softwareheritage" in c.url.host]
    assert [c.source.member for c in by_digest] == [None]


# -- mirrors -----------------------------------------------------------------------------------------------------


def test_a_mirror_folder_is_asked_first_and_offline_opens_no_socket(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def no_socket(*args: object, **more: object) -> None:
        raise AssertionError("a socket was opened")

    data = payload(1000)
    file = tmp_path / "mirror" / "example.com" / "a" / "m.bin%3Fdl%3D1"
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    monkeypatch.setattr(socket, "socket", no_socket)
    wanted = asset("https://example.com/a/m.bin?dl=1", data=data)
    fetched = bench.fetch(wanted, mirrors=(str(tmp_path / "mirror"),), offline=True)
    assert fetched.source == str(file)
    assert fetched.bytes_fetched == 1000
    assert fetched.blob.path.stat().st_ino != file.stat().st_ino


def test_offline_without_the_file_says_so_and_opens_no_socket(server: FaultServer, bench: Bench) -> None:
    url = server.put("/m", b"data")
    with pytest.raises(FetchError) as caught:
        bench.fetch(asset(url, data=b"data"), offline=True)
    assert "skipped (--offline)" in caught.value.tried[0]
    assert "run again without --offline" in (caught.value.hint or "")
    assert server.log == []


def test_planning_opens_no_socket(server: FaultServer, bench: Bench) -> None:
    planned = bench.fetcher(mirrors=(server.base,), archives=True).plan(asset(server.url("/m"), data=b"data"))
    assert planned.here is None
    assert planned.bytes_to_come == 4
    assert server.log == []


def test_a_served_mirror_is_asked_by_host_and_path(bench: Bench, tmp_path: Path) -> None:
    data = payload(1000)
    file = tmp_path / "example.com" / "a b" / "m.bin%3Fdl%3D1"
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    with FaultServer(tmp_path) as server:
        fetched = bench.fetch(asset("https://example.com/a%20b/m.bin?dl=1", data=data), mirrors=(server.base,))
        assert fetched.source == f"{server.base}/example.com/a%20b/m.bin%253Fdl%253D1"


def test_a_wrong_file_in_a_mirror_folder_is_left_alone_and_the_recipe_is_asked(
    server: FaultServer, bench: Bench, tmp_path: Path
) -> None:
    data = payload(1000)
    url = server.put("/m", data)
    file = tmp_path / "mirror" / f"127.0.0.1:{server.port}" / "m"
    file.parent.mkdir(parents=True)
    file.write_bytes(payload(1000, seed=9))
    fetched = bench.fetch(asset(url, data=data), mirrors=(str(tmp_path / "mirror"),))
    assert fetched.source == url
    assert "another file" in fetched.tried[0]
    assert file.read_bytes() == payload(1000, seed=9)
    assert bench.quarantined() == []


def test_a_flat_folder_of_downloads_serves_pinned_assets_only(bench: Bench, tmp_path: Path) -> None:
    data = payload(1000)
    (tmp_path / "m.bin").write_bytes(data)
    url = "https://example.com/deep/m.bin"
    assert bench.fetch(asset(url, data=data), mirrors=(str(tmp_path),), offline=True).blob.size == 1000
    with pytest.raises(FetchError):
        bench.fetch(asset(url, pin="first-use"), mirrors=(str(tmp_path),), offline=True)


@pytest.mark.parametrize("kind", ["folder", "pointer", "page", "missing"])
def test_what_is_no_file_in_a_mirror_is_told(bench: Bench, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "example.com" / "m"
    file.parent.mkdir()
    if kind == "folder":
        file.mkdir()
    elif kind == "pointer":
        file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 9\n")
    elif kind == "page":
        file.write_bytes(b"<html><title>Moved</title>")
    with pytest.raises(FetchError) as caught:
        bench.fetch(asset("http://example.com/m", pin="first-use"), mirrors=(str(tmp_path),), offline=True)
    said = {"folder": "regular file", "pointer": "Git LFS pointer", "page": "'Moved'", "missing": "no such file"}
    assert said[kind] in caught.value.tried[0]


def test_a_file_url_is_a_source(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a b.bin").write_bytes(b"data")
    fetched = bench.fetch(asset((tmp_path / "a b.bin").as_uri(), data=b"data"), offline=True)
    assert fetched.blob.path.read_bytes() == b"data"


# -- members of archives -----------------------------------------------------------------------------------------


def tgz(**members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, data)
    return out.getvalue()


def test_two_members_of_one_archive_cost_one_download(server: FaultServer, bench: Bench) -> None:
    url = server.put("/a.tgz", tgz(a_bin=b"first", b_bin=b"second"))
    one = bench.fetch(asset(Source(url, member="a.bin"), data=b"first"))
    two = bench.fetch(asset(Source(url, member="b.bin"), data=b"second"))
    assert one.blob.path.read_bytes() == b"first"
    assert two.blob.path.read_bytes() == b"second"
    assert one.bytes_fetched > 0
    assert two.bytes_fetched == 0
    assert len(server.log) == 1


def test_a_tgz_a_zip_and_a_bare_file_are_three_sources_of_one_asset(server: FaultServer, bench: Bench) -> None:
    data = payload(5000)
    no_member = Source(server.put("/a.tgz", tgz(other_bin=b"x")), member="m.bin")
    wrong = Source(server.put("/b.zip", zipped("m.bin", b"y" * 5000)), member="m.bin")
    bare = Source(server.put("/m.bin", data))
    fetched = bench.fetch(asset(no_member, wrong, bare, data=data))
    assert fetched.source == bare.url
    assert len(fetched.tried) == 2
    assert "its member m.bin is another file" in fetched.tried[1]


def test_an_archive_with_a_digest_of_its_own_is_verified_before_it_is_opened(server: FaultServer, bench: Bench) -> None:
    packed = tgz(m_bin=b"data")
    source = Source(server.put("/a.tgz", packed[:-1] + b"\0"), member="m.bin", digests=Digests({"md5": "0" * 32}))
    with pytest.raises(DigestMismatch):
        bench.fetch(asset(source, data=b"data"))


def test_an_archive_that_was_repaired_at_its_url_is_fetched_again(server: FaultServer, bench: Bench) -> None:
    url = server.put("/a.tgz", tgz(a_bin=b"first"))
    bench.fetch(asset(Source(url, member="a.bin"), data=b"first"))
    server.put("/a.tgz", tgz(a_bin=b"first", b_bin=b"second"))
    assert bench.fetch(asset(Source(url, member="b.bin"), data=b"second")).blob.size == 6


def test_an_archive_of_which_only_members_are_pinned_is_verified_by_them(server: FaultServer, bench: Bench) -> None:
    good = tgz(a_bin=b"first")
    bad = server.put("/bad.tgz", tgz(a_bin=b"other"))
    url = server.put("/good.tgz", good)
    wanted = asset(bad, url, members={"a.bin": Digests({"sha256": sha256(b"first")})})
    fetched = bench.fetch(wanted)
    assert fetched.blob.path.read_bytes() == good
    assert not fetched.first_use
    assert len(bench.quarantined()) == 1
    assert bench.fetch(wanted).bytes_fetched == 0


# -- pins --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    sha256: str
    size: int | None


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512", "sha1", "md5", "git"])
@pytest.mark.parametrize("length", [None, -2])
def test_any_digest_pins_and_is_remembered(
    server: FaultServer, bench: Bench, algorithm: str, length: int | None
) -> None:
    data = payload(5000)
    value = git_id(data) if algorithm == "git" else hashlib.new(algorithm, data).hexdigest()
    url = server.put("/m", data, length=length)
    wanted = asset(url, digests=Digests({algorithm: value}))
    assert bench.fetch(wanted).digests[algorithm] == value
    assert bench.fetcher().plan(wanted).here is not None
    with pytest.raises(DigestMismatch):
        bench.fetch(asset(url, digests=Digests({algorithm: "0" * len(value)})))


def test_all_digests_that_are_given_must_agree(server: FaultServer, bench: Bench) -> None:
    data = payload(5000)
    url = server.put("/m", data)
    with pytest.raises(DigestMismatch) as caught:
        bench.fetch(asset(url, digests=Digests({"sha256": sha256(data), "md5": "0" * 32}), size=5000))
    assert "md5" in (caught.value.got or "")


def test_a_first_use_tells_its_digest_and_a_lock_entry_enforces_it(server: FaultServer, bench: Bench) -> None:
    url = server.put("/m", b"data")
    fetched = bench.fetch(asset(url, pin="first-use"))
    assert fetched.first_use
    assert fetched.digests["sha256"] == sha256(b"data")
    lock = {"weights": Entry(sha256(b"other"), 5)}
    with pytest.raises(DigestMismatch) as caught:
        bench.fetch(asset(url, pin="first-use"), lock=lock)
    assert "modelprep.lock" in (caught.value.hint or "")
    server.put("/m", b"other")
    assert not bench.fetch(asset(url, pin="first-use"), lock=lock).first_use


def test_an_asset_without_any_source_is_to_be_brought(bench: Bench) -> None:
    with pytest.raises(NeedsBringing) as caught:
        bench.fetch(Asset("shark", filename="shark.jpg"))
    assert "--set shark=shark.jpg" in (caught.value.hint or "")
