"""A step is a command by itself: what it is called and how it is read, its parameters say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from modelprep.api.converting import conversions
from modelprep.cli.commands import app
from modelprep.cli.conversions import conversion
from modelprep.errors import UsageError
from modelprep.steps import Call, Exempt, Param, Step

FAMILIES = ("caffe", "tf", "tflite", "onnx")


def command(path: str) -> Any:
    found: Any = typer.main.get_command(app)
    with found.make_context("modelprep", [], resilient_parsing=True) as context:
        for word in path.split():
            found = found.get_command(context, word)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_every_step_of_a_family_is_a_command_with_its_parameters(family: str) -> None:
    steps = conversions(family)
    assert steps
    for step in steps:
        made = command(step.name.replace(".", " ").replace("_", "-"))
        shown = [name for name, param in step.params.items() if param.option is not None]
        options = [each.name for each in made.params]
        assert options[: len(shown)] == shown
        assert {"json", "quiet", "verbose"} <= set(options)


def run(step: Step, *words: str) -> Mapping[str, object]:
    """Run a step's command with what works replaced by what remembers its parameters."""
    heard: dict[str, object] = {}

    def remember(output: object, step: Step, params: dict[str, object]) -> None:
        heard.update(params)

    own = typer.Typer()
    own.command()(conversion(step, remember))
    typer.main.get_command(own).main(args=list(words), standalone_mode=False)
    return heard


def step_of(**params: Param) -> Step:
    return Step("test.step", 1, "does nothing", params, lambda call: None, proof=Exempt("it makes nothing"))


def test_words_become_the_parameters_that_a_step_takes(tmp_path: Path) -> None:
    step = step_of(
        model=Param("file", "the model", required=True),
        more=Param("files", "further files"),
        names=Param("strs", "names", option="--name -n"),
        number=Param("int", "a number", default=3, least=1),
        factor=Param("float", "a factor"),
        quick=Param("bool", "be quick", default=False),
        tidy=Param("bool", "tidy up", default=True, option="--untidy"),
        fold=Param("bool", "fold or not"),
        form=Param("str", "the form", default="binary", choices=("binary", "text"), option="--text"),
        mode=Param("str", "the mode", choices=("a", "b")),
        sizes=Param("map", "sizes", read=int),
        values=Param("map", "values of any kind"),
        hidden=Param("str", "nobody types it", option=None),
    )
    assert run(step, "in.bin") == {"model": Path("in.bin"), "number": 3, "quick": False, "tidy": True}
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a").touch()
    words = "in.bin --more x/b --name one -n two --number 5 --factor 0.5 --quick --untidy --no-fold --text --mode b"
    given = run(step, *words.split(), "--more", str(folder), "--sizes", "a=b=2", "--values", "n[k=1].x=[1, {y: true}]")
    assert given == {
        "model": Path("in.bin"), "more": {"b": Path("x/b"), "a": folder / "a"}, "names": ["one", "two"], "number": 5,
        "factor": 0.5, "quick": True, "tidy": False, "fold": False, "form": "text", "mode": "b", "sizes": {"a=b": 2},
        "values": {"n[k=1].x": [1, {"y": True}]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sizes", "a"], "--sizes takes NAME=VALUE"),
        (["--sizes", "=1"], "--sizes takes NAME=VALUE"),
        (["--sizes", "a=x"], "--sizes takes"),
        (["--sizes", "a=1", "--sizes", "a=2"], "'a' occurs twice in --sizes"),
        (["--mode", "c"], "--mode takes one of a few values"),
    ],
)
def test_a_word_that_cannot_be_is_a_wrong_call(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    step = step_of(mode=Param("str", "the mode", choices=("a", "b")), sizes=Param("map", "sizes", read=int))
    own = typer.Typer()
    own.command()(conversion(step))
    status = typer.main.get_command(own).main(args=[*words, "-o", "x"], standalone_mode=False)
    assert status == UsageError.exit_code
    assert message in capsys.readouterr().err


def test_a_step_that_wants_what_no_line_can_hold_is_no_command() -> None:
    assert "caffe.from_tf" not in [step.name for step in conversions("caffe")]
    assert Call({}, Path("x")).params == {}
