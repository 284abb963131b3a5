"""The documents about the command line say what the command line does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from cli.conftest import Run
from cli.workshop import Workshop

from modelprep import errors
from modelprep.cli.commands import COMMANDS
from modelprep.pipeline.run.report import SEVERITY


def test_every_exit_code_is_documented(repository: Path) -> None:
    text = (repository / "docs" / "commands.md").read_text()
    table = text[text.index("## Exit statuses") :]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    raised = {each.exit_code for each in classes if issubclass(each, errors.ModelprepError)}
    assert documented == raised | {0} == set(SEVERITY)
    order = re.search(r"from harmless to severe: ([\d, \n]+)\.", table)
    assert order is not None
    assert tuple(int(code) for code in order[1].split(",")) == SEVERITY


def test_every_command_and_every_option_of_fetch_is_documented(repository: Path, modelprep: Run) -> None:
    text = (repository / "docs" / "commands.md").read_text()
    assert not [name for name in COMMANDS if f"`{name}" not in text]
    for command in (["fetch"], ["deploy"], ["bundle"], ["mirror"], ["export", "yocto"]):
        options = set(re.findall(r"--[a-z-]+", modelprep(*command, "--help", bare=True).out))
        assert options - set(re.findall(r"--[a-z-]+", text)) == set(), command


def test_the_example_of_events_is_json_and_every_kind_is_explained(
    repository: Path, workshop: Workshop, modelprep: Run
) -> None:
    text = (repository / "docs" / "events.md").read_text()
    block = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert block is not None
    example = [json.loads(line) for line in block[1].splitlines()]
    assert [example[0]["event"], example[-1]["event"]] == ["plan", "summary"]
    workshop.simple("good", b"x" * 100)
    workshop.simple("gone", b"y" * 100, urls=workshop.server.put("/gone", status=404))
    for event in modelprep("fetch", "things", "--json").events:
        assert f"`{event['event']}`" in text, event
        like = next((each for each in example if each["event"] == event["event"]), None)
        if like is not None and event["event"] in ("plan", "summary"):
            assert set(event) == set(like)


def test_the_version_has_a_short_option(modelprep: Run) -> None:
    long, short = modelprep("--version", bare=True), modelprep("-V", bare=True)
    assert long == short
    assert re.fullmatch(r"modelprep \d+\.\d+\.\d+\S*\n", long.out)


def test_help_names_every_command_that_is_there(modelprep: Run) -> None:
    ran = modelprep("--help", bare=True)
    assert ran.code == 0
    for name in ("fetch", "list", "show", "cache", "doctor"):
        assert re.search(rf"^  {name} +\S", ran.out, re.MULTILINE)
        assert modelprep(name, "--help", bare=True).code == 0
