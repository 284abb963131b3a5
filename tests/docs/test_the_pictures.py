"""The pictures of the README: what is committed, and the script that records them."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def pictures() -> Any:
    spec = importlib.util.spec_from_file_location("make_pictures", DOCS / "make_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(svg: str) -> list[list[str]]:
    """Give the texts of each frame."""
    root = ElementTree.fromstring(svg)
    rows = {row.get("id"): [text.text or "" for text in row] for row in root.find(f"{SVG}defs") or ()}
    film = next(each for each in root.iter(f"{SVG}g") if each.get("id") == "film")
    return [[word for use in frame for word in rows[(use.get("href") or "")[1:]]] for frame in film]


def test_the_readme_shows_both_pictures_and_they_are_small() -> None:
    readme = (DOCS.parent / "README.md").read_text("utf-8")
    named = re.findall(r"!\[[^]]+\]\(docs/pictures/([^)]+)\)", readme)
    assert named == ["fetch.svg", "report.png"]
    assert all(0 < (DOCS / "pictures" / name).stat().st_size < 150_000 for name in named)


def test_the_recording_needs_nothing_from_outside_and_ends_with_the_verdict() -> None:
    svg = (DOCS / "pictures" / "fetch.svg").read_text("utf-8")
    assert not re.search(r"<script|@import|@font-face|<image|url\(|href=\"[^#]", svg)
    last = shown(svg)[-1]
    assert "will fail" in last
    assert "will pass" in last


def test_a_recording_shows_what_a_program_wrote_to_a_terminal_of_80_columns(pictures: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyte", reason="pyte is not installed; `make test` installs it")
    program = (
        "import os; print(os.get_terminal_size()); print('\\x1b[1;31m<b>&\\x1b[0m  far   away'); print('one\\rtwo')"
    )
    recorder = pictures.Recorder()
    recorder.type("ls")
    recorder.run([sys.executable, "-c", program], folder=tmp_path, environment={"TERM": "xterm"})
    svg = pictures.svg(recorder.frames, 'a "title" & more')
    frames = shown(svg)
    assert frames[-1] == ["$", "ls", "os.terminal_size(columns=80, lines=24)", "<b>&", "far", "away", "two"]
    assert frames[0] == ["$"]
    assert len(recorder.frames) == len(frames) == svg.count("translateX(")
    bold = next(each for each in ElementTree.fromstring(svg).iter(f"{SVG}text") if each.text == "<b>&")
    assert (bold.get("class"), bold.get("fill")) == ("b", pictures.COLOURS["red"])
