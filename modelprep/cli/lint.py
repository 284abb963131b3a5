"""``modelprep lint``: what a board's parser will make of a model file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelprep.api.checking import lint
from modelprep.api.options import LintOptions
from modelprep.cli import common
from modelprep.cli.output import Output

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from modelprep.api.types import Finding


@common.command(LintOptions, examples=("modelprep lint model.onnx --for armnn-19.02",))
def command(
    output: Output,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .caffemodel, GraphDef, .tflite or .onnx file.")],
    every: Annotated[bool, typer.Option("--all", help="One line a finding, also where many are alike.")] = False,
    **options: Unpack[LintOptions],
) -> int:
    """Say what a board's model parser will make of a file: refuse, crash, compute wrongly, or take it.

    Exit code 1 when there is something that keeps it from working.
    """
    findings = lint(model, **options)
    rows = _rows(findings, every=every or output.verbose)
    output.table("", ["rule", "effect", "where", "what", "mend"], rows, key=0)
    serious = [finding for finding in findings if finding.serious]
    output.note(f"{len(serious)} of {len(findings)} findings matter" if findings else "nothing found")
    found = [finding.to_json() for finding in findings]
    output.result({"model": str(model), "for": options["target"], "findings": found})
    return 1 if serious else 0


def _rows(findings: Sequence[Finding], *, every: bool) -> list[tuple[str, ...]]:
    """Make the table: of findings of one rule that one command fixes, the first stands for all."""
    alike: dict[object, list[Finding]] = {}
    for number, finding in enumerate(findings):
        alike.setdefault(number if every else (finding.rule, finding.effect, finding.mend), []).append(finding)
    rows: list[tuple[str, ...]] = []
    for first, *others in alike.values():
        more = f" (and {len(others)} more like it: --all)" if others else ""
        rows.append((first.rule, first.effect, f"{first.where}{more}", first.what, first.mend))
    return rows
