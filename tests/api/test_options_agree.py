"""Whoever knows the command knows the function: the same names and the same defaults, and where not, why not."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from cli.workshop import Workshop

import modelprep
from modelprep.cli.commands import app

#: Verb -> the command that it is.
COMMANDS = {
    "audit": "audit",
    "bundle": "bundle",
    "cache_key": "cache key",
    "check": "check",
    "count_hosts": "audit",
    "deploy": "deploy",
    "deploy_many": "deploy",
    "export_lava": "export lava",
    "export_yocto": "export yocto",
    "fetch": "fetch",
    "find_pictures": "check",
    "inspect": "inspect",
    "lint": "lint",
    "list_demos": "list",
    "mirror": "mirror",
    "plan": "fetch",
    "plan_deploy": "deploy",
    "show": "show",
    "update_recipes": "recipe update",
    "verify_mirror": "mirror",
}
#: A verb that is one option of a command takes only what has a meaning then.
PART_OF = {
    "count_hosts": {"targets", "out", "lockfile", "recipes"},
    "deploy": {"targets", "out", "ssh", "run", "compute", "timeout", "junit", "retries", "bsp", "soc", "recipes"},
    "find_pictures": {"targets", "out", "armnn", "bsp", "soc", "recipes"},
    "plan_deploy": {"targets", "out", "ssh", "bsp", "soc", "recipes"},
    "verify_mirror": set(),
}
#: Verbs without a command, and why.
WITHOUT = {
    "catalogue": "what --recipes opens; its names are shown by list and show",
    "convert": "every conversion in one; each command has options of its own for its step's parameters",
    "read_boards": "reads the file of an option",
    "run": "a plan is printed by the command line and never kept",
}
#: Options that no verb has, and why.
LEFT_OUT = {
    "--json": "results are typed and events come to a listener",
    "--quiet": "a function prints nothing",
    "--verbose": "a function prints nothing",
    "--dry-run": "plan and plan_deploy are verbs of their own",
    "mirror --verify": "verify_mirror is a verb of its own",
    "--also": "the boards of deploy_many are an argument",
    "--boards": "read_boards is a verb of its own",
    "--hosts": "count_hosts is a verb of its own",
    "--find-picture": "find_pictures is a verb of its own",
    "--each": "says what is printed of the keys, which --json and pipeline.inventory hold too",
    "--all": "says what is printed of a report, which always holds all",
}
#: Options that are called otherwise in Python, and why.
RENAMED = {
    "--set": ("overrides", "set is a builtin, and a mapping is no list of NAME=PATH"),
    "--no-archives": ("archives", "a flag that takes away is a value that is true by default"),
    "--for": ("target", "for is a keyword"),
    "--mirror": ("mirrors", "may be given more than once"),
    "lint --output": ("outputs", "may be given more than once"),
}
#: Parameters that the command line has otherwise, and why.
ADDED = {
    "listen": "the command line draws bars or prints events",
    "folder": "the last word of the command's arguments, or the value of its option",
    "board": "the last word of the command's arguments",
    "boards": "the last word of the command's arguments, and what --also and --boards name",
    "format": "caffe inspect, tf inspect and the others name it",
    "dry_run": "of several boards, each one's outcome holds its plan",
}


def click_command(path: str) -> Any:
    found: Any = typer.main.get_command(app)
    with found.make_context("modelprep", [], resilient_parsing=True) as context:
        for word in path.split():
            found = found.get_command(context, word)
            assert found is not None, path
    return found


@dataclass(frozen=True)
class Pair:
    verb: str
    option: Any
    name: str
    "what the function should call it"

    def __str__(self) -> str:
        return f"{self.verb}-{self.name}"


def name_of(verb: str, option: Any) -> str | None:
    """Say what a verb should call an option; None where it has none."""
    if option.param_type_name == "argument":
        return str(option.name)
    long = max(option.opts, key=len)
    if long in LEFT_OUT or f"{COMMANDS[verb]} {long}" in LEFT_OUT or long == "--help":
        return None
    for key in (f"{verb} {long}", long):
        if key in RENAMED:
            return RENAMED[key][0]
    return str(long.removeprefix("--").replace("-", "_"))


def pairs() -> Iterator[Pair]:
    for verb, path in COMMANDS.items():
        for option in click_command(path).params:
            name = name_of(verb, option)
            if name is not None and (verb not in PART_OF or name in PART_OF[verb]):
                yield Pair(verb, option, name)


ALL = list(pairs())


def same(option: Any) -> object:
    """Return an option's default as a function would have it."""
    default = option.default
    if "--no-archives" in option.opts and not option.secondary_opts:
        return not default
    if option.param_type_name == "argument" and option.required:
        return inspect.Parameter.empty
    if option.required:
        return inspect.Parameter.empty
    if (option.multiple or option.nargs == -1) and not default:
        return ()
    return str(default) if isinstance(default, Path) else default


