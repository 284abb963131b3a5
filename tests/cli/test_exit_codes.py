"""Every bad end has its exit code and one clear message; nothing half-written, no traceback, no good file lost."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import Run
from cli.workshop import Workshop, gzipped, sha256
from servers.disks import mounted
from servers.http import PAGE

from modelprep.installed import install_command

DATA = random.Random(2).randbytes(200_000)

HEAD = "schema: 1\ndemo: Thing\nsummary: s\nstatus: ready\ntree: Things\n"


def pinned(url: str, data: bytes, name: str = "file") -> str:
    return f"  {name}: {{urls: [{url}], sha256: {sha256(data)}, size: {len(data)}, pinned_by: test}}\n"


def assert_clean(err: str) -> None:
    assert "Traceback" not in err
    assert "bug in modelprep" not in err
    assert err.startswith("error: ") or "\nerror: " in err


def test_an_unknown_target_is_2_and_offers_the_nearest(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("vgg", DATA)
    ran = modelprep("fetch", "things/vgh")
    assert ran.code == 2
    assert "things/vgg" in ran.err
    assert_clean(ran.err)


@pytest.mark.parametrize(
    ("arguments", "offered"),
    [(["fecth"], "fetch"), (["fetch", "all", "--offlin"], "--offline"), (["cache", "inof"], "info")],
)
def test_a_wrong_command_or_option_is_2_and_offers_the_nearest(
    modelprep: Run, arguments: list[str], offered: str
) -> None:
    ran = modelprep(*arguments, bare=True)
    assert ran.code == 2
    assert offered in ran.err
    assert_clean(ran.err)


@pytest.mark.parametrize("arguments", [["fetch"], ["fetch", "all", "--jobs", "none"], ["show"]])
def test_a_missing_or_wrong_value_is_2(modelprep: Run, arguments: list[str]) -> None:
    ran = modelprep(*arguments, bare=True)
    assert ran.code == 2
    assert_clean(ran.err)


def test_an_error_in_json_mode_is_one_object_on_stdout(modelprep: Run) -> None:
    ran = modelprep("fetch", "no-such-target", "--json")
    assert ran.code == 2
    assert ran.object["error"] == "usage"
    assert ran.object["exit_code"] == 2
    assert ran.err == ""
    wrong_option = modelprep("fetch", "x", "--json", "--nope", bare=True)
    assert wrong_option.object["exit_code"] == 2


BROKEN = {
    "broken YAML": HEAD + "assets: {a: [\n",
    "an unknown key": HEAD + "asets: {}\n",
    "a path out of the tree": HEAD
    + "assets:\n"
    + pinned("http://localhost/x", b"x")
    + "install:\n  ../../etc/x: $file\n",
    "an absolute path": HEAD + "assets:\n" + pinned("http://localhost/x", b"x") + "install:\n  /etc/x: $file\n",
    "steps in a circle": HEAD
    + "steps:\n  - {id: a, uses: gunzip, with: {file: $b}}\n  - {id: b, uses: gunzip, with: {file: $a}}\n"
    + "install:\n  x: $a\n",
    "an unknown step": HEAD
    + "assets:\n"
    + pinned("http://localhost/x", b"x")
    + "steps:\n  - {id: a, uses: gunzipp, with: {file: $file}}\ninstall:\n  x: $a\n",
    "an unknown parameter": HEAD
    + "assets:\n"
    + pinned("http://localhost/x", b"x")
    + "steps:\n  - {id: a, uses: gunzip, with: {fiel: $file}}\ninstall:\n  x: $a\n",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_recipe_is_2_and_names_its_file(workshop: Workshop, modelprep: Run, what: str) -> None:
    path = workshop.recipe("broken", BROKEN[what])
    ran = modelprep("fetch", "things/broken")
    assert ran.code == 2, ran.err
    assert str(path) in ran.err
    assert_clean(ran.err)
    assert workshop.installed() == {}


def test_a_broken_recipe_does_not_hide_the_others_from_list(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("good", DATA)
    workshop.recipe("broken", BROKEN["an unknown key"])
    ran = modelprep("list")
    assert ran.code == 0
    assert "Demo-good" in ran.out
    assert "asets" in ran.err


def test_a_missing_member_is_5(workshop: Workshop, modelprep: Run) -> None:
    import io
    import zipfile

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("inside.bin", DATA)
    url = workshop.server.put("/a.zip", archive.getvalue())
    workshop.recipe(
        "member",
        HEAD
        + "assets:\n"
        + pinned(url, archive.getvalue())
        + "steps:\n  - {id: a, uses: unpack, with: {archive: $file, members: [other.bin]}}\n"
        + "install:\n  x.bin: $a/other.bin\n",
    )
    ran = modelprep("fetch", "things")
    assert ran.code == 5, ran.err
    assert "other.bin" in ran.err
    assert_clean(ran.err)
    assert workshop.installed() == {}


def test_a_truncated_gz_is_5(workshop: Workshop, modelprep: Run) -> None:
    packed = gzipped(DATA)[:-1000]
    url = workshop.server.put("/a.gz", packed)
    step = "steps:\n  - {id: a, uses: gunzip, with: {file: $file}}\ninstall:\n  x.bin: $a\n"
    workshop.recipe("cut", HEAD + "assets:\n" + pinned(url, packed) + step)
    ran = modelprep("fetch", "things")
    assert ran.code == 5, ran.err
    assert_clean(ran.err)
    assert workshop.installed() == {}


def test_a_wrong_magic_is_5(workshop: Workshop, modelprep: Run) -> None:
    url = workshop.server.put("/a.idx", DATA)
    step = "steps:\n  - {id: a, uses: idx.check, with: {images: $file}}\ninstall:\n  x.bin: $a/images\n"
    workshop.recipe("magic", HEAD + "assets:\n" + pinned(url, DATA) + step)
    ran = modelprep("fetch", "things")
    assert ran.code == 5, ran.err
    assert_clean(ran.err)


def test_no_source_is_3_and_other_bytes_are_4(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("gone", DATA, urls=workshop.server.put("/gone", status=404))
    ran = modelprep("fetch", "things/gone")
    assert ran.code == 3
    assert "/gone" in ran.err
    assert "--set" in ran.err
    assert_clean(ran.err)
    workshop.simple("page", DATA, urls=workshop.server.put("/page", PAGE, content_type="text/html"))
    page = modelprep("fetch", "things/page")
    assert page.code == 3, page.err
    assert "web page" in page.err
    assert_clean(page.err)
    workshop.simple("other", DATA, urls=workshop.server.put("/other", DATA[::-1]))
    other = modelprep("fetch", "things/other")
    assert other.code == 4, other.err
    assert sha256(DATA) in other.err
    assert sha256(DATA[::-1])[:16] in other.err
    assert_clean(other.err)
    assert workshop.installed() == {}


def test_offline_with_an_empty_store_is_3_and_opens_no_socket(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("one", DATA)
    ran = modelprep("fetch", "things", "--offline")
    assert ran.code == 3
    assert workshop.server.log == []


def test_a_missing_extra_is_7_before_anything_is_fetched(
    workshop: Workshop, modelprep: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelprep.steps import _extras

    monkeypatch.setattr(_extras, "MODULES", {**_extras.MODULES, "onnx": ("no_such_module_anywhere",)})
    url = workshop.server.put("/m.onnx", DATA)
    step = "steps:\n  - {id: a, uses: onnx.check, with: {model: $file}}\ninstall:\n  x.onnx: $a\n"
    workshop.recipe("extra", HEAD + "assets:\n" + pinned(url, DATA) + step)
    ran = modelprep("fetch", "things")
    assert ran.code == 7, ran.err
    assert install_command("onnx") in ran.err
    assert workshop.server.log == []


def test_a_file_in_the_way_is_6_and_is_not_lost(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("one", DATA)
    workshop.out.mkdir()
    (workshop.out / "Things").write_text("precious")
    ran = modelprep("fetch", "things")
    assert ran.code == 6, ran.err
    assert_clean(ran.err)
    assert (workshop.out / "Things").read_text() == "precious"


def test_a_file_larger_than_allowed_is_6_and_nothing_half_written(workshop: Workshop) -> None:
    workshop.simple("one", DATA)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    ran = workshop.run("fetch", "things", preexec=limit)
    assert ran.code == 6, ran.err
    assert_clean(ran.err)
    assert workshop.installed() == {}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 KiB."""
    with mounted(tmp_path / "disk", "size=400k") as folder:
        yield folder


