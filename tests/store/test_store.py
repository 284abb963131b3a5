"""What the store promises: whole files or none, for any number of processes, and nothing trusted when verifying."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.disks import mounted

from modelprep.errors import DigestMismatch, Interrupted, StorageError
from modelprep.store import Result, Store, Validator, maintenance, result_key
from modelprep.store.disk import named_by, storage_error
from modelprep.store.index import Index
from modelprep.store.locks import try_lock


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(store: Store, data: bytes) -> str:
    with store.writer() as writer:
        writer.write(data)
        return writer.commit().sha256


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "cache")


def files(store: Store) -> list[str]:
    found = (p for p in store.root.rglob("*") if p.is_file() and p.suffix not in (".jsonl", ".lock"))
    return sorted(str(p.relative_to(store.root)) for p in found)


def flip(path: Path, *, keep_time: bool = True) -> None:
    stat = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


# -- blobs -------------------------------------------------------------------------------------------------------


def test_a_blob_is_named_by_its_digest_and_read_only(store: Store) -> None:
    digest = put(store, b"hello")
    blob = store.get(digest)
    assert blob is not None
    assert digest == sha256(b"hello")
    assert blob.path == store.root / "blobs" / digest[:2] / digest
    assert blob.path.stat().st_mode & 0o777 == 0o444
    assert blob.path.read_bytes() == b"hello"
    assert files(store) == [f"blobs/{digest[:2]}/{digest}"]


def test_a_writer_that_is_not_committed_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.writer() as writer:  # noqa: PT012 - leaving the block is what is tested
        writer.write(b"hello")
        raise RuntimeError
    assert files(store) == []


def test_a_commit_of_other_bytes_than_expected_is_a_mismatch_and_leaves_nothing(store: Store) -> None:
    with pytest.raises(DigestMismatch), store.writer(hint="weights") as writer:  # noqa: PT012 - as above
        writer.write(b"hello")
        writer.commit(sha256(b"other"))
    assert files(store) == []


def test_committing_the_same_bytes_again_keeps_the_file_that_is_there(store: Store) -> None:
    digest = put(store, b"hello")
    before = store.blob_path(digest).stat().st_ino
    put(store, b"hello")
    assert store.blob_path(digest).stat().st_ino == before


def test_a_rotten_blob_is_replaced_by_a_good_one_when_its_stat_changed(store: Store) -> None:
    digest = put(store, b"hello")
    flip(store.blob_path(digest), keep_time=False)
    os.utime(store.blob_path(digest), (1, 1))
    assert store.get(digest) is None
    put(store, b"hello")
    blob = store.get(digest)
    assert blob is not None
    assert blob.path.read_bytes() == b"hello"


@pytest.mark.parametrize("name", ["", "abc", "../" * 20 + "x" * 4, "A" * 64, "g" * 64])
def test_what_is_no_digest_names_no_file(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="sha256"):
        store.get(name)


@pytest.mark.parametrize("move", [True, False])
def test_a_file_is_adopted_by_copy_or_by_move(store: Store, tmp_path: Path, move: bool) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(b"data")
    told: list[tuple[int, int | None]] = []
    blob = store.adopt(source, move=move, progress=lambda done, total: told.append((done, total)))
    assert blob.path.read_bytes() == b"data"
    assert source.exists() is not move
    assert told[-1] == (4, 4)


def test_a_file_with_a_second_name_is_copied_and_not_moved(store: Store, tmp_path: Path) -> None:
    source, other = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"data")
    other.hardlink_to(source) if hasattr(other, "hardlink_to") else os.link(source, other)
    blob = store.adopt(source, move=True)
    other.write_bytes(b"changed")
    assert blob.path.read_bytes() == b"data"
    assert not source.exists()


def test_adopting_what_is_missing_or_no_file_is_a_storage_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        store.adopt(tmp_path / "missing")
    with pytest.raises(StorageError, match="not a regular file"):
        store.adopt(tmp_path)


# -- the memo ----------------------------------------------------------------------------------------------------


def test_a_file_is_hashed_once_while_its_stat_stays(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"data")
    time.sleep(0.1)  # a file changed just now is not remembered
    assert store.digest_of(path) == (sha256(b"data"), 4)
    monkeypatch.setattr("modelprep.store.memo.hash_file", lambda *_: pytest.fail("hashed again"))
    assert store.digest_of(path) == (sha256(b"data"), 4)
    assert Store.open(store.root).digest_of(path) == (sha256(b"data"), 4)  # and by another process


@pytest.mark.parametrize("change", ["size", "time", "inode", "only the content"])
def test_a_changed_stat_means_hashing_again(store: Store, tmp_path: Path, change: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"data")
    os.utime(path, (1_600_000_000, 1_600_000_000.5))
    time.sleep(0.1)  # a file changed just now is not remembered
    store.digest_of(path)
    if change == "inode":
        (tmp_path / "b").write_bytes(b"atad")
        (tmp_path / "b").replace(path)
    else:
        path.write_bytes(b"longer" if change == "size" else b"atad")
    os.utime(path, (1_600_000_000, 1_600_000_000.5 if change != "time" else 1_600_000_001.5))
    assert store.digest_of(path)[0] == sha256(path.read_bytes())


def test_a_file_changed_within_a_clock_tick_of_its_hashing_is_not_remembered(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"data")
    stat = path.stat()
    store.digest_of(path)
    path.write_bytes(b"atad")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert store.digest_of(path)[0] == sha256(b"atad")


def test_a_torn_or_foreign_memo_costs_time_only(store: Store) -> None:
    digest = put(store, b"hello")
    with (store.root / "memo.jsonl").open("ab") as file:
        file.write(b'["blobs/2c/' + digest.encode() + b'",["00\n\xff\xfe{}\n[]\nnull\n["k"]\n[1,2]\n["half')
    again = Store.open(store.root)
    assert again.get(digest) is not None
    other = put(again, b"other")
    assert Store.open(store.root).get(other) is not None


@given(st.binary(max_size=200))
def test_any_bytes_for_an_index_are_survived(junk: bytes) -> None:
    import tempfile

    from modelprep.store.index import Index

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.jsonl"
        path.write_bytes(junk + b"\n")
        index = Index(path)
        index.get("x")
        index.put("key", [1])
        assert Index(path).get("key") == [1]


def test_the_index_is_rewritten_when_it_is_mostly_old(tmp_path: Path) -> None:
    from modelprep.store.index import COMPACT_FROM, Index

    index = Index(tmp_path / "i.jsonl")
    for number in range(COMPACT_FROM + 10):
        index.put("key", number)
    assert len((tmp_path / "i.jsonl").read_bytes().splitlines()) < 100
    assert Index(tmp_path / "i.jsonl").get("key") == COMPACT_FROM + 9
    assert [p.name for p in tmp_path.iterdir()] == ["i.jsonl"]


def test_processes_that_append_at_once_lose_nothing(store: Store, repository: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from modelprep.store import Store\n"
        "s = Store.open(Path(sys.argv[1]))\n"
        "[s.set_alias('md5', f'{sys.argv[2]}-{n}', 'a' * 64) for n in range(200)]"
    )
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(store.root), str(n)], env=environment) for n in range(4)
    ]
    assert [p.wait() for p in running] == [0] * 4
    assert len(store.aliases()) == 800


# -- results -----------------------------------------------------------------------------------------------------


def test_a_result_comes_back_as_it_was_put(store: Store) -> None:
    digest = put(store, b"hello")
    key = result_key("caffe.bake", 1, {"batch": 1}, {"weights": digest})
    result = Result({"a/b": digest}, {"layers": 3}, ("old syntax",), "caffe.bake", 1)
    store.put_result(key, result)
    assert store.result(key) == result


def test_a_result_whose_blob_is_gone_is_none(store: Store) -> None:
    digest = put(store, b"hello")
    key = result_key("copy", 1, {}, {"from": digest})
    store.put_result(key, Result({"": digest}))
    store.blob_path(digest).unlink()
    assert store.result(key) is None


def test_the_key_changes_with_everything_that_matters_and_with_nothing_else() -> None:
    base = result_key("s", 1, {"a": 1, "b": (1, 2)}, {"x": "1", "y": "2"})
    assert base == result_key("s", 1, {"b": [1, 2], "a": 1}, {"y": "2", "x": "1"})
    others = [
        result_key("t", 1, {"a": 1, "b": (1, 2)}, {"x": "1", "y": "2"}),
        result_key("s", 2, {"a": 1, "b": (1, 2)}, {"x": "1", "y": "2"}),
        result_key("s", 1, {"a": 2, "b": (1, 2)}, {"x": "1", "y": "2"}),
        result_key("s", 1, {"a": 1, "b": (1, 2)}, {"x": "2", "y": "1"}),
        result_key("s", 1, {"a": "1", "b": (1, 2)}, {"x": "1", "y": "2"}),
    ]
    assert len({base, *others}) == 6


def test_a_parameter_that_json_cannot_say_is_refused() -> None:
    with pytest.raises(TypeError):
        result_key("s", 1, {"a": object()}, {})


@given(st.binary(max_size=300) | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()))
def test_any_bytes_for_a_result_are_survived(data: bytes) -> None:
    from modelprep.store.results import parse_result

    assert parse_result(data) is None


def test_a_result_that_points_out_of_its_folder_is_none() -> None:
    from modelprep.store.results import dump_result, parse_result

    for name in ("../x", "/x", "a\\..\\b"):
        assert parse_result(dump_result(Result({name: "a" * 64}))) is None


# -- locks, scratch, partials ------------------------------------------------------------------------------------


def test_a_lock_keeps_the_others_out_and_tells_that_they_wait(store: Store) -> None:
    order: list[str] = []

    def second() -> None:
        with store.lock("a/b", on_wait=lambda: order.append("waits")):
            order.append("second")

    with store.lock("a/b"):
        thread = threading.Thread(target=second)
        thread.start()
        while "waits" not in order:
            time.sleep(0.01)
        order.append("first done")
    thread.join(10)
    assert order == ["waits", "first done", "second"]


def test_waiting_for_a_lock_can_be_ended(store: Store) -> None:
    with store.lock("x"), pytest.raises(Interrupted), store.lock("x", stop=lambda: True):
        pass


def test_a_lock_whose_holder_was_killed_is_free_and_its_scratch_folder_goes(store: Store, repository: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from modelprep.store import Store\n"
        "s = Store.open(Path(sys.argv[1]))\n"
        "with s.lock('x'), s.scratch() as folder:\n"
        "    (folder / 'half').write_bytes(b'x' * 1000); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(store.root)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert [r for r in maintenance.gc(store, set()).removed if r.what == "scratch"] == []  # its owner lives
    process.kill()
    process.communicate()
    began = time.monotonic()
    with store.lock("x"):
        assert time.monotonic() - began < 2
    told = maintenance.gc(store, set(), dry_run=True).removed
    assert [(r.what, r.size) for r in told] == [("scratch", 1000)]
    maintenance.gc(store, set())
    assert list((store.root / "scratch").glob("*")) == []


def test_a_scratch_folder_is_on_the_same_file_system_and_goes_with_its_block(store: Store) -> None:
    with store.scratch() as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_bytes(b"x")
        (folder / "deep").chmod(0o555)
        assert folder.stat().st_dev == store.root.stat().st_dev
    assert not folder.exists()


def test_a_partial_keeps_its_validator_across_stores(store: Store) -> None:
    partial = store.partial("http://x/y lock", lock="lock")
    partial.note("http://x/y", Validator('"tag"', "", 100, "", "boot"))
    partial.path.write_bytes(b"abc")
    again = Store.open(store.root).partial("http://x/y lock", lock="lock")
    assert (again.url, again.validator, again.size) == ("http://x/y", Validator('"tag"', "", 100, "", "boot"), 3)
    again.discard()
    assert list((store.root / "partial").iterdir()) == []


@given(st.binary(max_size=200))
def test_any_notes_beside_a_partial_are_survived(junk: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        partial = Store.open(Path(folder)).partial("x")
        partial.path.parent.mkdir()
        Path(f"{partial.path}.json").write_bytes(junk)
        assert partial.url == ""
        assert partial.validator is None


# -- maintenance ------------------------------------------------------------------------------------------------


def test_verify_finds_a_flipped_bit_that_the_stat_does_not_show(store: Store) -> None:
    good, bad = put(store, b"good"), put(store, b"evil")
    key = result_key("copy", 1, {}, {})
    store.put_result(key, Result({"": bad}))
    flip(store.blob_path(bad))
    store.remember(store.blob_path(bad), bad)  # bits that rot on the disk change no status
    assert store.get(bad) is not None  # the memo is believed, by design
    told: list[tuple[int, int | None]] = []
    report = maintenance.verify(store, lambda done, total: told.append((done, total)))
    assert report.corrupt == (bad,)
    assert report.broken_results == (key,)
    assert not report.ok
    assert told[-1] == (8, 8)
    (evidence,) = report.quarantined
    assert json.loads(evidence.with_suffix(".json").read_text())["expected"] == f"sha256 {bad}"
    assert store.get(bad) is None
    assert store.get(good) is not None
    assert maintenance.verify(store).ok


def test_gc_removes_what_nothing_refers_to_and_tells_the_bytes(store: Store) -> None:
    keep, drop = put(store, b"keep"), put(store, b"dropped")
    kept_key, dropped_key = result_key("a", 1, {}, {}), result_key("b", 1, {}, {})
    store.put_result(kept_key, Result({"": keep}))
    store.put_result(dropped_key, Result({"": drop}))
    store.set_alias("md5", "0" * 32, drop)
    partial = store.partial("p")
    partial.note("http://x", Validator())
    partial.path.write_bytes(b"half")
    before = files(store)
    dry = maintenance.gc(store, {keep}, dry_run=True)
    assert files(store) == before
    report = maintenance.gc(store, {keep})
    assert report.removed == dry.removed
    assert {(r.what, r.size) for r in report.removed if r.what != "result"} == {("blob", 7), ("partial", 4)}
    assert store.result(kept_key) is not None
    assert store.result(dropped_key) is None
    assert store.alias("md5", "0" * 32) is None
    assert (report.kept, report.kept_bytes) == (1, 4)
    assert maintenance.info(store).blobs == 1


def test_gc_with_a_limit_removes_what_was_used_least_recently_and_leaves_what_is_needed(store: Store) -> None:
    blobs = [put(store, bytes([number]) * 1000) for number in range(5)]
    for age, sha256 in enumerate(blobs):
        os.utime(store.root / "blobs" / sha256[:2] / sha256, (1_000_000 - age, 1_000_000 - age))  # the last: the oldest
    key = result_key("a", 1, {}, {})
    store.put_result(key, Result({"": blobs[4]}))  # written just now: its blob is in use

    def collect(limit: int, *, dry_run: bool = False) -> maintenance.GcReport:
        return maintenance.gc(store, set(blobs), max_bytes=limit, needed=lambda: {blobs[3]}, dry_run=dry_run)

    def there() -> list[bool]:
        return [(store.root / "blobs" / sha256[:2] / sha256).exists() for sha256 in blobs]

    assert collect(5000).removed == ()
    assert {item.name for item in collect(3000, dry_run=True).removed} == {blobs[2], blobs[1]}
    assert there() == [True] * 5
    done = collect(3000)
    assert (done.kept_bytes, done.over_limit) == (3000, 0)
    assert there() == [True, False, False, True, True]
    last = collect(0)
    assert (last.kept_bytes, last.over_limit) == (1000, 1000)
    assert store.result(key) is None  # a result goes with its blob


def test_gc_with_a_limit_leaves_a_result_whole_when_one_of_its_files_is_needed(store: Store) -> None:
    first, second = put(store, b"1" * 10), put(store, b"2" * 10)
    store.put_result(result_key("b", 1, {}, {}), Result({"one": first, "two": second}))
    kept = maintenance.gc(store, {first, second}, max_bytes=0, needed=lambda: {first})
    assert (kept.removed, kept.over_limit) == ((), 20)


def test_gc_spares_what_is_young_and_downloads_under_way(store: Store) -> None:
    digest = put(store, b"young")
    partial = store.partial("p")
    partial.note("http://x", Validator())
    partial.path.write_bytes(b"half")
    assert maintenance.gc(store, set(), older_than=3600).removed == ()
    with store.lock("p"):
        assert {r.what for r in maintenance.gc(store, set()).removed} == {"blob"}
    assert partial.size == 4
    assert store.get(digest) is None


def test_info_counts_what_is_here(store: Store) -> None:
    assert not maintenance.info(store).exists
    put(store, b"hello")
    info = maintenance.info(store)
    assert (info.blobs, info.blob_bytes, info.writable) == (1, 5, True)
    assert info.free_bytes is not None
    assert info.free_bytes > 0


# -- bad places --------------------------------------------------------------------------------------------------


def test_a_file_in_the_way_of_the_store_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("x")
    with pytest.raises(StorageError, match="cache folder is a file") as caught:
        Store.open(tmp_path / "cache")
    assert caught.value.exit_code == 6
    assert "--cache" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["blobs", "scratch", "locks", "results"])
def test_a_file_in_the_way_of_a_folder_inside_is_a_storage_error(store: Store, name: str) -> None:
    store.root.mkdir()
    (store.root / name).write_text("x")
    with pytest.raises(StorageError) as caught:  # noqa: PT012 - whichever of the three meets it first
        put(store, b"hello")
        with store.lock("x"):
            pass
        store.put_result("a" * 64, Result({"": "a" * 64}))
    assert str(store.root) in (caught.value.where or "")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_is_a_storage_error_and_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    good = put(store, b"good")

    def refuse(descriptor: int, data: bytes) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("modelprep.store.writer.write_all", refuse)
    with pytest.raises(StorageError) as caught:
        put(store, b"hello")
    assert caught.value.hint
    assert files(store) == [f"blobs/{good[:2]}/{good}"]


def test_a_read_only_store_serves_what_it_has_and_refuses_the_rest(tmp_path: Path) -> None:
    with mounted(tmp_path / "shared", "size=1m") as mount:
        writable = Store.open(mount)
        digest = put(writable, b"hello")
        rotten = put(writable, b"rotten")
        key = result_key("copy", 1, {}, {})
        writable.put_result(key, Result({"": digest}))
        (mount / "memo.jsonl").unlink()
        flip(mount / "blobs" / rotten[:2] / rotten)
        del writable
        subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
        store = Store.open(mount)
        assert store.get(digest) is not None
        assert store.result(key) is not None
        assert store.get(rotten) is None
        assert not maintenance.info(store).writable
        assert maintenance.verify(store).corrupt == (rotten,)
        for refused in (lambda: put(store, b"new"), lambda: store.put_result(key, Result({"": digest}))):
            with pytest.raises(StorageError, match="read-only"):
                refused()
        with pytest.raises(StorageError, match="read-only"), store.lock("x"):
            pass


def test_a_cache_is_found_by_option_then_environment_then_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    monkeypatch.setenv("MODELPREP_CACHE", str(tmp_path / "env"))
    assert Store.open(tmp_path / "option").root == tmp_path / "option"
    assert Store.open().root == tmp_path / "env"
    monkeypatch.delenv("MODELPREP_CACHE")
    monkeypatch.setattr("modelprep.store.store.checkout", lambda: repository)
    assert Store.open().root == repository / "cache"
    monkeypatch.setattr("modelprep.store.store.checkout", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store.open().root.name == "modelprep"
    assert not (tmp_path / "xdg").exists()


def test_a_lock_file_that_its_holder_removed_is_made_anew(tmp_path: Path) -> None:
    """Two that wait at a name must not hold two files of that name."""
    path = tmp_path / "a.lock"
    first = try_lock(path)
    assert first is not None
    assert try_lock(path) is None
    path.unlink()
    second = try_lock(path)
    assert second is not None
    first.release()
    first.release()
    assert try_lock(path) is None
    second.release()


@pytest.mark.parametrize("code", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_named_and_nothing_waits_for_ever(
    tmp_path: Path, repository: Path, code: str
) -> None:
    (tmp_path / "cache").mkdir()
    script = (
        "import errno, fcntl, sys\n"
        f"def flock(*_): raise OSError(errno.{code}, 'no locks here')\n"
        "fcntl.flock = flock\n"
        "from modelprep.cli.main import invoke\n"
        "sys.exit(invoke(sys.argv[1:]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, "cache", "gc", "--cache", str(tmp_path / "cache")],
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 6
    assert ran.stderr.startswith("error: this file system cannot lock files")
    assert "--cache DIR" in ran.stderr
    assert "free" not in ran.stderr


def test_a_full_disk_is_told_to_run_gc_only_where_a_cache_lies(store: Store, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m") as disk:
        named_by(disk / "out", "--out DIR")
        full = OSError(errno.ENOSPC, "full")
        there = storage_error(full, disk / "out/Things/a").hint
        here = storage_error(full, store.root / "blobs/aa").hint
    assert there == f"free some space on the file system of {disk}/out/Things, or choose another folder with --out DIR"
    assert here is not None
    assert here.startswith(f"free some space on the file system of {store.root}/blobs, run `modelprep cache gc`, or")


@given(
    records=st.lists(
        st.tuples(st.text(max_size=6), st.none() | st.lists(st.integers() | st.text(max_size=4))), max_size=60
    )
)
@settings(max_examples=60, deadline=None)
def test_an_index_answers_the_same_by_search_and_by_reading_it_all(
    records: list[tuple[str, object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("index") / "index.jsonl"
    wanted: dict[str, object] = {}
    writer = Index(path)
    for key, value in records:
        writer.put(key, value)
        wanted[key] = value
    keys = [*wanted, "never put", '","']
    for key in keys:  # one each: it is searched for
        assert Index(path).get(key) == wanted.get(key)
    reader = Index(path)
    assert [reader.get(key) for key in keys * 3] == [wanted.get(key) for key in keys * 3]
    assert dict(reader.items()) == {key: value for key, value in wanted.items() if value is not None}
