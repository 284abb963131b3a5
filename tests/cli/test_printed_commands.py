"""What a message names works as typed: with the options that the user gave, and the recipe as he gave it."""

from __future__ import annotations

import shlex

import pytest
from cli.conftest import Run
from cli.workshop import Ran, Workshop

from modelprep.api.again import given, repeat


def printed(ran: Ran) -> list[str]:
    """Return the options of every modelprep command that stderr names."""
    lines = [line.rpartition("modelprep ")[2] for line in ran.err.splitlines() if "modelprep fetch" in line]
    return [word for line in lines for word in shlex.split(line)]


BRING = """schema: 1
demo: Bring
summary: a thing
manual: '1.1'
status: bring-your-own
why: nobody gives it away
tree: Things
assets:
  model: {provide: true, summary: a model}
install: {models/m.bin: $model}
run: ./bring
"""


def test_the_command_for_a_file_of_one_s_own_repeats_where_things_are(workshop: Workshop, modelprep: Run) -> None:
    workshop.recipe("bring", BRING)
    ran = modelprep("fetch", "things/bring")
    assert ran.code == 8
    for option, value in (("--recipes", workshop.recipes), ("--out", workshop.out), ("--cache", workshop.cache)):
        words = printed(ran)
        assert words[words.index(option) + 1] == str(value)
    path = workshop.root / "mine.yaml"
    path.write_text(BRING)
    assert f"modelprep fetch {path} --set model=FILE" in modelprep("fetch", path).err


def test_a_delivery_of_a_demo_that_is_not_there_names_its_recipes(workshop: Workshop, modelprep: Run) -> None:
    workshop.simple("one", b"data")
    ran = modelprep("bundle", "things/one", "-o", workshop.root / "b.tar", "--recipes", workshop.recipes, "--out",
                    workshop.out, bare=True)  # fmt: skip
    assert ran.code == 2
    assert printed(ran)[-2:] == ["--recipes", str(workshop.recipes)]


@pytest.mark.parametrize(
    ("text", "typed", "wanted"),
    [
        ("modelprep fetch a", "check a --recipes=r --out o", "modelprep fetch a --recipes r --out o"),
        ("x: modelprep fetch a --out p", "check a --out o", "x: modelprep fetch a --out p"),
        ("modelprep fetch a@v", "check a --armnn 19.08 --mirror m", "modelprep fetch a@v --mirror m"),
        ("modelprep fetch a --soc imx93", "check a --bsp B", "modelprep fetch a --soc imx93"),
        ("modelprep bundle a", "fetch a --mirror m --cache c", "modelprep bundle a"),
        ("modelprep fetch a", "fetch a --recipes 'my recipes'", "modelprep fetch a --recipes 'my recipes'"),
        ("run it's", "fetch a --out o", "run it's"),
        ("modelprep fetch it's", "fetch a --out o", "modelprep fetch it's"),
        ("modelprep tf inspect g.pb", "tf freeze g.pb --out o", "modelprep tf inspect g.pb"),
    ],
)
def test_options_go_along_where_the_command_has_them(text: str, typed: str, wanted: str) -> None:
    assert repeat(text, given(["modelprep", *shlex.split(typed)])) == wanted
