"""What can stand at the cursor, asked without a shell."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from modelprep.cli.candidates import answer
from modelprep.cli.main import COMMANDS, app, invoke

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def offered(*words: str) -> set[str]:
    return set(answer(words).words)


def leaves() -> Iterator[tuple[list[str], Any]]:
    """Give every command with its path."""
    top: Any = typer.main.get_command(app)
    context = typer.Context(top)
    for name in COMMANDS:
        command = top.get_command(context, name)
        if not hasattr(command, "list_commands"):
            yield [name], command
            continue
        for inner in command.list_commands(context):
            yield [name, inner], command.get_command(context, inner)


LEAVES = {" ".join(path): command for path, command in leaves()}
TAKE_TARGETS = [
    path
    for path, command in LEAVES.items()
    if any(each.param_type_name == "argument" and "TARGET" in (each.metavar or "") for each in command.params)
]


def test_the_commands_that_take_targets_are_known() -> None:
    expected = ["fetch", "list", "show", "check", "deploy", "bundle", "mirror", "audit"]
    assert set(TAKE_TARGETS) >= {*expected, "export yocto", "cache key", "cache gc"}


@pytest.mark.parametrize("path", TAKE_TARGETS)
def test_every_command_that_takes_targets_offers_them(path: str) -> None:
    words = path.split()
    assert offered(*words, "armnn-onnx/") == {"armnn-onnx/mnist", "armnn-onnx/mobilenet"}
    assert offered(*words, "OnnxMn") == {"OnnxMnist-Armnn"}
    assert {"all", "armnn-caffe"} <= offered(*words, "")


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_offers_every_option_that_it_has(path: str) -> None:
    known = {name for each in LEAVES[path].params for name in (*each.opts, *each.secondary_opts) if name[:2] == "--"}
    assert offered(*path.split(), "--") == {*known, "--help"}


def test_commands_and_those_within_them_are_offered() -> None:
    assert offered("") == set(COMMANDS)
    assert offered("cache", "") == {"info", "verify", "gc", "key"}
    assert offered("no-such", "") == set()
    assert offered() == set(COMMANDS)


def test_an_option_given_is_not_offered_again_unless_it_may_be() -> None:
    assert "--offline" not in offered("fetch", "--offline", "--")
    assert "--mirror" in offered("fetch", "--mirror", "m", "--")


def test_the_value_of_an_option_is_completed_by_its_kind(tmp_path: Path) -> None:
    assert answer(["fetch", "--out", ""]).kind == "dirs"
    assert answer(["fetch", "--out=x"]).kind == "dirs"
    assert answer(["fetch", "--lockfile", ""]).kind == "files"
    assert answer(["fetch", "--jobs", ""]).text() == "none"
    assert answer(["fetch", "-j", "armnn"]).text() == "none"
    assert "armnn-tf" in offered("fetch", "-j4", "armnn-tf")
    assert offered("fetch", "--armnn=20.0") <= offered("fetch", "--armnn=")
    assert answer(["onnx", "inspect", ""]).kind == "files"
    assert offered("fetch", "--", "--o") == set()


def test_files_of_recipes_and_folders_on_the_way_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo").mkdir()
    for name in ("zebra.yaml", "zoo/yak.yml", "zoo/zander.txt", ".z.yaml", "zoo/tab\there.yaml"):
        (tmp_path / name).touch()
    assert offered("fetch", "z") == {"zebra.yaml", "zoo/"}
    assert offered("fetch", "zoo/") == {"zoo/yak.yml"}
    assert "zebra.yaml" in offered("fetch", "")
    assert offered("fetch", f"{tmp_path}/ze") == {f"{tmp_path}/zebra.yaml"}
    assert offered("fetch", "no/such/place/") == set()
    assert offered("fetch", "~nobody-has-this-name/") == set()


def test_broken_recipes_and_folders_that_are_gone_do_not_break_the_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "bad.yaml").write_bytes(b"demo: [\xff\x00")
    assert offered("fetch", "--recipes", str(tmp_path), "own/") == {"own/bad"}
    assert offered("fetch", "--recipes", str(tmp_path / "gone"), "armnn-onnx/mn") == {"armnn-onnx/mnist"}
    assert offered("fetch", f"--recipes={tmp_path}", "own/bad@") == set()
    assert invoke(["__complete", "fetch", "\udcff"]) == 0
    assert capsys.readouterr().out == "none\n"


def test_it_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom modelprep.cli.main import invoke\ninvoke(['__complete', 'fetch', 'OnnxM'])\n"
        "heavy = {'yaml', 'requests', 'numpy', 'tqdm', 'google.protobuf', 'tensorflow', 'onnx', 'cv2', 'filelock'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "OnnxMnist-Armnn" in ran.stdout

    def best(*arguments: str) -> float:
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "modelprep", *arguments], capture_output=True, cwd=REPOSITORY, check=True
            )
            times.append(time.perf_counter() - begun)
        return min(times)

    # Side by side in one run: reading some dozens of small files beside starting Python at all.
    assert best("__complete", "fetch", "OnnxM") < 3 * best("--version")
