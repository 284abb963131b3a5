"""What a user gets who presses Tab in bash, zsh and fish: the word, whole and rightly quoted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from completion.conftest import Desk, Terminal, program

#: What is typed before Tab, and the arguments that the command then gets.
WORDS = [
    ("modelprep fe", ["fetch"]),
    ("modelprep recipe sch", ["recipe", "schema"]),
    ("modelprep fetch --offl", ["fetch", "--offline"]),
    ("modelprep fetch armnn-onnx/mob", ["fetch", "armnn-onnx/mobilenet"]),
    ("modelprep cache key --each tensor", ["cache", "key", "--each", "tensorflow"]),
    ("modelprep show OnnxMn", ["show", "OnnxMnist-Armnn"]),
    ("modelprep fetch armnn-tf/inception-v3@fro", ["fetch", "armnn-tf/inception-v3@frozen"]),
    # A name with a blank in it comes quoted, however its beginning was typed.
    ("modelprep show OpenCV\\ dnn_cl", ["show", "OpenCV dnn_classification"]),
    ("modelprep check mi", ["check", "mine.yaml"]),
    ("modelprep check dee", ["check", "deep/"]),
    ("modelprep check deep/one", ["check", "deep/one two.yaml"]),
    ("modelprep fetch --recipes deep own/th", ["fetch", "--recipes", "deep", "own/thing"]),
    ("modelprep fetch --lockfile my.l", ["fetch", "--lockfile", "my.lock"]),
    ("modelprep onnx fix a.onnx --data ty", ["onnx", "fix", "a.onnx", "--data", "typed"]),
    ("modelprep lint net.onnx --for=armnn-19.11", ["lint", "net.onnx", "--for=armnn-19.11"]),
]


def furnish(folder: Path) -> None:
    here = folder / "here"
    (here / "deep" / "own").mkdir(parents=True)
    (here / "deep" / "own" / "thing.yaml").write_text("demo: [broken")
    (here / "deep" / "one two.yaml").touch()
    for name in ("mine.yaml", "minor.txt", "my.lock"):
        (here / name).touch()


def test_tab_completes_words_in_real_shells(desk: Desk, terminal: Terminal) -> None:
    furnish(desk.folder)
    got = []
    for typed, _ in WORDS:
        terminal.tab(typed)
        got.append((typed, terminal.enter()))
    assert got == WORDS


def bash(desk: Desk, line: str) -> list[str]:
    """Call the function that the script registered, as bash calls it."""
    words = [word for word in line.replace("=", " = ").replace("@", " @ ").split(" ") if word]
    if line.endswith(" "):
        words.append("")
    script = (
        'eval "$(modelprep completion bash)"\n'
        f"COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}; COMP_CWORD={len(words) - 1}\n"
        f"COMP_WORDS=({' '.join(repr(word) for word in words)})\n"
        "$(complete -p modelprep | sed 's/.*-F \\([^ ]*\\) .*/\\1/') modelprep\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    ran = subprocess.run(
        [program("bash"), "--norc", "-c", script], env=desk.environment(), cwd=desk.folder / "here",
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    return ran.stdout.split("\n")[:-1]


def fish(desk: Desk, line: str) -> list[str]:
    """Ask fish what it would offer."""
    ran = subprocess.run(
        [program("fish"), "--no-config", "-c", f"modelprep completion fish | source; complete -C {line!r}"],
        env=desk.environment(), cwd=desk.folder / "here", capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    return [row.partition("\t")[0] for row in ran.stdout.splitlines()]


@pytest.mark.parametrize("shell", [bash, fish])
def test_everything_that_fits_is_offered(desk: Desk, shell: object) -> None:
    assert callable(shell)
    both = {"armnn-onnx/mnist", "armnn-onnx/mobilenet"}
    assert set(shell(desk, "modelprep bundle armnn-onnx/m")) == both
    # What stands there already is not offered again.
    assert set(shell(desk, "modelprep bundle armnn-onnx/mnist armnn-onnx/m")) == both - {"armnn-onnx/mnist"}
    assert {"all", "acl", "armnn-tf"} <= set(shell(desk, "modelprep fetch "))
    assert {"--out", "--offline", "--json"} <= set(shell(desk, "modelprep fetch --"))
    assert set(shell(desk, "modelprep completion ")) == {"bash", "zsh", "fish"}


def test_zsh_lists_what_fits_with_remarks(desk: Desk) -> None:
    terminal = Terminal("zsh", desk)
    try:
        terminal.tab("modelprep fetch armnn-onnx/m", times=2)
        for text in ("armnn-onnx/mnist", "OnnxMnist-Armnn", "armnn-onnx/mobilenet", "OnnxMobileNet-Armnn"):
            assert text in terminal.seen
    finally:
        terminal.close()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_finds_nothing_wrong_with_its_script(desk: Desk, shell: str, repository: Path) -> None:
    name = {"bash": "modelprep.bash", "zsh": "_modelprep", "fish": "modelprep.fish"}[shell]
    script = repository / "modelprep" / "cli" / "completions" / name
    ran = subprocess.run(
        [program(shell), "-n", str(script)], env=desk.environment(), capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