def test_a_full_disk_is_6_and_good_files_stay(workshop: Workshop, small_disk: Path) -> None:
    workshop.simple("one", DATA)
    workshop.out = small_disk / "out"
    assert workshop.run("fetch", "things").code == 0
    workshop.simple("two", DATA + DATA)
    ran = workshop.run("fetch", "things")
    assert ran.code == 6, ran.err
    assert "full" in ran.err
    assert_clean(ran.err)
    assert workshop.installed() == {"data/one.bin": DATA}
    workshop.out, workshop.cache = workshop.root / "elsewhere", small_disk / "cache"
    ran = workshop.run("fetch", "things")
    assert ran.code == 6, ran.err


def without_override() -> None:
    """Give up root's right to write where the permissions say no (PR_CAPBSET_DROP of CAP_DAC_OVERRIDE)."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take the permission to write away from a folder and all below it."""
    modes = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")]}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_tree_that_may_not_be_written_is_6(workshop: Workshop) -> None:
    workshop.simple("one", DATA)
    workshop.out.mkdir()
    with read_only(workshop.out):
        ran = workshop.run("fetch", "things", preexec=without_override)
    assert ran.code == 6, ran.err
    assert "no permission" in ran.err
    assert_clean(ran.err)
    assert list(workshop.out.iterdir()) == []


