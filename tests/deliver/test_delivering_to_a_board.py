"""The small demos go to a board through the real command: once, again, after a change, over a line that breaks."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from deliver.conftest import TARGETS, Goods, Ran
from servers.sshd import BoardServer

MakeBoard = Callable[..., BoardServer]
WAYS = ["tar", "rsync", "sftp"]
#: Stand-ins for three of the four board programs: they open what the real ones open, and end as the real ones end.
PROGRAMS = {
    "CaffeMnist-Armnn": """
[ "$1 $2" = "--data-dir=data --model-dir=models" ] || exit 9
[ -s models/lenet_iter_9000.caffemodel ] && [ -s data/t10k-images.idx3-ubyte ] || exit 1
echo "Overall accuracy: 1.000"; echo "asked for: $*" """,
    "TfMnist-Armnn": """
[ -s models/simple_mnist_tf.prototxt ] && [ -s data/t10k-labels.idx1-ubyte ] || exit 1
echo "Overall accuracy: 1.000" """,
    "OnnxMnist-Armnn": """
echo "Prediction for test case 3 (7) is incorrect (should be 0)" >&2
printf 'noise: \\033[1m ]]> & < \\377\\n'
exit 1""",
}


def way(board: MakeBoard, name: str) -> BoardServer:
    return board(rsync=name == "rsync", tar=name == "tar", sftp=name == "sftp")


def deploy(goods: Goods, server: BoardServer, *more: str | Path, out: Path | None = None) -> Ran:
    return goods.run("deploy", *TARGETS, server.login, "--ssh", server.ssh, *more, out=out)


def told(ran: Ran) -> dict[str, object]:
    """Return the one tree of the last line of ``--json``, or of its one object."""
    assert ran.code == 0, ran.err + ran.out
    [tree] = json.loads(ran.out if ran.out.startswith("{\n") else ran.out.splitlines()[-1])["trees"]
    assert isinstance(tree, dict)
    return tree


def there(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def only_asked(commands: list[str]) -> None:
    """Hold the commands to the two questions: what lies in the folder, and which release the board runs."""
    assert [command[:6] for command in commands] == ["sh -c ", "sh -c "]
    files, release = commands
    assert "echo --files--" in files
    assert "for file in os-release build" in release


@pytest.mark.parametrize("name", WAYS)
def test_the_demos_arrive_and_a_second_deploy_sends_nothing(goods: Goods, board: MakeBoard, name: str) -> None:
    server = way(board, name)
    first = told(deploy(goods, server, "--json"))
    folder = server.home / "ArmnnTests"
    assert there(folder) == there(goods.out / "ArmnnTests")
    assert first["method"] == name
    assert len(first["send"]) >= 9  # type: ignore[arg-type]
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=True)
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
    asked = len(server.commands())
    second = told(deploy(goods, server, "--json"))
    assert (second["send"], second["bytes"]) == ([], 0)
    assert set(second["keep"]) == set(first["send"])  # type: ignore[call-overload]
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in before} == before
    only_asked(server.commands()[asked:])


@pytest.mark.parametrize("name", WAYS)
def test_after_one_changed_file_that_one_goes_over(goods: Goods, board: MakeBoard, tmp_path: Path, name: str) -> None:
    server = way(board, name)
    told(deploy(goods, server, "--json"))
    out = tmp_path / "out"
    shutil.copytree(goods.out, out)
    shutil.copytree(goods.out.with_name("out-cache"), tmp_path / "out-cache")
    other = next(path for path in (goods.out / "ArmnnTests/data").iterdir() if path.suffix == ".jpg")
    mine = tmp_path / "mine.jpg"
    mine.write_bytes(other.read_bytes() + b"\0")  # bytes behind the picture's end: another file, the same picture
    ran = goods.fetch(out, goods.upstream, "--offline", "--set", f"picture-dog={mine}")
    assert ran.code == 0, ran.err
    again = told(deploy(goods, server, "--json", out=out))
    assert again["send"] == ["data/Dog.jpg"]
    assert there(server.home / "ArmnnTests") == there(out / "ArmnnTests")


@pytest.mark.parametrize("name", WAYS)
def test_a_line_cut_in_mid_copy_is_gone_on_with(goods: Goods, board: MakeBoard, name: str) -> None:
    server = way(board, name)
    size = sum(path.stat().st_size for path in goods.out.glob("ArmnnTests/*/*"))
    server.cut_after(size // 2)
    cut = deploy(goods, server)
    assert cut.code == 3
    assert "the connection to the board failed or was cut" in cut.err
    again = f"try `ssh {server.login}` by hand, then run the command again to resume"
    assert again in cut.err
    assert "Traceback" not in cut.err
    folder = server.home / "ArmnnTests"
    assert [path.name for path in folder.iterdir()] == [".modelprep-incoming"]
    came = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert came > size // 4
    told(deploy(goods, server, "--json"))
    assert there(folder) == there(goods.out / "ArmnnTests")


def test_a_dry_run_sends_nothing_and_says_what_would_go(goods: Goods, board: MakeBoard) -> None:
    server = board()
    plan = told(deploy(goods, server, "--dry-run", "--json"))
    assert plan["done"] is False
    assert plan["bytes"] == sum(p.stat().st_size for p in goods.out.glob("ArmnnTests/*/*"))
    assert not any(server.home.iterdir())
    only_asked(server.commands())
    people = deploy(goods, server, "--dry-run")
    assert "to send" in people.out
    assert "run there" not in people.out


def with_programs(server: BoardServer) -> BoardServer:
    for program, body in PROGRAMS.items():
        path = server.root / "bin" / program
        path.write_text(f"#!{server.root}/bin/sh{body}\n")
        path.chmod(0o755)
    return server


def test_run_brings_back_the_boards_table_and_report(goods: Goods, board: MakeBoard, tmp_path: Path) -> None:
    server = with_programs(board())
    report = tmp_path / "report.xml"
    ran = deploy(goods, server, "--run", "-c", "CpuRef", "--junit", report)
    assert ran.code == 1, ran.err
    rows = {line.split()[0]: line.split()[1] for line in ran.out.splitlines() if "-Armnn " in line}
    assert rows == {
        "CaffeMnist-Armnn": "passed",
        "OnnxMnist-Armnn": "FAILED",
        "TfMnist-Armnn": "passed",
        "TfLiteMobilenetQuantized-Armnn": "missing",
    }
    assert "Prediction for test case 3 (7) is incorrect (should be 0)" in ran.out
    assert "2 passed, 1 failed, 1 without a program" in ran.out
    assert "-c CpuRef" in (server.home / "ArmnnTests/run-tests.log").read_text(errors="replace")
    [suite] = ET.parse(report).getroot()
    assert [suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped")] == [
        "ArmnnTests", "4", "1", "0", "1",
    ]  # fmt: skip
    failed = suite.find("testcase[@name='OnnxMnist-Armnn']")
    assert failed is not None
    assert "should be 0" in str(failed.find("failure").get("message"))  # type: ignore[union-attr]
    assert "noise: [1m ]]> & < ?" in str(failed.findtext("system-out"))
    # And with nothing to send: the tests are run all the same, those of the demos that are named.
    only = goods.run("deploy", "armnn-caffe/mnist", server.login, "--ssh", server.ssh, "--run", "--json", out=goods.out)
    assert only.code == 0, only.out + only.err
    summary = json.loads(only.out.splitlines()[-1])
    [test] = summary["tests"]
    assert test["status"] == 0
    assert "1 passed, 0 failed" in test["output"]
    assert "OnnxMnist-Armnn" not in test["output"]


def test_how_tests_are_run_without_running_any_is_wrong_usage(goods: Goods) -> None:
    ran = goods.run("deploy", TARGETS[0], "root@board", "--junit", "x.xml")
    assert ran.code == 2
    assert "--run" in ran.err
