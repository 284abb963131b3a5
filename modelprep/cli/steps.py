"""``modelprep steps``: the conversion steps that recipes use, and their parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from modelprep.cli import common

if TYPE_CHECKING:
    from modelprep.cli.output import Output
    from modelprep.steps import Param, Step


def command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One step: caffe.bake, unpack, ...")] = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """List the steps that a recipe can use, or the parameters of one."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep import steps
        from modelprep.errors import RecipeError, UsageError
        from modelprep.pipeline.plan.step_schema import describe

        if name is None:
            found = [steps.find(each) for each in steps.names()]
            output.table("", ["step", "makes", "what it does"], [(s.name, s.produces, s.summary) for s in found], key=0)
            output.note("`modelprep steps NAME` shows the parameters of one.")
            output.result({"steps": [describe(step) for step in found]})
            return
        try:
            step = steps.find(name)
        except RecipeError as error:
            raise UsageError(error.what, hint=error.hint) from None
        _print(step, output)
        output.result(describe(step))


def _print(step: Step, output: Output) -> None:
    output.line(f"{step.name}: {step.summary}")
    output.line(f"makes a {step.produces}")
    if step.origin:
        output.line(f"from the plug-in {step.origin}")
    output.line()
    rows = [(name, _kind(param), param.doc) for name, param in step.params.items()]
    output.table("parameters", ["name", "value", "what it is"], rows, key=0)
    required = [
        f"{name}: {'$file' if param.kind == 'file' else '...'}" for name, param in step.params.items() if param.required
    ]
    output.line()
    output.line("in a recipe:")
    output.line(f"  - {{id: made, uses: {step.name}, with: {{{', '.join(required)}}}}}")


def _kind(param: Param) -> str:
    kind = " | ".join(map(str, param.choices)) if param.choices else _KINDS.get(param.kind, param.kind)
    if param.required:
        return f"{kind} (required)"
    return kind if param.default is None else f"{kind} (default {str(param.default).lower()})"


_KINDS = {"file": "$reference", "files": "list or mapping of $references", "str": "text", "strs": "list of texts"}
