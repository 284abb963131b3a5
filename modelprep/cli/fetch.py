"""``modelprep fetch``: prepare demos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelprep.api import text
from modelprep.api.fetching import plan, run
from modelprep.api.options import PlanOptions
from modelprep.api.outlook import board_notes, lasting_source, outlook
from modelprep.cli import common
from modelprep.cli.missing import tell_missing
from modelprep.cli.output import Output, Style, size_text
from modelprep.cli.units import download_text

if TYPE_CHECKING:
    from modelprep.api.types import Plan, Report


@common.command(
    "modelprep fetch armnn-caffe                        one family of demos",
    "modelprep fetch all --dry-run                      show what would be downloaded",
    "modelprep fetch armnn-tf/mnist --set model=my.pb   with your own file",
)
def command(
    output: Output, targets: common.Targets, *, dry_run: common.DryRun = False, **options: common.Unpack[PlanOptions]
) -> int:
    """Prepare demos: download, verify, convert, install.

    Demos that are up to date are left alone; cached files are not downloaded again. The finished folders are below
    --out, one per family of demos, each with a MANIFEST.json and a SHA256SUMS.
    """
    planned = plan(targets, **options).typed_as(output.words)
    if options.get("bsp"):
        for note in board_notes(planned):
            output.note(note)
    if dry_run:
        return _tell_plan(output, planned)
    report = run(planned, listen=output.listener())
    output.close()
    _tell_report(output, planned, report)
    return report.exit_code


def _tell_plan(output: Output, plan: Plan) -> int:
    """Print what a run would do; return the exit status that is certain already."""
    found = outlook(plan)
    output.result(found.facts)
    rows = []
    for demo in plan.demos:
        state = demo.state if demo.problem is None or demo.state == "bring" else "cannot"
        size = "" if demo.state == "present" or demo.problem is not None else download_text(plan, demo)
        rows.append((output.style(demo.recipe.demo, "bold"), state, len(demo.files or demo.recipe.install), size))
    output.table("", ["demo", "state", ">files", ">to download"], rows)
    if plan.to_fetch:
        output.line()
        names = [
            (asset.asset.key, size_text(asset.fetch.bytes_to_come), str(source.url))
            for asset in plan.to_fetch
            if asset.fetch is not None and (source := lasting_source(asset.asset)) is not None
        ]
        output.table("to download", ["asset", ">size", "best source"], names)
    if plan.to_run:
        output.line()
        output.line(f"steps to run: {', '.join(step.label for step in plan.to_run)}")
    unknown = f", and {plan.sizes_unknown} of unknown size" if plan.sizes_unknown else ""
    output.line()
    output.line(f"to download: {plan.bytes_to_come} bytes ({size_text(plan.bytes_to_come)}){unknown}")
    for room in found.rooms:
        more = f", at most {size_text(room.at_most)}" if room.at_most > room.needed else ""
        more += f", and {room.unknown} files of unknown size" if room.unknown else ""
        output.line(
            f"disk space in {', '.join(map(str, room.places))}: {size_text(room.needed)} needed{more}; "
            f"{size_text(room.free)} free"
        )
    problems = [demo.problem for demo in plan.demos if demo.problem is not None]
    if output.mode != "json":
        for problem in problems:
            output.error(problem)
    if found.shortage is not None:
        raise found.shortage
    return found.exit_code


def _tell_report(output: Output, plan: Plan, report: Report) -> None:
    """Print the summary table, the errors, and the next commands."""
    output.result(report.to_json())
    if output.mode != "json":
        told = set()
        for demo in report.demos:
            if demo.error is not None and not demo.missing and (said := str(demo.error)) not in told:
                told.add(said)
                output.error(demo.error)
        # One dead source may fail many demos; its error is printed once.
        tell_missing(output, report)
    rows = []
    for demo in report.demos:
        outcome, sources = output.style(demo.outcome, *_STYLES[demo.outcome]), ", ".join(demo.sources) or "-"
        size = size_text(demo.bytes_fetched) if demo.bytes_fetched else "-"
        rows.append((demo.demo, outcome, len(demo.files), size, sources, f"{demo.seconds:.1f}"))
    # The line of each file has named its source already.
    output.table("", ["demo", "outcome", ">files", ">fetched", "from", ">seconds"], rows, spare="from")
    ready = [demo for demo in report.demos if demo.outcome in ("installed", "unchanged")]
    folders = sorted({demo.folder for demo in ready})
    if not ready or output.mode != "human":
        return
    output.line()
    for folder in folders:
        mine = [demo for demo in ready if demo.folder == folder]
        board = next((demo.board for demo in mine if demo.board), "")
        # A tree with a fixed folder on the board is copied there, any other into the ssh user's home directory.
        source, target = (f"{folder}/.", board) if board else (str(folder), "")
        copying = text.command("scp", "-r", text.operand(source), f"root@BOARD:{target}")
        output.line("copy to the board:")
        output.typed(copying)
        runs = [demo.run for demo in mine if demo.run]
        if runs:
            more = f" (and {len(runs) - 1} more: modelprep show)" if len(runs) > 1 else ""
            output.line(f"run there, in {board or folder.name}{more}:")
            output.typed(runs[0])
    if report.pins_added:
        output.line(f"new pins in {plan.request.lock_path}: {', '.join(report.pins_added)} (commit that file)")


_STYLES: Mapping[str, tuple[Style, ...]] = {
    "installed": ("green",), "unchanged": (), "nothing": ("dim",), "absent": ("dim",), "bring": ("yellow",),
    "failed": ("red",),
}  # fmt: skip