def test_a_store_that_may_not_be_written_serves_what_it_has_and_is_6_for_the_rest(workshop: Workshop) -> None:
    workshop.simple("one", DATA)
    assert workshop.run("fetch", "things").code == 0
    shutil.rmtree(workshop.out)
    workshop.simple("two", DATA[:-5])
    with read_only(workshop.cache):
        served = workshop.run("fetch", "things/one", preexec=without_override)
        refused = workshop.run("fetch", "things/two", preexec=without_override)
    assert served.code == 0, served.err
    assert workshop.installed() == {"data/one.bin": DATA}
    assert refused.code == 6, refused.err
    assert_clean(refused.err)


def test_a_busy_tree_is_waited_for_and_said_so(workshop: Workshop) -> None:
    workshop.simple("one", DATA)
    folder = workshop.out / "Things"
    folder.mkdir(parents=True)
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    process = workshop.start("fetch", "things")
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "another process" in line:
                break
        else:
            pytest.fail("nobody said that it waits")
        assert process.poll() is None
        assert workshop.installed() == {}
        os.close(descriptor)
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert workshop.installed() == {"data/one.bin": DATA}
    finally:
        process.kill()
        process.wait()


def _wait_until(true: object, seconds: float = 20.0) -> None:
    limit = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        if time.monotonic() > limit:
            pytest.fail("waited in vain")
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_130_or_143_at_once_and_the_next_run_resumes(workshop: Workshop, how: signal.Signals) -> None:
    data = random.Random(3).randbytes(3_000_000)
    url = workshop.server.put("/slow.bin", data, pause=0.05, piece=20_000)
    workshop.simple("slow", data, urls=url)
    process = workshop.start("fetch", "things")
    _wait_until(lambda: workshop.server.log and workshop.server.log[0].sent > 200_000)
    process.send_signal(how)
    begun = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + how, err
    assert time.monotonic() - begun < 5
    assert_clean(err)
    assert workshop.installed() == {}
    workshop.server.put("/slow.bin", data)
    assert workshop.run("fetch", "things").code == 0
    assert workshop.installed() == {"data/slow.bin": data}
    assert workshop.server.log[-1].range.startswith("bytes=")


def test_a_closed_reader_ends_quietly(workshop: Workshop) -> None:
    for number in range(30):
        workshop.simple(f"thing-{number}", b"x" * (number + 1))
    process = workshop.start("list")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stderr:
        err = stderr.read()
    assert process.wait(timeout=60) == 0
    assert err == ""


def test_a_bug_of_ours_is_5_and_its_traceback_goes_to_a_named_file(
    workshop: Workshop, modelprep: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelprep.pipeline.plan import planner

    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh no")

    monkeypatch.setattr(planner, "plan_recipes", broken)
    workshop.simple("one", DATA)
    ran = modelprep("fetch", "things")
    assert ran.code == 5
    assert "this is a bug in modelprep" in ran.err
    assert "Traceback" not in ran.err
    log = Path(ran.err.split("traceback in ")[1].strip())
    assert "ZeroDivisionError: oh no" in log.read_text()
    log.unlink()


def test_a_name_that_the_terminal_cannot_write_does_not_end_the_run(workshop: Workshop) -> None:
    workshop.recipe("odd", HEAD.replace("demo: Thing", "demo: Thing\u4e9c"))
    environment = {**workshop.environment(), "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ran = subprocess.run(
        [sys.executable, "-m", "modelprep", *workshop.arguments("list")],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert b"\\u4e9c" in ran.stdout
