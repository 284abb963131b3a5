"""A line that is read without typer is read as typer reads it; typer sees every other."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelprep.cli import commands, frame, plain
from modelprep.cli.parameters import PRINTING
from modelprep.errors import ModelprepError

#: Commands that are one function.
NAMES = [name for name in plain.COMMANDS if hasattr(import_module(f"modelprep.cli.{name}"), "command")]
VALUES = [
    "all",
    "armnn-tf",
    "out",
    "1",
    "07",
    "-1",
    "65",
    "1.5",
    "-",
    "--",
    "",
    "x=y",
    "é",
    "a b",
    "-n",
    "/nowhere/at-all",
]
Read = tuple[Any, tuple[str, ...], Mapping[str, Any], Mapping[str, Any]]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODELPREP_CACHE", "MODELPREP_ALLOW_PRIVATE", "MODELPREP_REMOTE_CACHE", "MODELPREP_SSH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Read]:
    """What was read of a line, in place of the work."""
    found: list[Read] = []

    def perform(run: Any, words: Any, given: Mapping[str, Any], **printing: bool) -> int:
        found.append((run, tuple(words), dict(given), printing))
        return 0

    monkeypatch.setattr(frame, "perform", perform)
    return found


def read_both(words: list[str], reads: list[Read]) -> tuple[Read | None, Read | None]:
    reads.clear()
    ours = reads.pop() if plain.run(words) is not None else None
    try:
        commands.run(words)
    except ModelprepError:
        return ours, None
    return ours, reads.pop() if reads else None


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    name = draw(st.sampled_from(NAMES))
    parameters = [*import_module(f"modelprep.cli.{name}").command.parameters, *PRINTING]
    flags = [flag for each in parameters for flag in getattr(each.declaration, "flags", "").replace("/", " ").split()]
    flags += [f"--{each.name.replace('_', '-')}" for each in parameters]
    word = st.one_of(
        st.sampled_from(flags),
        st.sampled_from(VALUES),
        st.tuples(st.sampled_from(flags), st.sampled_from(VALUES)).map("=".join),
        st.tuples(st.sampled_from(flags), st.sampled_from(VALUES)).map("".join),
    )
    return [name, *draw(st.lists(word, max_size=6))]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(words=lines())
def test_whatever_is_read_plainly_is_read_alike_by_typer(words: list[str], reads: list[Read]) -> None:
    ours, theirs = read_both(words, reads)
    assert ours is None or ours == theirs


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "armnn-tf", "--json", "--out", "x", "--recipes", "a", "--recipes=b"],
        ["fetch", "all", "-n", "--jobs", "8", "--no-archives", "--allow-private", "--set", "a=b", "--", "-x"],
        ["show", "armnn-tf/mnist", "-v"],
        ["check", "all", "-i", "3", "--find-picture", "photos"],
        ["lint", "model.tflite", "--all", "--for", "ethos-u"],
        ["bundle", "all", "-o", "models.tar.gz"],
        ["deploy", "all", "root@board", "--also", "x", "--boards", "farm.txt", "-n"],
        ["inspect", "net.prototxt", "--weights", "net.caffemodel"],
        ["steps"],
        ["doctor"],
    ],
)
def test_a_line_that_is_plainly_right_needs_no_typer(words: list[str], reads: list[Read]) -> None:
    ours, theirs = read_both(words, reads)
    assert ours is not None
    assert ours == theirs


@pytest.mark.parametrize("value", ["", "elsewhere"])
def test_the_environment_is_read_alike(value: str, reads: list[Read], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPREP_CACHE", value)
    ours, theirs = read_both(["list"], reads)
    assert ours is not None
    assert ours == theirs
    assert ours[2]["cache"] == (Path(value) if value else None)
    assert read_both(["list", "--cache", "here"], reads)[0] is not None
    monkeypatch.setenv("MODELPREP_ALLOW_PRIVATE", "1")  # what words it may be is typer's to know
    assert read_both(["fetch", "all"], reads)[0] is None


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["list", "-h"], ["lits"], ["list", "--nope"], ["fetch"], ["fetch", "all", "--jobs", "65"]]
)
def test_help_and_mistakes_are_typers(words: list[str], reads: list[Read]) -> None:
    assert read_both(words, reads)[0] is None


def test_completion_is_typers(reads: list[Read], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MODELPREP_COMPLETE", "complete_bash")
    assert plain.run(["list"]) is None
