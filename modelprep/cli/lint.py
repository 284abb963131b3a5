"""``modelprep lint``: whether a board's parser accepts a model file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from modelprep.api.checking import explained, lint
from modelprep.api.options import LintOptions
from modelprep.cli import common
from modelprep.cli.output import Output, Style

if TYPE_CHECKING:
    from modelprep.api.checking import Explained
    from modelprep.api.types import Finding

_STYLES: Mapping[str, tuple[Style, ...]] = {
    "reject": ("red",), "crash": ("red",), "wrong": ("yellow",), "note": ("dim",), "ignored": ("dim",),
}  # fmt: skip


@common.command(
    "modelprep lint model.onnx --for armnn-19.02", "modelprep lint model_int8.tflite --for ethos-u --all-npu"
)
def command(
    output: Output,
    model: Annotated[Path, common.Argument("MODEL", "A .caffemodel, GraphDef, .tflite or .onnx file.")],
    every: Annotated[bool, common.option("--all", "Print every finding, also similar ones.")] = False,
    **options: common.Unpack[LintOptions],
) -> int:
    """Say whether a board's model parser accepts a file, refuses it, crashes or computes wrong numbers.

    For the NPU, Vela says which operators stay on the CPU, and why (the extra 'vela', or MODELPREP_VELA). Exit status 1
    if there is a blocking problem.
    """
    findings = lint(model, **options)
    said = explained(model, findings, **options)
    _tell(output, findings, said, every=every or output.verbose)
    found = [finding.to_json() for finding in findings]
    facts = {"model": str(model), "for": options["target"], "parser": said.parser, "accepted": bool(said.accepted)}
    output.result({**facts, "findings": found})
    return 1 if said.blocking else 0


def _tell(output: Output, findings: Sequence[Finding], said: Explained, *, every: bool) -> None:
    """Print findings, those of one rule with one fix together; or what was accepted, by which parser."""
    alike: dict[object, list[Finding]] = {}
    for number, finding in enumerate(findings):
        alike.setdefault(number if every else (finding.rule, finding.effect, finding.mend), []).append(finding)
    rows = []
    for first, *others in alike.values():
        more = f" (and {len(others)} more like it: --all)" if others else ""
        effect = output.style(first.effect, *_STYLES[first.effect])
        rows.append((first.rule, effect, f"{first.where}{more}", first.what, said.fixes[first]))
    if rows:
        output.records(["rule", "effect", "where", "what", "fix"], rows, lead=3, key=0)
    if output.mode == "quiet":
        return
    if said.blocking:
        output.note(f"{said.blocking} blocking problem{'s' if said.blocking > 1 else ''} for {said.by}")
    else:
        output.prose(f"{output.style('accepted', 'green')} by {said.by}: {said.accepted}", "", "  ")
