"""From recipes to a finished tree, with the real command against real servers."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import Run
from cli.workshop import Workshop, gzipped, sha256
from servers.http import PAGE

DATA = random.Random(1).randbytes(300_000)


def test_a_demo_is_fetched_converted_and_installed(workshop: Workshop, modelprep: Run) -> None:
    packed = gzipped(DATA)
    url = workshop.server.put("/model.gz", packed)
    workshop.recipe(
        "model",
        f"schema: 1\ndemo: Model\nsummary: s\nstatus: ready\ntree: Things\n"
        f"assets:\n  packed: {{urls: [{url}], sha256: {sha256(packed)}, size: {len(packed)}, pinned_by: test}}\n"
        "steps:\n  - {id: plain, uses: gunzip, with: {file: $packed}}\n"
        "install:\n  models/model.bin: $plain\nrun: ./model --data-dir=data\n",
    )
    ran = modelprep("fetch", "things/model")
    assert ran.code == 0, ran.err
    assert workshop.installed() == {"models/model.bin": DATA}
    assert "Model" in ran.out
    assert "127.0.0.1" in ran.out
    assert "./model --data-dir=data" in ran.out
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=workshop.out / "Things", check=True)


def test_a_second_run_asks_nobody_and_writes_nothing(workshop: Workshop) -> None:
    workshop.simple("one", DATA)
    assert workshop.run("fetch", "things").code == 0
    asked = len(workshop.server.log)
    before = {path: path.stat().st_mtime_ns for path in workshop.root.rglob("*")}
    ran = workshop.run("fetch", "things")
    assert ran.code == 0
    assert "unchanged" in ran.out
    assert len(workshop.server.log) == asked
    assert {path: path.stat().st_mtime_ns for path in workshop.root.rglob("*")} == before


def test_a_second_run_needs_no_store(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("one", DATA)
    assert modelprep("fetch", "things").code == 0
    asked = len(workshop.server.log)
    shutil.rmtree(workshop.cache)
    ran = modelprep("fetch", "things")
    assert (ran.code, len(workshop.server.log)) == (0, asked)
    assert "unchanged" in ran.out


def test_dry_run_tells_the_bytes_and_does_nothing(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("one", DATA)
    workshop.simple("two", DATA[:1000])
    ran = modelprep("fetch", "things", "--dry-run")
    assert ran.code == 0
    assert f"{len(DATA) + 1000} bytes" in ran.out
    assert modelprep("fetch", "things", "--dry-run", "--json").object["bytes_to_come"] == len(DATA) + 1000
    assert workshop.server.log == []
    assert not workshop.out.exists()
    assert not workshop.cache.exists()


def test_sources_that_fail_are_passed_over_and_the_table_says_who_gave_it(workshop: Workshop, modelprep: Run) -> None:
    missing = workshop.server.put("/missing", status=404)
    page = workshop.server.put("/page", PAGE, content_type="text/html")
    cut = workshop.server.put("/cut", DATA, cut_at=len(DATA) // 2, times=1)
    workshop.simple("one", DATA, urls=f"{missing}, {page}, {cut}")
    ran = modelprep("fetch", "things", "--json")
    assert ran.code == 0, ran.out
    assert workshop.installed() == {"data/one.bin": DATA}
    done = next(event for event in ran.events if event["event"] == "done" and event["task"].startswith("fetch:"))
    assert done["source"] == cut
    assert [request.path for request in workshop.server.log] == ["/missing", "/page", "/cut", "/cut"]


def test_an_asset_that_demos_share_is_fetched_once(workshop: Workshop, modelprep: Run) -> None:
    url = workshop.server.put("/shared.bin", DATA)
    (workshop.recipes / "assets" / "shared.yaml").write_text(
        f"schema: 1\nassets:\n  common:\n    urls: [{url}]\n    sha256: {sha256(DATA)}\n    size: {len(DATA)}\n"
        "    pinned_by: the test\n"
    )
    for name in ("a", "b"):
        workshop.recipe(
            name,
            f"schema: 1\ndemo: {name}\nsummary: s\nstatus: ready\ntree: Things\n"
            "assets:\n  picture: {use: common}\ninstall:\n  data/picture.bin: $picture\n",
        )
    assert modelprep("fetch", "things").code == 0
    assert len(workshop.server.log) == 1
    manifest = json.loads((workshop.out / "Things" / "MANIFEST.json").read_text())
    (entry,) = manifest["files"]
    assert entry["demos"] == ["things/a", "things/b"]
    assert entry["assets"][0]["name"] == "common"
    assert entry["assets"][0]["source"] == url


def test_one_failing_demo_stops_no_other_and_the_worst_code_is_returned(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("good", DATA)
    workshop.simple("gone", b"x", urls=workshop.server.put("/gone", status=404))
    workshop.recipe(
        "mine",
        "schema: 1\ndemo: Mine\nsummary: s\nstatus: bring-your-own\nwhy: nobody has it\ntree: Things\n"
        "assets:\n  model: {provide: true, summary: the model}\ninstall:\n  m.bin: $model\n",
    )
    ran = modelprep("fetch", "things")
    assert ran.code == 3
    assert workshop.installed() == {"data/good.bin": DATA}
    assert "installed" in ran.out
    assert "failed" in ran.out
    assert "bring" in ran.out
    assert "/gone" in ran.err
    assert "--set model=FILE" in ran.err


def test_json_is_one_event_a_line_and_the_summary_comes_last(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("one", DATA)
    events = modelprep("fetch", "things", "--json").events
    assert events[0]["event"] == "plan"
    assert events[0]["bytes_to_come"] == len(DATA)
    assert events[-1]["event"] == "summary"
    assert events[-1]["exit_code"] == 0
    assert events[-1]["demos"][0]["written"] == ["data/one.bin"]
    kinds = {event["event"] for event in events}
    assert {"start", "source", "progress", "done"} <= kinds


def test_quiet_says_nothing_when_all_is_well(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("one", DATA)
    ran = modelprep("fetch", "things", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_set_replaces_an_asset_and_a_wrong_name_offers_the_nearest(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("one", DATA)
    mine = workshop.root / "mine.bin"
    mine.write_bytes(b"my own bytes")
    ran = modelprep("fetch", "things", "--set", f"one-file={mine}")
    assert ran.code == 0
    assert workshop.installed() == {"data/one.bin": b"my own bytes"}
    assert workshop.server.log == []
    assert "is not the file that the recipe pins" in ran.err
    wrong = modelprep("fetch", "things", "--set", f"one-fiel={mine}")
    assert wrong.code == 2
    assert "one-file" in wrong.err


NOT_THE_FILE = {
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
    "a web page titled 'Sign in'": b"<!doctype html><html><head><title>Sign in</title></head></html>",
    "an empty file": b"",
    "a JSON document": b'{"error": "not found"}',
    "a Git LFS pointer for sha256": b"\xef\xbb\xbfversion https://git-lfs.github.com/spec/v1\r\noid sha256:"
    + b"0" * 64
    + b"\r\nsize 12345\r\n",
    "only white space or zero bytes": bytes(4096),
    "text beginning 'Not Found'": b"Not Found\n",
    "gzip-compressed data": gzip.compress(b"<!doctype html><html></html>"),
    "binary data": b"\x1c\0\0",
    "damaged": b"\x1c\0\0\0TFL3" + bytes(20),
}


@pytest.mark.parametrize(
    ("kind", "inside"),
    [
        ("a web page", b"<!doctype html><html></html>"),
        ("nothing", b""),
        ("a Git LFS", NOT_THE_FILE["a Git LFS pointer"]),
    ],
)
def test_a_compressed_page_is_not_taken_for_a_compressed_file(
    workshop: Workshop, modelprep: Run, kind: str, inside: bytes
) -> None:
    workshop.recipe(
        "loose",
        "schema: 1\ndemo: Loose\nsummary: s\ntree: Things\nassets:\n  set: {urls: ['http://127.0.0.1:9/set.gz'], "
        "pin: first-use, licence: {name: MIT, source: me}}\ninstall:\n  set.gz: $set\n",
    )
    mine = workshop.root / "set.gz"
    mine.write_bytes(gzip.compress(inside))
    refused = modelprep("fetch", "things/loose", "--set", f"set={mine}")
    assert refused.code == 5
    assert f"compressed, and inside is {kind}" in " ".join(refused.err.split())
    mine.write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x01\x07"))
    assert modelprep("fetch", "things/loose", "--set", f"set={mine}").code == 0


@pytest.mark.parametrize("kind", NOT_THE_FILE)
def test_what_servers_send_in_place_of_a_file_is_not_taken_by_set_unless_it_is_meant(
    workshop: Workshop, modelprep: Run, kind: str
) -> None:
    workshop.recipe(
        "loose",
        "schema: 1\ndemo: Loose\nsummary: s\ntree: Things\nassets:\n  model: {urls: ['http://127.0.0.1:9/m.tflite'], "
        "pin: first-use, licence: {name: MIT, source: me}}\ninstall:\n  m.tflite: $model\n",
    )
    mine = workshop.root / "m.tflite"
    mine.write_bytes(NOT_THE_FILE[kind])
    refused = modelprep("fetch", "things/loose", "--set", f"model={mine}")
    assert refused.code == 5
    assert f"is {kind}" in refused.err
    assert workshop.installed() == {}
    taken = modelprep("fetch", "things/loose", "--set", f"model={mine}", "--accept-any")
    assert taken.code == 0
    assert f"is {kind}" in taken.err
    assert workshop.installed() == {"m.tflite": NOT_THE_FILE[kind]}
    manifest = json.loads((workshop.out / "Things" / "MANIFEST.json").read_text())
    assert manifest["files"][0]["assets"][0]["warning"].startswith(f"accepted although it is {kind}")
    again = modelprep("fetch", "things/loose", "--set", f"model={mine}", "--accept-any")
    assert again.code == 0


def test_the_file_that_the_recipe_pins_is_taken_by_set_whatever_it_looks_like(
    workshop: Workshop, modelprep: Run
) -> None:
    page = b"<!doctype html><html><body>the file itself</body></html>"
    workshop.simple("one", page)
    mine = workshop.root / "mine.bin"
    mine.write_bytes(page)
    assert modelprep("fetch", "things", "--set", f"one-file={mine}").code == 0


def test_a_slot_is_supplied_by_set(workshop: Workshop, modelprep: Run) -> None:
    workshop.recipe(
        "mine",
        "schema: 1\ndemo: Mine\nsummary: s\nstatus: bring-your-own\nwhy: nobody has it\ntree: Things\n"
        "assets:\n  model: {provide: true, summary: the model}\ninstall:\n  m.bin: $model\n",
    )
    assert modelprep("fetch", "things/mine").code == 8
    mine = workshop.root / "mine.bin"
    mine.write_bytes(b"mine")
    assert modelprep("fetch", "things/mine", "--set", f"model={mine}").code == 0
    assert workshop.installed() == {"m.bin": b"mine"}


def test_link_makes_hard_links_and_a_copy_is_the_default(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("one", DATA)
    assert modelprep("fetch", "things").code == 0
    installed = workshop.out / "Things" / "data" / "one.bin"
    assert installed.stat().st_nlink == 1
    shutil.rmtree(workshop.out)
    assert modelprep("fetch", "things", "--link").code == 0
    assert installed.stat().st_nlink == 2
    assert installed.read_bytes() == DATA


def test_a_first_use_pin_is_written_kept_and_refused_by_locked(workshop: Workshop, modelprep: Run) -> None:
    url = workshop.server.put("/loose.bin", DATA)
    workshop.recipe(
        "loose",
        "schema: 1\ndemo: Loose\nsummary: s\nstatus: ready\ntree: Things\n"
        f"assets:\n  loose: {{urls: [{url}], pin: first-use}}\ninstall:\n  loose.bin: $loose\n",
    )
    refused = modelprep("fetch", "things", "--locked")
    assert refused.code == 2
    assert "--locked" in refused.err
    assert workshop.server.log == []
    assert modelprep("fetch", "things").code == 0
    lock = (workshop.out / "modelprep.lock").read_text()
    assert sha256(DATA) in lock
    assert modelprep("fetch", "things", "--locked").code == 0
    again = modelprep("fetch", "things")
    assert "unchanged" in again.out
    # Another machine with the same lock: other bytes are refused.
    workshop.server.put("/loose.bin", DATA[::-1])
    shutil.rmtree(workshop.cache)
    shutil.rmtree(workshop.out / "Things")
    other = modelprep("fetch", "things")
    assert other.code == 4, other.err
    assert workshop.installed() == {}


def test_of_a_file_verified_by_sha1_alone_the_lock_keeps_the_sha256(workshop: Workshop, modelprep: Run) -> None:
    url, weak = workshop.server.put("/weak.bin", DATA), hashlib.sha1(DATA).hexdigest()
    workshop.recipe(
        "weak",
        "schema: 1\ndemo: Weak\nsummary: s\nstatus: ready\ntree: Things\n"
        f"assets:\n  weak: {{urls: [{url}], sha1: '{weak}', pinned_by: t}}\ninstall:\n  weak.bin: $weak\n",
    )
    lock = workshop.out / "modelprep.lock"
    assert modelprep("fetch", "things", "--locked").code == 0
    assert not lock.exists()
    shutil.rmtree(workshop.out / "Things")
    said = modelprep("fetch", "things").err
    assert f"only sha1 is published, its sha256 is recorded in {lock}" in said
    written = lock.read_text()
    assert f"sha1:{weak}" in written
    assert sha256(DATA) in written
    shutil.rmtree(workshop.out / "Things")
    again = modelprep("fetch", "things")
    assert again.code == 0
    assert "recorded" not in again.err
    # Both have to agree from now on.
    lock.write_text(written.replace(sha256(DATA), "0" * 64))
    shutil.rmtree(workshop.cache)
    shutil.rmtree(workshop.out / "Things")
    assert modelprep("fetch", "things").code == 4
    assert workshop.installed() == {}


def test_two_demos_with_other_bytes_at_one_place_are_an_error_before_anything_is_fetched(
    workshop: Workshop, modelprep: Run
) -> None:
    workshop.simple("one", DATA, install="data/same.bin")
    workshop.simple("two", DATA[1:], install="data/same.bin")
    ran = modelprep("fetch", "things", "--dry-run")
    assert ran.code == 2
    assert "things/one installs other bytes at" in ran.err
    assert modelprep("fetch", "things").code == 2
    assert workshop.installed() == {"data/same.bin": DATA}
    assert [request.path for request in workshop.server.log] == ["/one.bin"]


def test_eight_processes_on_an_empty_store_fetch_each_asset_once(workshop: Workshop) -> None:
    packed = gzipped(DATA)
    url = workshop.server.put("/packed.gz", packed, pause=0.01, piece=32768)
    workshop.recipe(
        "packed",
        "schema: 1\ndemo: Packed\nsummary: s\nstatus: ready\ntree: Things\n"
        f"assets:\n  packed: {{urls: [{url}], sha256: {sha256(packed)}, size: {len(packed)}, pinned_by: test}}\n"
        "steps:\n  - {id: plain, uses: gunzip, with: {file: $packed}}\n"
        "install:\n  packed.bin: $plain\n",
    )
    workshop.simple("one", DATA[:-1])
    processes = [workshop.start("fetch", "things", "--quiet") for _ in range(8)]
    ends = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, ends
    assert sorted(request.path for request in workshop.server.log) == ["/one.bin", "/packed.gz"]
    assert workshop.installed() == {"packed.bin": DATA, "data/one.bin": DATA[:-1]}
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=workshop.out / "Things", check=True)


MANUAL = [
    "armnn-caffe/mnist",
    "armnn-tf/mnist",
    "armnn-onnx/mnist",
    "armnn-tflite/mobilenet-v1-quant",
    "tflite/label-image",
]


def test_the_manuals_demos_come_out_of_the_real_files(
    upstream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import yaml

    from modelprep.cli.main import invoke

    shark = next(upstream.rglob("space_shuttle.jpg"))
    out = tmp_path / "out"
    command = ["fetch", *MANUAL, "--mirror", str(upstream), "--offline", "--out", str(out)]
    command += ["--cache", str(tmp_path / "cache"), "--set", f"picture-shark={shark}", "--quiet"]
    code = invoke(command)
    assert code == 0, capsys.readouterr().err
    facts = yaml.safe_load((upstream.parent / "facts" / "assets.yaml").read_text())
    published = _digests(facts)
    tree = out / "ArmnnTests"
    for name in (
        "models/lenet_iter_9000.caffemodel",
        "models/simple_mnist_tf.prototxt",
        "models/mobilenet_v1_1.0_224_quant.tflite",
        "data/Dog.jpg",
        "data/Cat.jpg",
    ):
        assert sha256((tree / name).read_bytes()) in published, name
    assert sha256((tree / "data" / "t10k-images.idx3-ubyte").read_bytes()) == (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    )
    # The working space of the first call lives as long as this process does.
    files = [path for path in tmp_path.rglob("*") if "scratch" not in path.parts]
    before = {path: path.stat().st_mtime_ns for path in files}
    assert invoke(command) == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if "scratch" not in path.parts} == before


def test_a_served_mirror_that_fails_three_ways_still_gives_the_real_files(
    upstream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from servers.http import FaultServer

    from modelprep.cli.main import invoke

    monkeypatch.setenv("NO_PROXY", "*")
    name = "t10k-images-idx3-ubyte.gz"
    data = (upstream / "yann.lecun.com" / "exdb" / "mnist" / name).read_bytes()
    with FaultServer(upstream) as server:
        server.put(f"/yann.lecun.com/exdb/mnist/{name}", status=404)
        server.put(f"/ossci-datasets.s3.amazonaws.com/mnist/{name}", PAGE, content_type="text/html")
        good = server.put(f"/storage.googleapis.com/cvdf-datasets/mnist/{name}", data, cut_at=len(data) // 2, times=1)
        command = ["fetch", "armnn-caffe/mnist", "--mirror", server.base, "--no-archives", "--json"]
        code = invoke([*command, "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")])
        events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 0, events[-1]
    done = next(event for event in events if event["event"] == "done" and event["task"] == "fetch:mnist-t10k-images")
    assert done["source"] == good
    installed = (tmp_path / "out" / "ArmnnTests" / "data" / "t10k-images.idx3-ubyte").read_bytes()
    assert sha256(installed) == "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"


def _digests(value: object) -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_digests(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_digests(item) for item in value))
    return {value} if isinstance(value, str) and len(value) == 64 else set()


def test_a_tree_is_swept_of_what_a_killed_run_left(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("one", DATA)
    driver = (
        "import os, signal\n"
        "from modelprep.store import copying\n"
        "def dying(*args):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "copying._pump = dying\n"
        "from modelprep.cli.main import run\n"
        "run()\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", driver, *workshop.arguments("fetch", "things")],
        env=workshop.environment(),
        capture_output=True,
        timeout=60,
    )
    assert killed.returncode == -9
    folder = workshop.out / "Things" / "data"
    assert not (folder / "one.bin").exists()
    assert [path for path in folder.iterdir() if path.name.endswith(".modelprep")]
    assert modelprep("fetch", "things").code == 0
    assert [path.name for path in folder.iterdir()] == ["one.bin"]
    assert (folder / "one.bin").read_bytes() == DATA
