"""LAVA jobs: valid by Debian's lava-common, run by lava-dispatcher's test shell under the small shells of boards."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cli.workshop import Workshop
from servers.http import FaultServer

from modelprep.deliver.lava import LavaJob, write_job
from modelprep.errors import UsageError
from modelprep.quoting import Unquotable, yaml_document
from modelprep.tree.manifest import AssetUsed, InstalledDemo, InstalledFile, Manifest, Provenance
from modelprep.tree.selection import TreePart

ODD = "Odd 'net' $(touch /tmp/never) <b>; é"
#: Demo -> command and the result that LAVA is to hear.
DEMOS = {
    "CaffeGood-Armnn": ("good --data data", "pass"),
    "CaffeBad-Armnn": ("bad", "fail"),
    "CaffeGone-Armnn": ("gone", "skip"),
    ODD: ("good 'two words'", "pass"),
}
PROGRAMS = {
    "good": "[ -s models/net.bin ]",
    # What a program prints is no result of a test.
    "bad": "echo '<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=CaffeBad-Armnn RESULT=pass>'; exit 1",
}
SHELLS = [name for name in ("dash", "busybox") if shutil.which(name)]
#: As lava-dispatcher looks for them in what comes over the console.
SIGNAL = re.compile(r"<LAVA_SIGNAL_(\S+) ([^>]+)>")


def packages() -> Path:
    """Find Debian's lava-common and lava-dispatcher, unpacked or installed."""
    folder = Path(os.environ.get("MODELPREP_LAVA", "/")) / "usr/lib/python3/dist-packages"
    if not (folder / "lava_common").is_dir() or not (folder / "lava_dispatcher").is_dir():
        pytest.skip("needs lava-common and lava-dispatcher of Debian, unpacked (MODELPREP_LAVA names the folder)")
    return folder


def part(folder: Path, name: str = "ArmnnTests", board: str = "") -> TreePart:
    data = name.encode() * 100
    (folder / name / "models").mkdir(parents=True)
    (folder / name / "models" / "net.bin").write_bytes(data)
    used = AssetUsed("net", "https://example.org/net", hashlib.sha256(data).hexdigest(), len(data))
    recipes = {f"{name.lower()}/{number}": demo for number, demo in enumerate(DEMOS)}
    file = InstalledFile("models/net.bin", used.sha256, len(data), tuple(recipes), Provenance((used,)))
    demos = {
        recipe: InstalledDemo(recipe, demo, "key", run=DEMOS[demo][0], board=board) for recipe, demo in recipes.items()
    }
    return TreePart(folder / name, name, board, Manifest(name, demos, {file.path: file}))


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as made:
        yield made


def served(server: FaultServer, folder: Path, *parts: TreePart) -> LavaJob:
    """Write a job whose bundle is served under its own URL."""
    place = server.put("/models/modelprep-bundle.tar.gz", b"").rpartition("/")[0]
    job = write_job(folder, parts, bundle_url=place)
    assert server.put("/models/modelprep-bundle.tar.gz", job.bundle.path.read_bytes()) == job.url
    return job


def run_as_lava_does(job: LavaJob, root: Path, shell: str) -> list[tuple[str, str]]:
    """Lay the job's test out as lava-dispatcher lays it on a board, run it there, and give test and result."""
    scripts = packages() / "lava_dispatcher" / "lava_test_shell"
    binaries = root / "bin"
    binaries.mkdir(parents=True)
    command = root / "shell" / "sh"
    command.parent.mkdir()
    command.symlink_to(str(shutil.which(shell)))
    for script in scripts.iterdir():
        if script.is_file():
            text = script.read_text("utf-8")
            (binaries / script.name).write_text(text if text.startswith("#!") else f"#!{command}\n{text}")
            (binaries / script.name).chmod(0o755)
    test = root / "0" / "tests" / "0_modelprep"
    test.mkdir(parents=True)
    (root / "0" / "lava-test-runner.conf").write_text(f"{test}\n")
    (test / "uuid").write_text("1_1")
    document = yaml.safe_load(job.job.read_text())
    (definition,) = document["actions"][2]["test"]["definitions"]
    assert definition["repository"] == yaml.safe_load(job.definition.read_text())
    steps = [f"{step}\n" for step in definition["repository"]["run"]["steps"]]
    (test / "run.sh").write_text(f"set -e\nset -x\nexport TESTRUN_ID=0_modelprep\ncd {test}\n{''.join(steps)}set +x\n")
    programs = root / "programs"
    programs.mkdir()
    for name, body in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    ran = subprocess.run(
        [command, binaries / "lava-test-runner", root / "0"],
        env={
            "PATH": f"{command.parent}:{os.environ['PATH']}", "HOME": str(root / "home"), "SHELL": str(command),
            "MODELPREP_BIN": str(programs), "no_proxy": "*",
        },
        cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100, check=False,
    )  # fmt: skip
    console = ran.stdout.decode()
    assert "<LAVA_TEST_RUNNER EXIT>" in console
    results = []
    for name, words in SIGNAL.findall(console):
        if name == "TESTCASE":
            facts = dict(word.split("=") for word in words.split())
            results.append((facts["TEST_CASE_ID"], facts["RESULT"]))
            assert facts.get("UNITS", "seconds") == "seconds"
            assert facts.get("MEASUREMENT", "0").isdecimal()
    return results


