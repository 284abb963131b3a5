"""Bundles of the small demos are the same bytes whoever makes them; a mirror of them serves somebody with nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from deliver.conftest import TARGETS, Goods, modelprep


@pytest.fixture(scope="module")
def somebody_elses(goods: Goods, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetch the demos once more as somebody else: another folder, store, mirror, clock zone, locale, umask."""
    home = tmp_path_factory.mktemp("somebody else's") / "deep er"
    home.mkdir()
    shutil.copytree(goods.upstream, home / "upstream")
    before = os.umask(0o077)
    try:
        ran = goods.fetch(home / "out", home / "upstream", "--offline", TZ="Pacific/Auckland", LC_ALL="C", LANG="C")
    finally:
        os.umask(before)
    assert ran.code == 0, ran.err
    for number, path in enumerate(sorted((home / "out").rglob("*"))):
        os.utime(path, (10_000_000 * number,) * 2)
    return home / "out"


@pytest.mark.parametrize("kind", [".tar.gz", ".tar.zst", ".zip", ".tar"])
def test_two_people_make_the_same_bundle(goods: Goods, somebody_elses: Path, tmp_path: Path, kind: str) -> None:
    if kind == ".tar.zst":
        pytest.importorskip("zstandard", reason=".tar.zst needs the zstandard module")
    one, two = tmp_path / f"one{kind}", tmp_path / "elsewhere" / f"two{kind}"
    first = goods.run("bundle", *TARGETS, "-o", one, TZ="UTC", LC_ALL="C.UTF-8", PYTHONHASHSEED="1")
    before = os.umask(0o077)
    try:
        second = goods.run(
            "bundle", *reversed(TARGETS), "-o", two, out=somebody_elses, TZ="Asia/Kolkata", LC_ALL="C",
            PYTHONHASHSEED="2",
        )  # fmt: skip
    finally:
        os.umask(before)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert one.read_bytes() == two.read_bytes()


def test_what_a_bundle_says_of_itself_is_what_is_in_it(goods: Goods, tmp_path: Path) -> None:
    path = tmp_path / "demos.tar.gz"
    ran = goods.run("bundle", *TARGETS, "-o", path, "--json")
    assert ran.code == 0, ran.err
    said = json.loads(ran.out.splitlines()[-1])
    assert said["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    with tarfile.open(path) as archive:
        held = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert len(held) == said["files"]
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in held.items()}
    own = {f"ArmnnTests/{name}" for name in ("MANIFEST.json", "SHA256SUMS", "run-tests.sh")}
    demos = {name for name in held if name.startswith("ArmnnTests/")} - own
    sums = dict(line.split("  ", 1)[::-1] for line in held["ArmnnTests/SHA256SUMS"].decode().splitlines())
    assert {f"ArmnnTests/{name}": digest for name, digest in sums.items()} == {n: digests[n] for n in demos}
    manifest = json.loads(held["ArmnnTests/MANIFEST.json"])
    assert {f"ArmnnTests/{file['path']}": file["sha256"] for file in manifest["files"]} == {
        n: digests[n] for n in demos
    }
    assert sorted(demo["recipe"] for demo in manifest["demos"]) == sorted(TARGETS)
    # A restricted picture stays at home, and the note says which and why.
    restricted = {name for name in said["left_out"] if name.endswith("shark.jpg")}
    assert restricted == ({"ArmnnTests/data/shark.jpg"} if goods.recipes else set())
    note = held["LICENCES.txt"].decode()
    assert all(name in note for name in [*demos, *said["left_out"]])
    for name in restricted:
        assert name not in held
        assert "Left out, because their licences do not allow redistribution" in note
    # The board's own tools unpack and check it.
    subprocess.run(["tar", "-xzf", path, "-C", tmp_path], check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=tmp_path / "ArmnnTests", check=True)


def test_a_public_validator_accepts_what_the_bundle_says_of_licences(goods: Goods, tmp_path: Path) -> None:
    pytest.importorskip("spdx_tools", reason="needs spdx-tools, of the dev group")
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    path = tmp_path / "demos.zip"
    assert goods.run("bundle", *TARGETS, "-o", path, "--include-restricted").code == 0
    with zipfile.ZipFile(path) as archive:
        document = parse_file(archive.extract("modelprep.spdx.json", tmp_path))
        names = set(archive.namelist())
    assert validate_full_spdx_document(document, "SPDX-2.3") == []
    described = {file.name.removeprefix("./") for file in document.files}
    assert described == {
        name
        for name in names
        if "/" in name and name.rpartition("/")[2] not in ("MANIFEST.json", "SHA256SUMS", "run-tests.sh")
    }


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder as any web server would; give its address and what was asked for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def made_mirror(goods: Goods, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mirrors")
    ran = modelprep(
        "mirror", *TARGETS, folder / "mirror", "--mirror", goods.upstream, "--offline", "--include-restricted",
        "--cache", folder / "cache", *goods.recipes, cwd=folder,
    )  # fmt: skip
    # Nobody has the real shark: it is left to bring, and is no reason to write no mirror.
    assert ran.code == (0 if goods.recipes else 3), ran.err
    return folder / "mirror"


def files_of(out: Path) -> dict[str, bytes]:
    """Return a tree without its manifest, which names the places that files came from."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in (out / "ArmnnTests").rglob("*")
        if path.is_file()
    }


def test_a_mirror_serves_a_fresh_offline_fetch(goods: Goods, made_mirror: Path, tmp_path: Path) -> None:
    ran = goods.fetch(tmp_path / "out", made_mirror, "--offline")
    assert ran.code == 0, ran.err
    assert files_of(tmp_path / "out") == files_of(goods.out)


def test_a_mirror_served_by_a_plain_web_server_is_all_that_a_fetch_needs(
    goods: Goods, made_mirror: Path, tmp_path: Path
) -> None:
    with served(made_mirror) as (address, asked):
        ran = goods.fetch(tmp_path / "out", address, "--no-archives")
    assert ran.code == 0, ran.err
    assert files_of(tmp_path / "out") == files_of(goods.out)
    assert len(asked) >= 6


def test_verify_accepts_it_and_a_second_run_writes_nothing(goods: Goods, made_mirror: Path, tmp_path: Path) -> None:
    assert modelprep("mirror", "--verify", made_mirror, cwd=tmp_path).code == 0
    before = {path: path.stat().st_mtime_ns for path in made_mirror.rglob("*")}
    ran = modelprep(
        "mirror", *TARGETS, made_mirror, "--offline", "--include-restricted", "--cache", tmp_path / "cache", "--json",
        *goods.recipes, cwd=tmp_path,
    )  # fmt: skip
    assert json.loads(ran.out.splitlines()[-1])["written"] == []
    assert {path: path.stat().st_mtime_ns for path in made_mirror.rglob("*")} == before
