"""The words of messages, help texts and docs: no old dialect; every command's help has the same form.

What is quoted from a board, names of events and files, options and keys of JSON are not wording.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

#: What is not written, as a regular expression: what is written instead.
NOT_WRITTEN = {
    r"to come: ": "to download: ",
    r"room in |no room for": "disk space",
    r"is no key of": "unknown key",
    r"\d fails\b": "1 failed",
    r"(as wanted|wanted as)\b": "as expected",
    r"\bheld to\b": "checked against",
    r"\bg(oes|one|oing) on with\b|\bbegun anew\b|\banew\b": "continues, resumed, again",
    r"\bbelieved\b": "used",
    r"\bTell whether\b": "Return whether",
    r"where it is none|where there is none": "if there is none",
    r"in a process of its own": "in a separate process",
    r"\bgoes over\b|\bgoes by\b": "covers, uses",
    r"\bseen by\b|on the board it\b": "runtime, result",
    r"compares nothing": "has no pass/fail criterion",
    r"\d findings? matter": "1 blocking problem",
    r"nobody publishes": "no published checksum",
    r"\bhere already\b(?<!there already)": "cached",
    r"replaced silently": "had local changes; saved as X.orig",
    r"goes on from there": "run the command again to resume",
    r"pinned by measured": "checksum computed by us",
    r"login's home": "the ssh user's home directory",
    r"is rotten|\brotten\b": "corrupt",
    r"silence that counts|death of": "read timeout, loss of",
    r"says no kind|no kind of archive": "unknown archive type",
    r"end the matter": "for a manual download",
    r"nothing good is lost": "safe to run again",
    r"out of the door|hangs? by": "delivery, depends on",
    r"without a word": "silently",
    r"at work with": "is using",
    r"yours to bring|\bbrings? nothing": "you must supply it",
    r"\ba mend\b|\bmends\b|\bcan(not)? be mended\b": "fix",
    r"\b(has|have) to be\b": "must be",
    r"\b(lies|lie) in\b": "is in",
    r"\bcannot be had\b|\bto be had\b": "is not available",
    r"\bmade of itself\b|\bof one's own\b": "own",
    r"\b(he|his|him)\b": "they, or the user",
    # The option, the recipe's key and the place of a finding ("initialiser w0") keep their names.
    r"(?<!--)(?<!`)\b[Ii]nitialis(?!ers: inputs|er $)|uninitialis": "initializer, initialize",
}
#: Generated from measurements or from other texts: what they are made from is read instead.
GENERATED = {"docs/boards.md", "docs/licences.md", "docs/performance.md", "docs/reliability.md"}


def texts(repository: Path) -> Iterator[tuple[str, str]]:
    """Yield where a text stands, and the text: every string and docstring, every page."""
    for folder in ("modelprep", "demo", "tools"):
        for path in sorted((repository / folder).rglob("*.py")):
            name = path.relative_to(repository).as_posix()
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                    yield f"{name}:{node.lineno}", node.value
    pages = [*(repository / "docs").rglob("*.md"), *repository.glob("*.md"), *(repository / "recipes").rglob("*.yaml")]
    for path in sorted(pages):
        name = path.relative_to(repository).as_posix()
        if name not in GENERATED and not name.startswith("docs/reference/"):
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                yield f"{name}:{number}", line


def test_no_text_uses_a_word_of_the_old_dialect(repository: Path) -> None:
    all_texts = list(texts(repository))
    assert len(all_texts) > 10_000
    found = [
        f"{where}: '{match.group()}': write '{instead}'"
        for words, instead in NOT_WRITTEN.items()
        for where, text in all_texts
        for match in re.finditer(words, text)
    ]
    assert not found, "\n".join(found)


def leaves(command: Any, path: tuple[str, ...], parent: Any = None) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name, command and context of each command that has no commands below it."""
    context = type(command).context_class(command, info_name=path[-1], parent=parent)
    if not hasattr(command, "list_commands"):
        yield " ".join(path), command, context
        return
    for name in command.list_commands(context):
        yield from leaves(command.get_command(context, name), (*path, name), context)


@pytest.fixture(scope="module")
def commands() -> dict[str, tuple[Any, Any]]:
    from modelprep.cli.commands import app

    return {name: rest for name, *rest in leaves(typer.main.get_command(app), ("modelprep",))}  # type: ignore[misc]


def test_every_command_has_examples(commands: dict[str, tuple[Any, Any]]) -> None:
    assert len(commands) > 40
    without = [name for name, (command, context) in commands.items() if "Example" not in command.get_help(context)]
    assert not without
    command, context = commands["modelprep fetch"]
    shown = command.get_help(context).partition("Example")[2].partition("Arguments")[0]
    assert len(re.findall(r"^\s*(?:│\s*)?modelprep fetch ", shown, re.MULTILINE)) == 3


def test_options_are_told_in_one_wording(commands: dict[str, tuple[Any, Any]]) -> None:
    for name, (command, context) in commands.items():
        for parameter in command.params:
            if getattr(parameter, "multiple", False):
                assert "may be given more than once" in parameter.help, (name, parameter.name)
            metavar = "" if getattr(parameter, "is_flag", False) else parameter.make_metavar(context)
            assert metavar == metavar.upper() or "|" in metavar, (name, parameter.name, metavar)


def test_every_command_is_verbose_on_request(commands: dict[str, tuple[Any, Any]]) -> None:
    from modelprep.cli.commands import app

    for name, (command, _) in commands.items():
        assert any({"-v", "--verbose"} <= set(parameter.opts) for parameter in command.params), name
    top = typer.main.get_command(app)
    assert any({"-V", "--version"} <= set(parameter.opts) for parameter in top.params)