def expected(demos: int = 1) -> list[tuple[str, str]]:
    got = [(re.sub(rb"[^A-Za-z0-9._-]", b"_", "-".join(name.split()).encode()).decode(), result)
           for name, (_, result) in DEMOS.items()]  # fmt: skip
    return [("bundle-download", "pass"), ("bundle-checksum", "pass"), *got * demos]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_test_is_a_test_case_of_lavas(server: FaultServer, tmp_path: Path, shell: str) -> None:
    board = str(tmp_path / "board's own" / "place")
    job = served(server, tmp_path / "job", part(tmp_path / "out"), part(tmp_path / "out", "Other", board))
    results = run_as_lava_does(job, tmp_path / "lava", shell)
    assert results == expected(2)
    assert (Path(board) / "models" / "net.bin").exists()
    assert not Path("/tmp/never").exists()


def test_a_bundle_that_is_not_the_one_is_not_unpacked(server: FaultServer, tmp_path: Path) -> None:
    job = served(server, tmp_path / "job", part(tmp_path / "out"))
    server.put("/models/modelprep-bundle.tar.gz", b"another file")
    results = run_as_lava_does(job, tmp_path / "lava", "dash")
    assert results == [("bundle-download", "pass"), ("bundle-checksum", "fail")]


def test_a_bundle_that_cannot_be_fetched_is_a_failed_test_case(server: FaultServer, tmp_path: Path) -> None:
    job = served(server, tmp_path / "job", part(tmp_path / "out"))
    server.put("/models/modelprep-bundle.tar.gz", b"", status=404)
    assert run_as_lava_does(job, tmp_path / "lava", "dash") == [("bundle-download", "fail")]


@pytest.mark.parametrize("url", ["", "https://files.example.org/models/", "https://files.example.org/m/it.tar.gz"])
def test_the_job_is_valid_by_lavas_own_schema(tmp_path: Path, url: str) -> None:
    folder = packages()
    pytest.importorskip("voluptuous", reason="lava-common checks jobs with it")
    job = write_job(tmp_path / "job", [part(tmp_path / "out")], bundle_url=url, soc="imx93")
    checked = subprocess.run(
        [sys.executable, "-c",
         "import sys, yaml, lava_common.schemas as s, lava_common.schemas.test.testdef as t\n"
         "s.validate(yaml.safe_load(open(sys.argv[1])), strict=True)\n"
         "t.validate(yaml.safe_load(open(sys.argv[2])))", job.job, job.definition],
        env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    assert job.device_type == "imx93-11x11-evk"
    assert job.url == {
        "": job.bundle.path.as_uri(),
        "https://files.example.org/models/": "https://files.example.org/models/modelprep-bundle.tar.gz",
    }.get(url, url)
    assert hashlib.sha256(job.bundle.path.read_bytes()).hexdigest() in job.definition.read_text()


def test_what_is_no_url_and_no_device_type_is_refused(tmp_path: Path) -> None:
    trees = [part(tmp_path / "out")]
    for url in ("ftp://x/y", "https://me:secret@x.org/y", "https://x.org/y?token=1", "nowhere"):
        with pytest.raises(UsageError) as caught:
            write_job(tmp_path / "job", trees, bundle_url=url)
        assert "secret" not in str(caught.value)
    with pytest.raises(UsageError, match="device type"):
        write_job(tmp_path / "job", trees, soc="imx95")
    with pytest.raises(UsageError, match="device type"):
        write_job(tmp_path / "job", trees, device_type="a b")
    assert not (tmp_path / "job" / "job.yaml").exists()


def test_the_command_writes_what_it_says(server: FaultServer, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, server)
    workshop.simple("one", b"x" * 100)
    assert workshop.run("fetch", "things", "--allow-private").code == 0

    def export() -> dict[str, str]:
        words = ["export", "lava", "things", tmp_path / "job", "--bundle-url", "https://files.example.org", "--json"]
        words += ["--out", workshop.out, "--recipes", workshop.recipes]
        ran = subprocess.run(
            workshop.command(*map(str, words)), env=workshop.environment(), capture_output=True, text=True, check=True
        )
        told: dict[str, str] = json.loads(ran.stdout.splitlines()[-1])
        return told

    told = export()
    assert told["url"] == "https://files.example.org/modelprep-bundle.tar.gz"
    assert yaml.safe_load(Path(told["job"]).read_text())["device_type"] == "imx8mq-evk"
    before = [Path(told[name]).read_bytes() for name in ("bundle", "job", "definition")]
    assert [Path(export()[name]).read_bytes() for name in ("bundle", "job", "definition")] == before


def test_a_yaml_document_reads_back_as_it_was() -> None:
    value = {
        "a: b": ["", " x", "x ", "yes", "1e3", "é\u2028\x07", "a\nb\n", "a \nb", "\n", "- x", "#", "'\"", "\ttab\n"],
        "n": {"x": 1, "y": None, "z": [True, 2.5]},
    }
    assert yaml.safe_load(yaml_document(value)) == value
    assert list(yaml.safe_load(yaml_document({"b": 1, "a": 2}))) == ["b", "a"]
    with pytest.raises(Unquotable):
        yaml_document({"x": ["\ud800"]})
