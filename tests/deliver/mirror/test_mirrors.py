"""A mirror holds what a fresh offline fetch needs, is continued and not begun anew, and vouches for itself."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import tarfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cli.conftest import Run
from cli.workshop import Workshop, sha256
from servers.disks import mounted

from modelprep.fetch import urls
from modelprep.url import Url


def fresh(workshop: Workshop, number: int) -> None:
    """Forget everything that earlier runs left: another store, another tree."""
    workshop.cache = workshop.root / f"cache-{number}"
    workshop.out = workshop.root / f"out-{number}"


def archived(workshop: Workshop, name: str, members: dict[str, bytes], wanted: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, data in members.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    url = workshop.server.put("/all.tgz", buffer.getvalue())
    workshop.recipe(
        name,
        f"schema: 1\ndemo: Demo-{name}\nsummary: a thing\nmanual: '1.1'\nstatus: ready\ntree: Things\n"
        f"assets:\n  {name}-file:\n    urls: [{{url: '{url}', member: {wanted}}}]\n"
        f"    sha256: {sha256(members[wanted])}\n    size: {len(members[wanted])}\n    pinned_by: the test\n"
        f"    licence: {{name: MIT, source: the test}}\ninstall:\n  data/{name}.bin: ${name}-file\n",
    )


def host(workshop: Workshop) -> str:
    return urlsplit(workshop.server.put("/unused", b"")).netloc


def test_a_mirror_made_by_one_run_serves_a_fresh_offline_one(workshop: Workshop, modelprep: Run) -> None:
    members = {"in/a.bin": b"a" * 4000, "in/b.bin": b"b" * 3000}
    workshop.simple("bare", b"x" * 5000)
    workshop.simple("asked", b"y" * 50, urls=f"'{workshop.server.put('/get?dl=1&v=2', b'y' * 50)}'")
    archived(workshop, "first", members, "in/a.bin")
    archived(workshop, "second", members, "in/b.bin")
    folder = workshop.root / "mirror"
    made = modelprep("mirror", "things", folder, "--no-archives", "--json")
    assert made.code == 0, made.err + made.out
    place = folder / host(workshop)
    assert {path.name for path in place.iterdir()} == {"bare.bin", "all.tgz", "get%3Fdl%3D1%26v%3D2"}
    fresh(workshop, 2)
    ran = modelprep("fetch", "things", "--offline", "--mirror", folder)
    assert ran.code == 0, ran.err
    assert workshop.installed() == {
        "data/bare.bin": b"x" * 5000,
        "data/asked.bin": b"y" * 50,
        "data/first.bin": b"a" * 4000,
        "data/second.bin": b"b" * 3000,
    }


def test_a_second_run_writes_nothing_and_asks_nobody(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("one", b"1" * 100)
    archived(workshop, "two", {"m": b"2" * 100}, "m")
    folder = workshop.root / "mirror"
    assert modelprep("mirror", "things", folder, "--no-archives").code == 0
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    fresh(workshop, 2)
    again = modelprep("mirror", "things", folder, "--offline", "--json")
    result = json.loads(again.out.splitlines()[-1])
    assert again.code == 0
    assert result.get("data", result)["written"] == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_verify_finds_a_flipped_bit_and_a_lost_file_and_the_next_run_mends_them(
    workshop: Workshop, modelprep: Run
) -> None:
    workshop.simple("one", b"1" * 100)
    workshop.simple("two", b"2" * 100)
    folder = workshop.root / "mirror"
    assert modelprep("mirror", "things", folder, "--no-archives").code == 0
    assert modelprep("mirror", "--verify", folder, bare=True).code == 0
    (folder / host(workshop) / "one.bin").write_bytes(b"1" * 99 + b"0")
    (folder / host(workshop) / "two.bin").unlink()
    said = modelprep("mirror", "--verify", folder, "--json", bare=True)
    result = json.loads(said.out.splitlines()[-1])
    assert said.code == 1
    assert [(d["path"].split("/")[-1], d["what"]) for d in result.get("data", result)["damaged"]] == [
        ("one.bin", "digest"),
        ("two.bin", "missing"),
    ]
    assert modelprep("mirror", "things", folder, "--no-archives").code == 0
    assert modelprep("mirror", "--verify", folder, bare=True).code == 0


def test_restricted_files_stay_out_unless_asked_for(workshop: Workshop, modelprep: Run) -> None:
    path = workshop.simple("secret", b"s" * 100)
    path.write_text(path.read_text().replace("    pinned_by", "    restricted: true\n    pinned_by"))
    folder = workshop.root / "mirror"
    ran = modelprep("mirror", "things", folder, "--no-archives")
    assert ran.code == 0
    assert "restricted" in ran.err + ran.out
    assert not list(folder.rglob("secret.bin"))
    assert modelprep("mirror", "things", folder, "--no-archives", "--include-restricted").code == 0
    entry = json.loads((folder / "modelprep-mirror.json").read_text())["files"][0]
    assert (entry["sha256"], entry["size"], entry["licence"], entry["restricted"]) == (
        sha256(b"s" * 100),
        100,
        "MIT",
        True,
    )


def test_a_dead_source_fails_alone(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("good", b"g" * 100)
    workshop.simple("gone", b"y" * 100, urls=workshop.server.put("/gone.bin", status=404))
    folder = workshop.root / "mirror"
    ran = modelprep("mirror", "things", folder, "--no-archives")
    assert ran.code == 3
    assert (folder / host(workshop) / "good.bin").read_bytes() == b"g" * 100
    assert not [path for path in folder.rglob("*") if path.name.endswith(".modelprep")]


def test_a_bitbake_folder_has_names_stamps_and_can_be_read_as_a_mirror(workshop: Workshop, modelprep: Run) -> None:
    data = b"q" * 300
    workshop.simple("plain", b"p" * 200)
    workshop.simple("query", data, urls=f"'{workshop.server.put('/get.bin?dl=1', data)}'")
    folder = workshop.root / "downloads"
    assert modelprep("mirror", "things", folder, "--bitbake", "--no-archives").code == 0
    names = {path.name for path in folder.iterdir()} - {"modelprep-mirror.json"}
    assert {"plain.bin", "plain.bin.done", "get.bin?dl=1", "get.bin?dl=1.done"} <= names
    assert f"{sha256(data)[:12]}-get.bin" in names
    fresh(workshop, 2)
    ran = modelprep("fetch", "things", "--offline", "--mirror", folder)
    assert ran.code == 0, ran.err
    assert workshop.installed() == {"data/plain.bin": b"p" * 200, "data/query.bin": data}


def test_equal_names_with_different_bytes_are_refused_before_anything_is_written(
    workshop: Workshop, modelprep: Run
) -> None:
    workshop.simple("one", b"1" * 100, urls=workshop.server.put("/a/model.bin", b"1" * 100))
    workshop.simple("two", b"2" * 100, urls=workshop.server.put("/b/model.bin", b"2" * 100))
    folder = workshop.root / "downloads"
    ran = modelprep("mirror", "things", folder, "--bitbake", "--no-archives")
    assert ran.code == 2
    assert "model.bin" in ran.err
    assert not list(folder.rglob("model.bin"))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h.org/a/b.tgz", "b.tgz"),
        ("https://h.org/a/b%20c.bin", "b c.bin"),
        ("https://h.org/get?file=x.bin&dl=1", "get?file=x.bin&dl=1"),
        ("https://h.org/a/b.bin;name=x", "b.bin"),
        ("file:///a/b.bin", ""),
    ],
)
def test_names_are_those_of_bitbake(url: str, name: str) -> None:
    assert urls.bitbake_name(Url(url)) == name


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 9}', '{"schema": 1, "layout": "tree", "files": [{}]}'])
def test_a_broken_index_is_a_clear_error(tmp_path: Path, workshop: Workshop, modelprep: Run, text: str) -> None:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "modelprep-mirror.json").write_text(text)
    ran = modelprep("mirror", "--verify", folder, bare=True)
    assert ran.code == 6
    assert "index" in ran.err


def test_a_mirror_of_real_demos_serves_a_fresh_offline_run(
    upstream: Path, tmp_path: Path, workshop: Workshop, modelprep: Run
) -> None:
    folder = tmp_path / "mirror"
    made = modelprep(
        "mirror", "armnn-caffe/mnist", folder, "--mirror", upstream, "--offline", "--cache", tmp_path / "c1", bare=True
    )
    assert made.code == 0, made.err
    out = tmp_path / "fresh"
    ran = modelprep(
        "fetch", "armnn-caffe/mnist", "--mirror", folder, "--offline", "--cache", tmp_path / "c2", "--out", out,
        bare=True,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert (out / "ArmnnTests" / "MANIFEST.json").is_file()


def mirror_arguments(workshop: Workshop, target: str, folder: Path) -> list[str]:
    return workshop.arguments("mirror", target, folder, "--no-archives")


def test_a_run_that_is_interrupted_leaves_a_mirror_that_the_next_one_completes(
    workshop: Workshop, modelprep: Run
) -> None:
    workshop.simple("first", b"1" * 1000)
    folder = workshop.root / "mirror"
    assert modelprep("mirror", "things", folder, "--no-archives").code == 0
    slow = bytes(range(256)) * 4000
    workshop.simple("slow", slow, urls=workshop.server.put("/slow.bin", slow, pause=0.05, piece=4096))
    process = subprocess.Popen(
        workshop.command(*mirror_arguments(workshop, "things", folder)),
        env=workshop.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while workshop.server.sent() < 50_000 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert modelprep("mirror", "--verify", folder, bare=True).code == 0
    assert not list(folder.rglob("*.modelprep"))
    before = workshop.server.sent()
    workshop.server.put("/slow.bin", slow)
    again = modelprep("mirror", "things", folder, "--no-archives", "--json")
    assert again.code == 0, again.err
    assert [Path(path).name for path in json.loads(again.out.splitlines()[-1])["written"]] == ["slow.bin"]
    assert workshop.server.sent() - before < len(slow)  # what had come was not asked for again
    assert modelprep("mirror", "--verify", folder, bare=True).code == 0


def test_a_full_disk_is_said_and_leaves_a_whole_mirror(workshop: Workshop, modelprep: Run) -> None:
    with mounted(workshop.root / "small", "size=1m") as small:
        workshop.simple("good", b"g" * 1000)
        folder = small / "mirror"
        assert modelprep("mirror", "things", folder, "--no-archives").code == 0
        workshop.simple("huge", b"h" * (2 << 20))
        ran = modelprep("mirror", "things", folder, "--no-archives")
        assert ran.code == 6
        assert str(folder) in ran.err
        assert {path.name for path in folder.rglob("*") if path.is_file()} == {"good.bin", "modelprep-mirror.json"}
        assert modelprep("mirror", "--verify", folder, bare=True).code == 0


def test_two_runs_at_once_into_one_folder_lose_nothing_of_one_another(workshop: Workshop, modelprep: Run) -> None:
    names = [f"n{number}" for number in range(6)]
    for name in names:
        data = name.encode() * 2000
        workshop.simple(name, data, urls=workshop.server.put(f"/{name}.bin", data, pause=0.01, piece=512))
    folder = workshop.root / "mirror"
    runs = [
        subprocess.Popen(
            workshop.command(*mirror_arguments(workshop, f"things/{name}", folder)),
            env=workshop.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for name in names
    ]  # fmt: skip
    for process in runs:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    entries = json.loads((folder / "modelprep-mirror.json").read_text())["files"]
    assert sorted(Path(entry["path"]).name for entry in entries) == [f"{name}.bin" for name in names]
    assert modelprep("mirror", "--verify", folder, bare=True).code == 0


def test_a_dl_dir_of_bitbakes_own_is_read_as_a_mirror(workshop: Workshop, modelprep: Run) -> None:
    """It has no index of ours: files are looked up by the names that BitBake gives them, and believed by digest."""
    data = b"d" * 700
    workshop.simple("one", data, urls="'https://example.invalid/get/one.bin'")
    downloads = workshop.root / "downloads"
    downloads.mkdir()
    (downloads / "one.bin").write_bytes(b"another file of that name")
    ran = modelprep("fetch", "things", "--offline", "--mirror", downloads)
    assert ran.code in (3, 4)
    (downloads / "one.bin").write_bytes(data)
    (downloads / "one.bin.done").write_bytes(b"")
    ran = modelprep("fetch", "things", "--offline", "--mirror", downloads)
    assert ran.code == 0, ran.err
    assert workshop.installed() == {"data/one.bin": data}


def test_a_mirror_of_one_layout_is_not_mixed_with_the_other(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("one", b"1" * 100)
    folder = workshop.root / "mirror"
    assert modelprep("mirror", "things", folder, "--no-archives").code == 0
    ran = modelprep("mirror", "things", folder, "--no-archives", "--bitbake")
    assert ran.code == 2
    assert "other layout" in ran.err
