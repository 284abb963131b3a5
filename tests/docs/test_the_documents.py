"""What the documents show can be typed, what they link to is there, what is made from the recipes is up to date."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from modelprep.audit.verdicts import VERDICTS
from modelprep.errors import MissingTool
from modelprep.recipe.catalogue import Catalogue, shipped_folder

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")])
#: Arguments that stand for what the reader has.
PLACEHOLDER = re.compile(r"^\.{3}$|^\[.*\]$|^[A-Z_]+$|^[A-Z_]+\.\.\.$")


def name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def commands(text: str) -> Iterator[str]:
    """Yield every command line that begins with ``modelprep``: in blocks, and in code within sentences.

    In an indented or fenced block a remark may follow after two blanks; a comment follows a ``#``.
    """
    text = text.replace("\\\n", " ")
    fenced = False
    for line in text.splitlines():
        fenced = fenced != line.startswith("```")
        match = re.match(r"^(\s*\$ |\s{4,}|)(modelprep [a-z].*)$", line)
        if match is not None and (match[1] or fenced):
            yield re.split(r"\s{2,}| #", match[2])[0].strip()
    blocks = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", blocks):
        words = " ".join(code.split())
        if re.match(r"modelprep [a-z]", words):
            yield words


def in_workflow(text: str) -> Iterator[str]:
    """Yield the command lines of a GitHub workflow."""
    yield from re.findall(r"(?:^\s+(?:run: )?|\$\()(modelprep [a-z][^)\n]*)", text, re.MULTILINE)


WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
ALL = sorted({(name(page), line) for page in PAGES for line in commands(page.read_text("utf-8"))})
ALL += [(name(each), line) for each in WORKFLOWS for line in in_workflow(each.read_text("utf-8"))]


@pytest.fixture(scope="module")
def top() -> Any:
    from modelprep.cli.commands import app

    return typer.main.get_command(app)


def parse(top: Any, line: str) -> tuple[str, list[str]]:
    """Find the command that a line calls, and hold its options to those that the command has; give its targets."""
    # Square brackets around an option say that it may be left out.
    line = re.sub(r"\[(--?[^\]]*)\]", r"\1", line)
    words = shlex.split(line.partition("|")[0].partition(">")[0])[1:]
    command, path = top, "modelprep"
    with top.make_context("modelprep", [], resilient_parsing=True) as context:
        while words and hasattr(command, "get_command"):
            found = command.get_command(context, words[0])
            assert found is not None, f"there is no '{path} {words[0]}'"
            path, command = f"{path} {words.pop(0)}", found
    parameters = {option: p for p in command.params for option in (*p.opts, *p.secondary_opts)}
    rest = []
    while words:
        word = words.pop(0)
        if word in ("--help", "-h"):
            continue
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        option, equals, _ = word.partition("=")
        assert option in parameters, f"unknown option '{option}' of '{path}'"
        if not equals and not parameters[option].is_flag and words:
            words.pop(0)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    assert not rest or arguments, f"'{path}' takes no arguments"
    assert any(p.nargs == -1 for p in arguments) or len(rest) <= len(arguments), f"'{path}' takes fewer arguments"
    return path, rest


def test_the_documents_show_commands() -> None:
    assert len(ALL) > 60
    assert len({page for page, _ in ALL}) > 15
    assert len([page for page, _ in ALL if page.endswith(".yml")]) >= 5


@pytest.mark.parametrize(("page", "line"), ALL)
def test_a_command_of_the_documents_is_one(top: Any, page: str, line: str) -> None:
    try:
        parse(top, line)
    except MissingTool as error:  # a step of docs/examples
        pytest.skip(str(error.what))


def test_the_examples_of_help_texts_are_commands(top: Any) -> None:
    seen: dict[str, int] = {}
    with top.make_context("modelprep", [], resilient_parsing=True) as context:
        found = [(name, top.get_command(context, name)) for name in top.list_commands(context)]
        found += [
            (f"{name} {below}", one.get_command(context, below))
            for name, one in found
            if hasattr(one, "list_commands")
            for below in one.list_commands(context)
        ]
    for name, command in found:
        _, _, examples = (command.help or "").partition("Examples:\n")
        for line in examples.splitlines():
            path, _ = parse(top, re.split(r" {2,}", line.strip())[0])
            assert path == f"modelprep {name}"
            seen[name] = seen.get(name, 0) + 1
    assert seen["fetch"] == 3
    assert len(seen) > 12


def test_the_targets_of_the_demo_pages_are_targets(top: Any) -> None:
    catalogue = Catalogue([shipped_folder()])
    seen = 0
    for page, line in ALL:
        if not page.startswith(("docs/demos/", "docs/dead-links")):
            continue
        path, rest = parse(top, line)
        if path.rpartition(" ")[2] not in ("fetch", "check", "deploy", "show", "audit", "list"):
            continue
        for target in rest[:1]:
            if not PLACEHOLDER.match(target):
                assert catalogue.resolve([target]), (page, line)
                seen += 1
    assert seen > 15


def test_every_recipe_has_its_place_on_a_page_and_no_page_names_another() -> None:
    catalogue = Catalogue([shipped_folder()])
    text = "".join(page.read_text("utf-8") for page in PAGES if page.parent.name == "demos")
    groups = "|".join(catalogue.groups())
    named = set(re.findall(rf"`((?:{groups})/[a-z0-9-]+)[`@]", text))
    named |= {
        line_name for line_name in re.findall(rf"\b((?:{groups})/[a-z0-9-]+)", text) if line_name in catalogue.names()
    }
    assert named - set(catalogue.names()) == set()
    # Tests that came with a later Arm NN are no demos of the manual.
    manual = {each for each in catalogue.names() if catalogue.recipe(each).manual}
    assert manual - named == set()


def test_a_command_that_does_not_exist_would_be_seen(top: Any) -> None:
    for wrong in (
        "modelprep fetsch all",
        "modelprep fetch all --nonsense",
        "modelprep tf thaw x",
        "modelprep doctor all",
    ):
        with pytest.raises(AssertionError):
            parse(top, wrong)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{target.name} has no heading #{anchor}"


def test_every_page_is_in_the_contents_of_the_site() -> None:
    docs = REPOSITORY / "docs"
    listed = {docs / "index.md"}
    for page in docs.rglob("*.md"):
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
            for line in filter(None, (line.strip() for line in block.splitlines() if line[:1] != ":")):
                listed.update(page.parent.glob(f"{line}.md"))
    pages = {page for page in docs.rglob("*.md") if page.relative_to(docs).parts[0] not in ("examples", "man")}
    assert sorted(map(name, pages - listed)) == []


def test_the_page_of_licences_is_what_the_recipes_say() -> None:
    path = REPOSITORY / "docs" / "make_licences.py"
    spec = importlib.util.spec_from_file_location("make_licences", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (REPOSITORY / "docs" / "licences.md").read_text("utf-8")
    assert text == module.render(), "out of date: run python docs/make_licences.py"
    assert len(text.splitlines()) > 70


def test_the_verdicts_of_the_audit_are_documented_worst_first() -> None:
    text = (REPOSITORY / "docs" / "dead-links.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE) == list(VERDICTS.items())


def test_the_table_of_layers_is_what_the_converter_does(repository: Path) -> None:
    path = repository / "docs" / "make_layers.py"
    spec = importlib.util.spec_from_file_location("make_layers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text("utf-8") == module.render(), "out of date: run python docs/make_layers.py"


def test_the_reference_is_what_the_code_says(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(repository / "docs" / "make_reference.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_site_is_built_without_a_dead_link(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="Sphinx is not installed here (make docs installs it)")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(repository / "docs")]
    places = ["-d", str(tmp_path / "trees"), str(tmp_path / "site")]
    done = subprocess.run([*command, *places], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "reference" / "python.html").read_text("utf-8")
    assert "modelprep.fetch" in page
    # Nothing is loaded from elsewhere: the site works without a network.
    for made in (tmp_path / "site").rglob("*.html"):
        found = re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=["'](https?://[^"']+)""", made.read_text("utf-8"))
        assert not found, (made.name, found)
