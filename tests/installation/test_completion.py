"""Completion in real shells: what a user sees who presses Tab."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from installation.installed import Installed

Complete = Callable[[str], list[str]]

# zsh completes only on a terminal, which zpty makes. What its completion adds is written to a file on the way, since a
# terminal shows it in columns, or not at all where it could be put into the line.
ZSH_SETUP = r"""
autoload -Uz compinit; compinit -u -D
source ./completion
compadd() {
  local -a offered
  builtin compadd -O offered "$@"
  print -rl -- $offered >> ./offered
  builtin compadd "$@"
}
finish() { : >> ./offered; mv ./offered ./finished }
comppostfuncs=(finish)
bindkey '^I' complete-word
print READY
"""
ZSH = r"""
zmodload zsh/zpty zsh/zselect
rm -f finished
zpty shell 'zsh -f -i'
zpty -w shell 'source ./setup'
zpty -r shell ready '*READY*'
zpty -n -w shell %s$'\t'
for (( waited = 0; waited < 300; waited++ )); do
  # What the terminal says must be read, or the shell in it stops.
  while zpty -r -t shell said; do :; done
  [[ -e finished ]] && break
  zselect -t 10
done
cat finished
"""


@cache
def script_for(installed: Installed, shell: str) -> str:
    made = installed.run(cwd=installed.folder, _MODELPREP_COMPLETE=f"source_{shell}")
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.fixture(params=["bash", *(pytest.param(shell, marks=pytest.mark.slow) for shell in ("zsh", "fish"))])
def complete(request: pytest.FixtureRequest, installed: Installed, tmp_path: Path) -> Complete:
    """Return a function from a command line to what the shell offers for its last word."""
    shell = str(request.param)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    (tmp_path / "completion").write_text(script_for(installed, shell))

    def run(script: str) -> str:
        ran = subprocess.run(
            [shell, *(["--norc"] if shell == "bash" else ["-f"] if shell == "zsh" else ["--no-config"]), "-c", script],
            cwd=tmp_path, env=installed.environment(TERM="dumb"), capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert "rror" not in ran.stderr, ran.stderr
        return ran.stdout

    def bash(line: str) -> list[str]:
        words = line.split(" ")
        script = (
            "source ./completion\n"
            f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}\n"
            "_modelprep_completion modelprep\n"
            'printf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        return run(script).split()

    def zsh(line: str) -> list[str]:
        (tmp_path / "setup").write_text(ZSH_SETUP)
        return run(ZSH % shlex.quote(line)).split()

    def fish(line: str) -> list[str]:
        offered = run(f"source ./completion\ncomplete -C {line!r}")
        return [row.partition("\t")[0] for row in offered.splitlines()]

    return {"bash": bash, "zsh": zsh, "fish": fish}[shell]


@pytest.mark.parametrize(
    "command",
    ["fetch", "list", "show", "check", "deploy", "bundle", "mirror", "export yocto", "audit", "cache key", "cache gc"],
)
def test_targets_are_offered_wherever_a_target_is_taken(complete: Complete, command: str) -> None:
    assert set(complete(f"modelprep {command} armnn-tf/m")) == {"armnn-tf/mnist", "armnn-tf/mobilenet"}


def test_groups_come_with_their_recipes(complete: Complete) -> None:
    assert {"armnn-onnx", "armnn-onnx/mnist", "armnn-onnx/mobilenet"} == set(complete("modelprep fetch armnn-on"))


def test_a_demo_is_found_by_its_own_name(complete: Complete) -> None:
    assert set(complete("modelprep show CaffeM")) == {"CaffeMnist-Armnn"}


def test_the_variants_of_a_recipe_are_offered(complete: Complete) -> None:
    if complete.__name__ == "bash":
        pytest.skip("bash ends a word at @ (COMP_WORDBREAKS), so that typer sees no target before it")
    assert "armnn-tf/inception-v3@frozen" in complete("modelprep fetch armnn-tf/inception-v3@")


def test_commands_and_options_are_offered(complete: Complete) -> None:
    assert {"check", "caffe", "cache"} <= set(complete("modelprep c"))
    assert set(complete("modelprep fetch --off")) == {"--offline"}


def test_recipes_of_ones_own_are_offered_too(complete: Complete, tmp_path: Path) -> None:
    (tmp_path / "mine" / "boards").mkdir(parents=True)
    (tmp_path / "mine" / "boards" / "zebra.yaml").write_text("broken: [")
    offered = complete(f"modelprep fetch --recipes {tmp_path / 'mine'} boards/z")
    assert set(offered) == {"boards/zebra"}
