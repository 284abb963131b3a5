"""``modelprep check``: say whether the board's tests will pass with these files."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from modelprep.api.checking import check, class_label, find_pictures, summary
from modelprep.api.options import CheckOptions, PictureOptions
from modelprep.cli import common
from modelprep.cli.output import Output, Style

if TYPE_CHECKING:
    from modelprep.api.types import Checked, Finding, Judged, PictureSearch, Verdict

_STYLES: dict[str, tuple[Style, ...]] = {
    "passes": ("green",), "fails": ("red",), "unknown": ("yellow",), "not fetched": ("yellow",),
}  # fmt: skip
#: Number of cases of a test that are named in its row.
_CASES = 8


@common.command(
    "modelprep check armnn-caffe --html report.html", "modelprep check CaffeVGG-Armnn --find-picture ~/Pictures"
)
def command(
    output: Output,
    targets: common.Targets,
    find_picture: Annotated[
        Path | None, common.option("--find-picture", "Search a folder for pictures that pass.", "DIR")
    ] = None,
    **options: common.Unpack[CheckOptions],
) -> int:
    """Say whether the board's tests will pass with these files, and why not.

    Each model is checked against the rules of Arm NN's parser, then run on this machine on the test's own inputs, and
    judged as the test judges. Exit status 1 if a test will fail, 7 if this machine has no runtime to find out.
    """
    if find_picture is not None:
        searching: PictureOptions = {name: options[name] for name in PictureOptions.__annotations__}  # type: ignore[literal-required,assignment]
        return _tell_pictures(output, find_pictures(targets, find_picture, **searching))
    checked = check(targets, listen=output.listener(), **options)
    output.close()
    if options.get("html") is not None:
        output.note(f"report: {options['html']}")
    return _tell(output, checked, options["out"], lint_only=options.get("lint_only", False))


def _tell(output: Output, checked: Sequence[Checked], out: str | PathLike[str], *, lint_only: bool) -> int:
    output.result({"checks": [one.to_json() for one in checked]})
    # Demos without a test are listed below the table, by reason.
    shown = [one for one in checked if one.state != "nothing" or output.mode == "quiet"]
    words = [output.style(one.word, *_STYLES.get(one.state, ("dim",))) for one in shown]
    rows = [(one.recipe.demo, word, _result(one)) for one, word in zip(shown, words, strict=True)]
    if rows:
        output.table("", ["test", "result", "cause / output"], rows, key=0)
    if output.mode == "human":
        for one in checked:
            _details(output, one)
        output.line()
        reasons: dict[str, list[str]] = {}
        for one in checked:
            if one.state == "nothing":
                reasons.setdefault(one.reason, []).append(one.recipe.demo)
        for reason, names in reasons.items():
            output.prose(", ".join(names), f"{reason}: ", "  ")
        sources = {one.verdict.test.version: one.verdict.source for one in checked if one.verdict is not None}
        for version, source in sorted(sources.items()):
            output.prose(source or f"release {version}", f"for Arm NN {version}: ", "  ")
        totals, commands = summary(checked, out)
        output.prose(output.style(totals, "bold"))
        if commands:
            output.line("to fetch what is missing:")
        for command in commands:
            output.typed(command)
    outcomes = [one.verdict.outcome for one in checked if one.verdict is not None]
    if "fails" in outcomes or any(proof.outcome == "differs" for one in checked for proof in one.proofs):
        return 1
    return 7 if "unknown" in outcomes and not lint_only else 0


def _result(one: Checked) -> str:
    """Return the text of a row: why a test does not pass, or the network's answer."""
    verdict = one.verdict
    if verdict is None:
        return "" if one.reason == one.state else one.reason
    if one.state == "not fetched":
        return "it needs a file from you" if one.recipe.status == "bring-your-own" else ""
    if verdict.why:
        return verdict.why
    cases = ", ".join(_short(verdict, case) for case in verdict.cases[:_CASES])
    more = f" and {len(verdict.cases) - _CASES} more" if len(verdict.cases) > _CASES else ""
    return f"{cases}{more}"


def _short(verdict: Verdict, case: Judged) -> str:
    got = "nothing" if case.got is None else str(case.got)
    if case.asked is not None and case.found:
        got += f" ({case.found[0].score:.3g})"
    return f"{case.file} {got}" if verdict.test.cases else got


def _findings(verdict: Verdict) -> list[str]:
    """Return one line per rule, for all the places where the model breaks it."""
    places: dict[str, list[Finding]] = {}
    for finding in verdict.findings:
        if finding.serious:
            places.setdefault(finding.rule, []).append(finding)
    return [f"{first}, and {len(more)} more" if more else str(first) for first, *more in places.values()]


def _details(output: Output, one: Checked) -> None:
    """Print what does not fit into a row: the board's output, findings, notes, verifications and the next command."""
    verdict = one.verdict if one.state != "not fetched" else None
    lines: list[tuple[str, str]] = []
    if verdict is not None:
        if verdict.outcome == "fails":
            status = f" (exit status {verdict.exit_status})" if verdict.exit_status else ""
            lines.append(("board: ", f"{verdict.message}{status}"))
        lines += [("rule:  ", line) for line in _findings(verdict)]
        lines += [("note:  ", text) for text in verdict.warnings]
        if verdict.runtime and (lines or one.proofs):
            lines.append(("ran in: ", verdict.runtime))
    # A demo without an Arm NN test may still have conversions; a failed one decides the exit status.
    lines += [("proof: ", str(proof)) for proof in one.proofs]
    before, command, after = "", "", ""
    if verdict is not None and verdict.hint:
        before, command, after = verdict.hint.partition(verdict.command or "\0")
        lines.append(("next:  ", before.rstrip(": ")))
    if not lines:
        return
    output.line()
    output.line(output.style(one.recipe.demo, "bold"))
    for name, text in lines:
        output.fact(text, f"  {name}", "         ")
    if command:
        output.typed(command, "         ")
        if after:
            output.fact(after.lstrip(", "), "         ")


def _tell_pictures(output: Output, found: PictureSearch) -> int:
    rows = [
        (each.file, str(each.picture), "" if each.got is None else class_label(found.test.names, each.got))
        for each in found.passing
    ]
    output.table("", ["expected", "picture that passes", "class"], rows, key=1)
    if not rows:
        output.note(f"none of {found.pictures} pictures passes")
    if found.command and output.mode == "human":
        output.line()
        output.line(output.repeated(f"  next: {found.command}"))
    pictures = [
        {"case": each.case, "file": each.file, "picture": str(each.picture), "class": each.got, "passes": each.passes}
        for each in found.tried
    ]
    output.result({"test": found.test.name, "pictures": pictures, "next": found.command})
    return 0 if rows else 1