@pytest.mark.parametrize("pair", ALL, ids=str)
def test_an_option_is_a_parameter_of_the_same_name_and_default(pair: Pair) -> None:
    parameters = inspect.signature(getattr(modelprep.api, pair.verb)).parameters
    assert pair.name in parameters
    given = parameters[pair.name]
    if pair.name == "overrides":
        assert given.default is None
    else:
        assert given.default == same(pair.option)
        assert type(given.default) is type(same(pair.option))
    # What has a default is named by the caller; only targets, places and the model may come by their position.
    positional = given.kind is not inspect.Parameter.KEYWORD_ONLY
    assert positional == (pair.option.param_type_name == "argument" or (pair.verb, pair.name) == ("bundle", "output"))


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_parameter_is_an_option_or_said_why_not(verb: str) -> None:
    known = {pair.name for pair in ALL if pair.verb == verb}
    assert set(inspect.signature(getattr(modelprep.api, verb)).parameters) - known <= set(ADDED)


def test_every_verb_has_its_command_or_a_reason() -> None:
    verbs = {name for names in modelprep.api.HOMES.values() for name in names}
    assert {name for name in modelprep.__all__ if inspect.isfunction(getattr(modelprep, name))} <= verbs
    assert verbs == set(COMMANDS) | set(WITHOUT)


def test_every_exception_is_needed() -> None:
    options = {
        word for path in COMMANDS.values() for option in click_command(path).params for word in option.opts
    }  # fmt: skip
    assert {key.rpartition(" ")[2] for key in LEFT_OUT} <= options
    assert {key.rpartition(" ")[2] for key in RENAMED} <= options
    parameters = {name for verb in COMMANDS for name in inspect.signature(getattr(modelprep.api, verb)).parameters}
    assert set(ADDED) <= parameters
    for verb, names in PART_OF.items():
        assert names == {pair.name for pair in ALL if pair.verb == verb}


@pytest.mark.parametrize("pair", [p for p in ALL if hasattr(p.option.type, "min")], ids=str)
def test_a_number_out_of_bounds_is_refused_as_the_command_line_refuses_it(workshop: Workshop, pair: Pair) -> None:
    workshop.simple("a", b"x")
    verb = getattr(modelprep.api, pair.verb)
    bounds = pair.option.type
    wrong = [bounds.min - 1] + ([bounds.max + 1] if bounds.max is not None else [])
    assert len(wrong) == (1 if pair.name == "iterations" else 2)
    place = {"mirror": ("folder",), "deploy": ("root@x",), "deploy_many": ("root@x",)}.get(pair.verb, ())
    here = {"recipes": workshop.recipes, "out": workshop.out}
    for value in wrong:
        with pytest.raises(modelprep.errors.UsageError, match=rf"^{pair.name} ") as caught:
            verb("things", *place, **here, **{pair.name: value})
        assert caught.value.got == str(value)
    for value in {bounds.min, bounds.max} - {None}:
        # At the bound it is taken; what goes wrong then is that there is no such target.
        with pytest.raises(modelprep.errors.UsageError, match="unknown target"):
            verb("thinks", *place, **here, **{pair.name: value})


def test_what_is_no_number_is_refused(workshop: Workshop) -> None:
    with pytest.raises(modelprep.errors.UsageError, match="pause"):
        modelprep.audit(recipes=workshop.recipes, pause=float("nan"))
