"""What is installed is what was verified: corrupt cached files and damaged lists are found and put right in the run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cli.workshop import Workshop, gzipped, sha256

import modelprep
from modelprep.cli.main import invoke
from modelprep.events import Event
from modelprep.pipeline.run.report import Report
from modelprep.store import Store
from modelprep.store.maintenance import verify

DATA = b"the model's bytes, as published"


def fetch(
    workshop: Workshop, *, out: str = "out", offline: bool = False, link: bool = False
) -> tuple[Report, list[Event]]:
    heard: list[Event] = []
    report = modelprep.fetch(
        ["things"],
        out=workshop.root / out,
        cache=workshop.cache,
        recipes=[workshop.recipes],
        offline=offline,
        archives=False,
        link=link,
        listen=heard.append,
    )
    return report, heard


def rot(workshop: Workshop, data: bytes) -> Path:
    """Change a cached file as a failing disk does: no status of it shows that."""
    store = Store.open(workshop.cache)
    path = store.blob_path(sha256(data))
    path.chmod(0o644)
    path.write_bytes(data[:-1] + b"?")
    store.remember(path, sha256(data))
    return path


@pytest.mark.parametrize("link", [False, True])
def test_a_corrupt_cached_file_is_quarantined_and_downloaded_again(workshop: Workshop, link: bool) -> None:
    workshop.simple("a", DATA)
    fetch(workshop)
    rot(workshop, DATA)
    report, heard = fetch(workshop, out="second", link=link)
    assert report.exit_code == 0
    assert (workshop.root / "second/Things/data/a.bin").read_bytes() == DATA
    assert any(event.kind == "warning" and "corrupt" in event.text for event in heard)
    assert len(workshop.server.requests("/a.bin")) == 2
    assert len(list((workshop.cache / "quarantine").glob("*.bad"))) == 1
    assert verify(Store.open(workshop.cache)).ok


def test_without_a_source_a_corrupt_cached_file_is_not_installed(workshop: Workshop) -> None:
    workshop.simple("a", DATA)
    fetch(workshop)
    rot(workshop, DATA)
    report, _ = fetch(workshop, out="second", offline=True)
    assert report.exit_code == 3
    assert not (workshop.root / "second/Things").exists() or not list((workshop.root / "second/Things").rglob("*.bin"))
    assert fetch(workshop, out="second")[0].exit_code == 0


def made(workshop: Workshop) -> None:
    url = workshop.server.put("/a.gz", gzipped(DATA))
    workshop.recipe(
        "a",
        f"schema: 1\ndemo: Demo-a\nsummary: a thing\nmanual: '1.1'\nstatus: ready\ntree: Things\n"
        f"assets:\n  packed:\n    urls: [{url}]\n    sha256: {sha256(gzipped(DATA))}\n    licence: MIT\n"
        "steps:\n  - {id: plain, uses: gunzip, with: {file: $packed}}\n"
        "install:\n  data/a.bin: $plain\nrun: ./a\n",
    )


def test_a_corrupt_result_of_a_step_is_made_again(workshop: Workshop) -> None:
    made(workshop)
    assert fetch(workshop)[0].exit_code == 0
    rot(workshop, DATA)
    assert fetch(workshop, out="second")[0].exit_code == 0
    assert (workshop.root / "second/Things/data/a.bin").read_bytes() == DATA
    assert len(workshop.server.requests("/a.gz")) == 1


def test_a_step_is_not_given_a_corrupt_input(workshop: Workshop) -> None:
    made(workshop)
    assert fetch(workshop)[0].exit_code == 0
    rot(workshop, DATA)
    rot(workshop, gzipped(DATA))
    assert fetch(workshop, out="second")[0].exit_code == 0
    assert (workshop.root / "second/Things/data/a.bin").read_bytes() == DATA
    assert len(workshop.server.requests("/a.gz")) == 2


@pytest.mark.parametrize("name", ["SHA256SUMS", "run-tests.sh", "MANIFEST.json"])
@pytest.mark.parametrize("harm", ["emptied", "one character", "a link", "removed"])
def test_damaged_lists_of_a_tree_are_written_again(workshop: Workshop, name: str, harm: str) -> None:
    workshop.simple("a", DATA)
    fetch(workshop)
    path = workshop.out / "Things" / name
    good = path.read_text()
    stat = path.stat()
    if harm == "removed":
        path.unlink()
    elif harm == "a link":
        path.rename(workshop.root / "elsewhere")
        path.symlink_to(workshop.root / "elsewhere")
    else:
        path.write_text("" if harm == "emptied" and name != "MANIFEST.json" else good.replace("\n", " \n", 1))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    report, _ = fetch(workshop)
    assert report.exit_code == 0
    assert not path.is_symlink()
    assert path.read_text() == good
    assert fetch(workshop)[0].demos[0].outcome == "unchanged"


def test_a_file_of_a_tree_that_was_changed_keeping_its_time_is_noticed(workshop: Workshop) -> None:
    workshop.simple("a", DATA)
    fetch(workshop)
    path = workshop.out / "Things/data/a.bin"
    stat = path.stat()
    path.write_bytes(DATA[::-1])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    fetch(workshop)
    assert path.read_bytes() == DATA
    assert path.with_name("a.bin.orig").read_bytes() == DATA[::-1]


def test_what_a_killed_installation_left_goes_and_files_of_such_names_that_are_the_users_stay(
    workshop: Workshop,
) -> None:
    from modelprep.tree.journal import JOURNAL

    workshop.simple("a", DATA)
    fetch(workshop)
    tree = workshop.out / "Things"
    listed = ["data/.0badcafe-0.modelprep", "../.0badcafe-1.modelprep", "data/a.bin", 7]
    (tree / JOURNAL).write_text(json.dumps({"temporary": listed, "written": {}}))
    (tree / "data/.0badcafe-0.modelprep").write_bytes(b"half")
    users = [
        tree / "data/.0badcafe-9.modelprep",
        workshop.out / ".0badcafe-1.modelprep",
        tree / ".a.bin.12ab.modelprep",
    ]
    for path in users:
        path.write_bytes(b"mine")
    fetch(workshop)
    assert not (tree / JOURNAL).exists()
    assert not (tree / "data/.0badcafe-0.modelprep").exists()
    assert (tree / "data/a.bin").read_bytes() == DATA
    assert [path.read_bytes() for path in users] == [b"mine"] * 3


def test_linked_trees_are_not_hashed_again_when_another_one_is_linked(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.simple("a", DATA)
    fetch(workshop, link=True)
    fetch(workshop, out="second", link=True)
    assert (workshop.out / "Things/data/a.bin").samefile(workshop.root / "second/Things/data/a.bin")
    monkeypatch.setattr("modelprep.store.memo.hash_file", lambda *_: pytest.fail("hashed again"))
    monkeypatch.setattr("modelprep.store.blobs.hash_file", lambda *_: pytest.fail("hashed again"))
    assert fetch(workshop, link=True)[0].demos[0].outcome == "unchanged"
    assert fetch(workshop, out="second", link=True)[0].demos[0].outcome == "unchanged"


def test_verify_with_repair_says_when_corrupt_files_cannot_be_had_again(workshop: Workshop) -> None:
    made(workshop)
    workshop.simple("b", b"another one")
    fetch(workshop)
    for data in (gzipped(DATA), DATA, b"another one"):
        rot(workshop, data)
    common = ["--recipes", str(workshop.recipes), "--out", str(workshop.out), "--cache", str(workshop.cache)]
    assert invoke(["cache", "verify", "--repair", "--no-archives", "--offline", *common]) == 4
    assert invoke(["cache", "verify", "--repair", "--no-archives", *common]) == 0
    assert fetch(workshop, out="second")[0].exit_code == 0
    assert (workshop.root / "second/Things/data/a.bin").read_bytes() == DATA


def test_verify_with_repair_downloads_and_makes_what_recipes_use(workshop: Workshop) -> None:
    made(workshop)
    fetch(workshop)
    rot(workshop, DATA)
    rot(workshop, gzipped(DATA))
    common = ["--recipes", str(workshop.recipes), "--out", str(workshop.out), "--cache", str(workshop.cache)]
    assert invoke(["cache", "verify", "--repair", "--no-archives", *common]) == 0
    store = Store.open(workshop.cache)
    assert all(store.check(sha256(data)) is not None for data in (DATA, gzipped(DATA)))


def test_a_run_removes_what_killed_processes_left_in_the_cache_and_beside_the_lock_file(workshop: Workshop) -> None:
    workshop.simple("a", DATA)
    fetch(workshop)
    dead = ["scratch/123-aabbccddeeff.lock", "users/123-aabbccddeeff.lock", "partial/.p.json.123.abcdef01"]
    dead += ["partial/p.json", ".memo.jsonl.12.abcdef01"]
    for name in dead:
        (workshop.cache / name).parent.mkdir(exist_ok=True)
        (workshop.cache / name).touch()
    beside = workshop.out / ".modelprep.lock.12.abcdef01"
    beside.touch()
    users = workshop.out / ".modelprep.lock.mine"
    users.touch()
    workshop.simple("b", b"another one")
    fetch(workshop)
    assert not [name for name in dead if (workshop.cache / name).exists()]
    assert not beside.exists()
    assert users.exists()


def test_a_temporary_file_whose_writer_lives_is_left_alone(tmp_path: Path) -> None:
    from modelprep.store.disk import abandoned_temporaries, claim_temporary

    temporary, descriptor = claim_temporary(tmp_path / "index")
    assert list(abandoned_temporaries(tmp_path)) == []
    os.close(descriptor)
    assert list(abandoned_temporaries(tmp_path)) == [temporary]


@pytest.mark.parametrize("name", ["notes.12.abcdef01", ".notes.0123456789abcdef.modelprep", ".a.12.abcdef01"])
def test_a_file_of_somebody_elses_with_a_similar_name_is_not_taken_for_a_temporary_one(
    tmp_path: Path, name: str
) -> None:
    from modelprep.store.disk import sweep_temporaries

    (tmp_path / name).write_bytes(b"mine")
    sweep_temporaries(tmp_path)
    assert (tmp_path / name).read_bytes() == b"mine"


def test_what_a_killed_run_left_beside_a_bundle_and_in_a_mirror_goes_with_the_next(workshop: Workshop) -> None:
    from modelprep.store.disk import claim_temporary

    workshop.simple("a", DATA)
    fetch(workshop)
    mirror, bundle = workshop.root / "mirror", workshop.root / "b.tar"
    common = ["--recipes", str(workshop.recipes), "-q"]
    make_mirror = ["mirror", "things", str(mirror), "--cache", str(workshop.cache), "--no-archives", *common]
    make_bundle = ["bundle", "things", "-o", str(bundle), "--out", str(workshop.out), *common]
    assert invoke(make_mirror) == 0
    (served,) = mirror.rglob("*.bin")
    for path in (bundle, served, mirror / "modelprep-mirror.json"):
        os.close(claim_temporary(path)[1])
    users = [bundle.with_name(".b.tar.12ab.modelprep"), served.with_name(".a.bin.modelprep")]
    for path in users:
        path.touch()
    assert invoke(make_mirror) == 0
    assert invoke(make_bundle) == 0
    assert sorted(workshop.root.rglob(".*.modelprep")) == sorted(users)


@pytest.mark.parametrize(
    ("name", "status"),
    [("out/modelprep.lock", 2), ("out/Things/MANIFEST.json", 6), ("out/Things/.modelprep-install.json", 0),
     ("cache/memo.jsonl", 0), ("cache/aliases.jsonl", 0), ("cache/locks/gate.lock", 0)],
)  # fmt: skip
def test_a_pipe_at_the_place_of_a_file_of_ours_is_never_waited_for(workshop: Workshop, name: str, status: int) -> None:
    workshop.simple("a", DATA)
    (workshop.root / name).parent.mkdir(parents=True)
    os.mkfifo(workshop.root / name)
    ran = workshop.run("fetch", "things")
    assert ran.code == status, ran.err
    assert "bug" not in ran.err
