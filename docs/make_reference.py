"""Write docs/reference/*.md from the code: ``python docs/make_reference.py``; ``--check`` only compares.

Options come from the parsers that read the command line, steps from their own parameters, recipe keys from the exported
JSON Schema, rules from the table that lint reads. Nothing is said here that the program does not know.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import make_man
import typer

import modelprep
from modelprep import steps
from modelprep.cli.commands import COMMANDS, app
from modelprep.recipe.jsonschema import recipe_schema
from modelprep.steps._plugins import plugins
from modelprep.targets.armnn_rules import rules

FOLDER = Path(__file__).resolve().parent / "reference"
MADE = "<!-- Made by docs/make_reference.py from the code: change that, then run `make reference`. -->\n"


def cell(text: object) -> str:
    """Write text as the cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def code(text: object) -> str:
    """Write text as code in the cell of a table."""
    return f"`{cell(text)}`" if str(text) else ""


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    """Write a table; nothing for no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |", *lines]) + "\n\n"


# -- commands ------------------------------------------------------------------------------------------------------


def options() -> str:
    """Every command with its arguments, options and their defaults."""
    text = "# Commands and options\n\nWhat `modelprep COMMAND --help` prints, on one page.\n\n"
    group = typer.main.get_command(app)
    context = typer.Context(group)
    for name in COMMANDS:
        text += "".join(_command(name, group.get_command(context, name)))  # type: ignore[attr-defined]
    return text


def _command(path: str, command: Any) -> Iterator[str]:
    below = getattr(command, "commands", None)
    if below:
        for name, one in below.items():
            yield from _command(f"{path} {name}", one)
        return
    parameters = [one for one in command.params if not getattr(one, "hidden", False) and one.name != "help"]
    arguments = [make_man.metavar(one) for one in parameters if make_man.is_argument(one)]
    yield f"## {' '.join(['modelprep', path, *arguments])}\n\n"
    for part in (command.help or "").strip().split("\n\n"):
        if part.startswith("\b"):
            yield "```text\n" + part.lstrip("\b\n") + "\n```\n\n"
        else:
            yield " ".join(part.split()).replace("<", "&lt;") + "\n\n"
    yield table(("option", "", "default"), [_option(one) for one in parameters if not make_man.is_argument(one)])


def _option(one: Any) -> tuple[str, ...]:
    value = "" if one.is_flag or one.count else f" {make_man.metavar(one)}"
    names = ", ".join(code(name + value) for name in (*sorted(one.opts, key=len), *one.secondary_opts))
    default = one.default
    shown = isinstance(default, str | int | float | Path) and not isinstance(default, bool) and default != ""
    variable = f" Also `{one.envvar}`." if isinstance(one.envvar, str) else ""
    return names, cell((one.help or "") + variable), code(default) if shown else ""


# -- steps, keys, rules, variables ---------------------------------------------------------------------------------


def step_page() -> str:
    """Every step with its parameters."""
    text = "# Steps\n\n`modelprep steps NAME` prints one of these; a plug-in's steps are listed there too. "
    text += "A step with the extra named behind it needs that extra installed.\n\n"
    foreign = {each.name for each in plugins()}
    for name in steps.names():
        if name in foreign:
            continue
        step = steps.find(name)
        extras = ", ".join(step.extras({key: param.default for key, param in step.params.items()}))
        text += f"## {name}\n\n{step.summary.rstrip('.')}. Makes a {step.produces}"
        text += f" (extra `{extras}`).\n\n" if extras else ".\n\n"
        rows = []
        for key, param in step.params.items():
            kind = " or ".join(map(str, param.choices)) if param.choices else param.kind
            default = "required" if param.required else code(param.default) if param.default is not None else ""
            rows.append((code(key), cell(kind), cell(param.doc), default))
        text += table(("parameter", "kind", "", "default"), rows)
        text += f"Proof: {_proof(step.proof)}\n\n"
    return text


def _proof(proof: steps.Proven | steps.Exempt) -> str:
    if isinstance(proof, steps.Exempt):
        return f"none needed; {proof.reason.rstrip('.')}."
    return f"`{proof.by}`, within {proof.tolerance:g} of the largest value ({proof.origin.rstrip('.')})."


def key_page() -> str:
    """Every key of a recipe, from the JSON Schema."""
    text = "# Recipe keys\n\nMade from the schema that `modelprep recipe schema` prints; [recipes](../recipes.md) "
    text += "explains them with examples.\n\n"
    rows = list(_keys(recipe_schema(), ""))
    return text + table(("key", "", "required"), rows)


def _keys(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, ...]]:
    required = schema.get("required", ())
    for name, one in schema.get("properties", {}).items():
        key = f"{path}{name}"
        yield code(key), cell(one.get("description", "")), "yes" if name in required else ""
        yield from _inside(one, key)


def _inside(schema: Mapping[str, Any], key: str) -> Iterator[tuple[str, ...]]:
    seen = False
    for one in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if not seen and "properties" in one:
            yield from _keys(one, f"{key}.")
            seen = True
        if isinstance(one.get("items"), dict):
            yield from _inside(one["items"], f"{key}[]")
        if isinstance(one.get("additionalProperties"), dict) and not key.startswith("variants"):
            yield from _inside(one["additionalProperties"], f"{key}.NAME")


def rule_page() -> str:
    """Every rule of lint, by parser, with the board's message."""
    text = (
        "# Rules\n\nWhat `lint` and `check` check a model against. *reject*: the board's parser refuses it; *crash*: "
    )
    text += (
        "the program dies; *wrong*: it answers something else; *ignored* and *note* stop nothing. The column *board* "
    )
    text += "is a stable part of what the board prints.\n\n"
    by_parser: dict[str, list[tuple[str, ...]]] = {}
    for rule in rules().values():
        row = (rule.id, rule.effect, cell(rule.says), code(rule.message), code(rule.mend))
        by_parser.setdefault(rule.parser, []).append(row)
    for parser, rows in by_parser.items():
        text += f"## {parser}\n\n" + table(("rule", "effect", "", "board", "mend with"), rows)
    return text


