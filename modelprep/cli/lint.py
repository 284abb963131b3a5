"""``modelprep lint``: what a board's parser will make of a model file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelprep.cli import common

if TYPE_CHECKING:
    from modelprep.check.lint.findings import Finding


def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .caffemodel, GraphDef, .tflite or .onnx file.")],
    target: Annotated[
        str, typer.Option("--for", metavar="RUNTIME", help="Whose parser: armnn-19.02 and later.")
    ] = "armnn-19.02",
    parser: Annotated[
        str | None,
        typer.Option("--parser", metavar="KIND", help="caffe, tf, tflite or onnx, where the name does not tell."),
    ] = None,
    test: Annotated[
        str | None, typer.Option("--test", metavar="NAME", help="Also hold it to what this board test asks for.")
    ] = None,
    output_names: Annotated[
        list[str] | None, typer.Option("--output", metavar="NAME", help="Outputs that will be asked for.")
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", metavar="FILE", help="Write a SARIF 2.1.0 log as well.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="One line a finding, also where many are alike.")] = False,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Say what a board's model parser will make of a file: refuse, crash, compute wrongly, or take it.

    Exit code 1 when there is something that keeps it from working.
    """
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.check.lint import examine
        from modelprep.check.lint.sarif import write_sarif

        findings = examine(model, target, parser=parser, test=test, outputs=output_names or ())
        if sarif is not None:
            write_sarif(sarif, model, findings)
        output.table(
            "",
            ["rule", "effect", "where", "what", "mend"],
            _rows(findings, every=every),
            key=0,
        )
        serious = [finding for finding in findings if finding.serious]
        output.note(f"{len(serious)} of {len(findings)} findings matter" if findings else "nothing found")
        output.result({"model": str(model), "for": target, "findings": [finding.to_json() for finding in findings]})
        if serious:
            raise typer.Exit(1)


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
