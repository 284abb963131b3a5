"""``modelprep steps``: the conversion steps that recipes use, and their parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from modelprep.api.showing import list_steps, show_step, step_json
from modelprep.cli import common
from modelprep.cli.output import Output

if TYPE_CHECKING:
    from modelprep.api.types import Param, Step


@common.command("modelprep steps", "modelprep steps caffe.bake")
def command(
    output: Output, name: Annotated[str | None, common.Argument("[NAME]", "One step: caffe.bake, unpack, ...")] = None
) -> None:
    """List the steps that a recipe can use, or the parameters of one."""
    if name is None:
        found = list_steps()
        output.table("", ["step", "makes", "what it does"], [(s.name, s.produces, s.summary) for s in found], key=0)
        output.note("`modelprep steps NAME` shows the parameters of one.")
        output.result({"steps": [step_json(step) for step in found]})
        return
    step = show_step(name)
    _print(step, output)
    output.result(step_json(step))


def _print(step: Step, output: Output) -> None:
    output.line(f"{step.name}: {step.summary}")
    output.line(f"makes a {step.produces}")
    if step.origin:
        output.line(f"from the plug-in {step.origin}")
    output.line()
    rows = [(name, _kind(param), param.doc) for name, param in step.params.items()]
    output.table("parameters", ["name", "value", "description"], rows, key=0)
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