def variable_page() -> str:
    """Environment variables and files."""
    text = "# Environment and files\n\n"
    text += table(("variable", ""), [(code(name), cell(says)) for name, says in make_man.ENVIRONMENT.items()])
    return text + table(("file", ""), [(code(name), cell(says)) for name, says in make_man.FILES.items()])


def python_page() -> str:
    """List the public names, for Sphinx to fill in."""
    text = "# Python functions\n\nWhat `modelprep` offers; [From Python](../python.md) shows it at work. "
    text += "Everything else is imported from its module.\n\n"
    names = [name for name in modelprep.__all__ if not name.startswith("_")]
    functions = [name for name in names if inspect.isfunction(getattr(modelprep, name))]
    classes = [name for name in names if name not in functions and name not in ("Event", "ModelprepError")]
    parts = {
        "Functions": "".join(f".. autofunction:: modelprep.{name}\n" for name in functions),
        "Results": "".join(f".. autoclass:: modelprep.{name}\n   :members:\n" for name in classes),
        "Errors": ".. automodule:: modelprep.errors\n   :members:\n",
        "Events": ".. automodule:: modelprep.events\n   :members:\n",
    }
    return text + "".join(f"## {title}\n\n```{{eval-rst}}\n{part}```\n\n" for title, part in parts.items())


PAGES = {
    "python.md": python_page,
    "options.md": options,
    "steps.md": step_page,
    "recipe-keys.md": key_page,
    "rules.md": rule_page,
    "environment.md": variable_page,
}


def main() -> int:
    """Write the pages, or compare them with the existing ones."""
    stale = []
    for name, render in PAGES.items():
        path, text = FOLDER / name, MADE + "\n" + render().rstrip() + "\n"
        if "--check" in sys.argv[1:]:
            stale += [name] if not path.is_file() or path.read_text("utf-8") != text else []
        else:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run make reference\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
