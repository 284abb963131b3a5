"""The man page knows every command, option and variable, and is sound roff."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from cli.workshop import REPOSITORY

from modelprep.cli.commands import COMMANDS, app

PAGE = REPOSITORY / "docs" / "man" / "modelprep.1"


@pytest.fixture(scope="module")
def make_man() -> Any:
    spec = importlib.util.spec_from_file_location("make_man", REPOSITORY / "docs" / "make_man.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands() -> Iterator[tuple[str, Any]]:
    group = typer.main.get_command(app)
    for name in COMMANDS:
        command = group.get_command(typer.Context(group), name)  # type: ignore[attr-defined]
        if hasattr(command, "list_commands"):
            context = typer.Context(command)
            for each in command.list_commands(context):
                yield f"{name} {each}", command.get_command(context, each)
        else:
            yield name, command


def sections() -> dict[str, str]:
    """Return the text of each command's section, as a reader sees it."""
    text = PAGE.read_text().replace("\\-", "-").replace("\\fB", "").replace("\\fI", "").replace("\\fR", "")
    return {part.partition("\n")[0]: part for part in re.split(r"^\.SS ", text, flags=re.MULTILINE)[1:]}


def test_the_page_is_what_the_commands_say_now(make_man: Any) -> None:
    assert PAGE.read_text() == make_man.render(), "out of date: run make man"


def test_every_command_and_every_option_has_its_place() -> None:
    found = sections()
    told = dict(commands())
    assert list(found) == list(told)
    for name, command in told.items():
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                if option not in ("--help", "-h"):
                    assert re.search(rf"^(.*, )?{re.escape(option)}\b", found[name], re.MULTILINE), (name, option)


def test_every_variable_that_is_read_is_explained() -> None:
    page = PAGE.read_text()
    for path in (REPOSITORY / "modelprep").rglob("*.py"):
        for name in re.findall(r"\bMODELPREP_[A-Z]+\b", path.read_text()):
            # MODELPREP_DIR is a variable of BitBake's, in the recipes that export writes.
            assert name in page or name == "MODELPREP_DIR", f"{path.name} reads {name}"


def test_a_text_that_looks_like_roff_stays_text(make_man: Any) -> None:
    assert make_man.escaped(".sh \\fB -x") == "\\&.sh \\efB \\-x"
    assert make_man.escaped("'quoted'") == "\\&'quoted'"


@pytest.mark.parametrize(
    "checker", [["mandoc", "-T", "lint", "-W", "warning"], ["groff", "-man", "-ww", "-Tutf8", "-z"]], ids=lambda c: c[0]
)
def test_it_is_sound(checker: list[str]) -> None:
    if shutil.which(checker[0]) is None:
        pytest.skip(f"{checker[0]} is not installed here")
    told = subprocess.run([*checker, str(PAGE)], capture_output=True, text=True, check=False)
    # A date that is no date of a release would only go stale.
    assert [line for line in (told.stdout + told.stderr).splitlines() if "missing date" not in line] == []
