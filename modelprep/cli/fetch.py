"""``modelprep fetch``: prepare demos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from modelprep import quoting
from modelprep.cli import common
from modelprep.cli.missing import tell_missing
from modelprep.cli.output import Output, Style, size_text

if TYPE_CHECKING:
    from modelprep.pipeline.plan.request import Plan
    from modelprep.pipeline.run.report import Report


def command(
    context: typer.Context,
    targets: common.Targets,
    out: common.Out = common.DEFAULT_OUT,
    cache: common.Cache = None,
    mirror: common.Mirror = None,
    offline: common.Offline = False,
    no_archives: common.NoArchives = False,
    allow_private: common.AllowPrivate = None,
    jobs: common.Jobs = common.DEFAULT_JOBS,
    set: common.Set = None,  # noqa: A002 - the option's name
    accept_any: common.AcceptAny = False,
    link: common.Link = False,
    locked: common.Locked = False,
    lockfile: common.LockFile = None,
    armnn: common.Armnn = None,
    bsp: common.BspRelease = None,
    soc: common.Soc = None,
    image_files: Annotated[
        bool, typer.Option("--image-files", help="With --bsp: also files that the board's image already holds.")
    ] = False,
    remote_cache: common.RemoteCache = None,
    remote_cache_mode: common.RemoteCacheMode = "read",
    trust_remote_results: common.TrustRemoteResults = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the numbers of conversions with those of their originals.")
    ] = False,
    recipes: common.Recipes = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done; do nothing.")] = False,
    json: common.Json = False,
    quiet: common.Quiet = False,
    verbose: common.Verbose = False,
) -> None:
    """Prepare demos: download, verify, convert, install.

    What stands already is left alone; what was fetched before is not fetched again. The finished folders are below
    --out, one for each family of demos, each with a MANIFEST.json and a SHA256SUMS.
    """
    with common.sink(json=json, quiet=quiet, verbose=verbose) as output:
        from modelprep.pipeline.plan.planner import plan
        from modelprep.pipeline.plan.request import Request
        from modelprep.pipeline.run.runner import run

        request = Request(
            targets=tuple(targets),
            out=out,
            cache=cache,
            mirrors=tuple(mirror or ()),
            offline=offline,
            archives=not no_archives,
            allow_private=allow_private,
            jobs=jobs,
            overrides=common.overrides(set),
            accept_any=accept_any,
            link=link,
            locked=locked,
            lockfile=lockfile,
            armnn=armnn,
            bsp=bsp,
            soc=soc,
            image_files=image_files,
            remote_cache=remote_cache,
            remote_cache_mode=remote_cache_mode,
            trust_remote_results=trust_remote_results,
            verify=verify,
            typed=common.typed(context),
        )
        planned = plan(request, common.catalogue(recipes))
        if bsp:
            from modelprep.pipeline.plan.board import told

            for text in told([demo.recipe for demo in planned.demos]):
                output.note(text)
        if dry_run:
            raise typer.Exit(_tell_plan(output, planned))
        report = run(planned, output.listener())
        output.close()
        _tell_report(output, planned, report)
        raise typer.Exit(report.exit_code)


def _tell_plan(output: Output, plan: Plan) -> int:
    """Print what a run would do; give the exit code that is certain already."""
    from modelprep.pipeline.plan.disk_space import check_room, rooms
    from modelprep.pipeline.run.report import worst
    from modelprep.pipeline.run.summary import plan_json

    output.result(plan_json(plan))
    rows = [
        (
            output.style(demo.recipe.demo, "bold"),
            demo.state if demo.problem is None or demo.state == "bring" else "cannot",
            len(demo.files or demo.recipe.install),
            "" if demo.state == "present" or demo.problem is not None else common.download_size(plan, demo),
        )
        for demo in plan.demos
    ]
    output.table("", ["demo", "state", ">files", ">to download"], rows)
    if plan.to_fetch:
        output.line()
        names = [
            (asset.asset.key, size_text(asset.fetch.bytes_to_come), str(asset.asset.sources[0].url))
            for asset in plan.to_fetch
            if asset.fetch is not None and asset.asset.sources
        ]
        output.table("to download", ["asset", ">size", "first source"], names)
    if plan.to_run:
        output.line()
        output.line(f"steps to run: {', '.join(step.label for step in plan.to_run)}")
    unknown = f", and {plan.sizes_unknown} of unknown size" if plan.sizes_unknown else ""
    output.line()
    output.line(f"to come: {plan.bytes_to_come} bytes ({size_text(plan.bytes_to_come)}){unknown}")
    for room in rooms(plan):
        more = f", at most {size_text(room.at_most)}" if room.at_most > room.needed else ""
        more += f", and {room.unknown} files of unknown size" if room.unknown else ""
        output.line(
            f"room in {', '.join(map(str, room.places))}: {size_text(room.needed)} needed{more}; "
            f"{size_text(room.free)} free"
        )
    problems = [demo.problem for demo in plan.demos if demo.problem is not None]
    if output.mode != "json":
        for problem in problems:
            output.error(problem)
    if plan.wanted:
        check_room(plan)
    return worst(problem.exit_code for problem in problems)


def _tell_report(output: Output, plan: Plan, report: Report) -> None:
    """Print the summary table, the errors, and what to do next."""
    output.result(report.to_json())
    if output.mode != "json":
        told = set()
        for demo in report.demos:
            if demo.error is not None and not demo.missing and (text := str(demo.error)) not in told:
                told.add(text)
                output.error(demo.error)
        # One dead source may fail many demos; it is told once.
        tell_missing(output, report, plan.request.words)
    rows = [
        (
            demo.demo,
            output.style(demo.outcome, *_STYLES[demo.outcome]),
            len(demo.files),
            size_text(demo.bytes_fetched) if demo.bytes_fetched else "-",
            ", ".join(demo.sources) or "-",
            f"{demo.seconds:.1f}",
        )
        for demo in report.demos
    ]
    output.table("", ["demo", "outcome", ">files", ">fetched", "from", ">seconds"], rows)
    ready = [demo for demo in report.demos if demo.outcome in ("installed", "unchanged")]
    folders = sorted({demo.folder for demo in ready})
    if not ready or output.mode != "human":
        return
    output.line()
    for folder in folders:
        mine = [demo for demo in ready if demo.folder == folder]
        board = next((demo.board for demo in mine if demo.board), "")
        # A tree with a place of its own on the board goes into it, any other becomes a folder of the login's home.
        source, target = (f"{folder}/.", board) if board else (str(folder), "")
        copying = quoting.command("scp", "-r", quoting.operand(source), f"root@BOARD:{target}")
        output.line(f"copy to the board:  {copying}")
        runs = [demo.run for demo in mine if demo.run]
        if runs:
            more = f"  (and {len(runs) - 1} more: modelprep show)" if len(runs) > 1 else ""
            output.line(f"run there, in {board or folder.name}:  {runs[0]}{more}")
    if report.pins_added:
        output.line(f"new pins in {plan.request.lock_path}: {', '.join(report.pins_added)} (commit that file)")


_STYLES: Mapping[str, tuple[Style, ...]] = {
    "installed": ("green",),
    "unchanged": (),
    "nothing": ("dim",),
    "absent": ("dim",),
    "bring": ("yellow",),
    "failed": ("red",),
}
