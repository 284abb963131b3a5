"""``modelprep audit``: whether the sources are alive, and still the same files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelprep.cli import common
from modelprep.cli.output import Output, Style, size_text
from modelprep.errors import NoNetwork, UsageError

if TYPE_CHECKING:
    from modelprep.audit import AuditReport, HostReport
    from modelprep.audit.report import Row


def command(
    targets: common.SomeTargets = None,
    hosts: Annotated[
        bool,
        typer.Option(
            "--hosts",
            help="Ask nobody; count for each asset how many independent hosts could give it, and for each host which "
            "demos its death would take down.",
        ),
    ] = False,
    archives: Annotated[
        bool,
        typer.Option("--archives/--no-archives", help="Ask the archives of last resort too (they limit requests)."),
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="List the sources that are well, too.")] = False,
    page: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page.")] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            "--history",
            metavar="FILE",
            help="What audits remember: when a source last worked (default: in the user's state folder).",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, max=32, metavar="N", help="Hosts asked at once.")] = 8,
    pause: Annotated[
        float, typer.Option("--pause", min=0, max=60, metavar="SECONDS", help="Between two requests at one host.")
    ] = 0.5,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, max=600, metavar="SECONDS", help="Silence that counts as death.")
    ] = 20.0,
    out: common.Out = common.DEFAULT_OUT,
    lockfile: common.LockFile = None,
    recipes: common.Recipes = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
    verbose: common.Verbose = False,
) -> None:
    """Ask every source whether it is alive and still gives the same file; downloads nothing.

    One request at a time at each host. Exits with 1 when an asset has no living source, with 7 when no host is reached.
    """
    with common.sink(json=json, quiet=quiet, verbose=verbose) as output:
        from modelprep.audit import History, count_hosts, default_history, places
        from modelprep.pipeline.auditing import audit_subjects, manners, run_audit

        found, broken = audit_subjects(common.catalogue(recipes), targets or [], lockfile or out / "modelprep.lock")
        for error in broken:
            output.warning(f"a recipe is broken: {error}")
        if hosts:
            _tell_hosts(output, count_hosts(found))
            return
        if page is not None and page.is_dir():
            raise UsageError("a folder is where the page should go", where=str(page), expected="--html FILE")
        remembered = History(history or default_history())
        asked = [place for subject in found for place in places(subject, archives=archives)]
        lanes = {place.host for place in asked if place.host}
        output.note(f"asking {len(lanes)} hosts for {len(asked)} sources, one request at a time at each")
        result = run_audit(found, asked, remembered, manners(jobs, pause, timeout), _progress(output))
        if page is not None:
            from modelprep.audit.page import write_page

            write_page(page, result)
        if result.nobody_answered:
            _tell_no_network(output, result)
            raise typer.Exit(NoNetwork.exit_code)
        _tell(output, result, everything=everything or verbose)
        raise typer.Exit(1 if result.lost else 0)


def _progress(output: Output) -> Callable[[int, int], None] | None:
    """Tell now and then how far it is, where somebody watches."""
    if output.mode != "human" or not output.err.isatty():
        return None

    def tell(done: int, total: int) -> None:
        if done % 25 == 0 and done < total:
            output.note(f"{done} of {total}")

    return tell


_STYLES: Mapping[str, tuple[Style, ...]] = {
    "dead": ("red",),
    "certificate": ("red",),
    "page": ("yellow",),
    "pointer": ("yellow",),
    "size": ("yellow",),
    "changed": ("yellow",),
    "unclear": ("yellow",),
    "moved": ("cyan",),
    "alive": ("green",),
    "skipped": ("dim",),
}


def _tell_no_network(output: Output, result: AuditReport) -> None:
    from modelprep.fetch.network_errors import no_network

    output.result(result.to_json())
    if output.mode == "json":
        return
    if output.verbose:
        output.table("", ["asset", "url", "what came"], [_row(row)[:3] for row in result.rows])
    output.error(
        NoNetwork(
            f"{no_network(result.hosts)}: nothing can be said of {len(result.rows)} sources",
            hint="check the connection, the name server and HTTPS_PROXY, then run the command again;\n"
            f"`modelprep audit --hosts` needs no network{'' if output.verbose else ', -v lists the sources'}",
        )
    )


def _tell(output: Output, result: AuditReport, *, everything: bool) -> None:
    from modelprep.audit.verdicts import VERDICTS

    output.result(result.to_json())
    if output.mode == "quiet":
        for asset in result.lost:
            output.value(asset.subject.key)
    if output.mode != "human":
        return
    for verdict, meaning in VERDICTS.items():
        rows = [row for row in result.rows if row.finding.verdict == verdict]
        if not rows:
            continue
        output.line(f"{output.style(verdict, 'bold', *_STYLES[verdict])} ({len(rows)}): {meaning}")
        if verdict in ("alive", "skipped") and not everything:
            output.line("  (--all lists them)" if verdict == "alive" else "")
        else:
            output.table("", ["  asset", "url", "what came", "last worked"], [_row(row) for row in rows])
        output.line()
    if result.unlicensed:
        output.line(f"{output.style('licence missing', 'bold', 'yellow')}: {', '.join(result.unlicensed)}")
        output.line()
    for asset in result.assets:
        if asset.state in ("lost", "archive", "unclear"):
            words = {
                "lost": output.style("no living source", "red"),
                "archive": "only an archive of last resort",
                "unclear": "no source that could be judged",
            }[asset.state]
            output.line(f"{asset.subject.key}: {words}; needed by {', '.join(asset.subject.demos) or 'no demo'}")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in result.counts.items()) or "nothing to ask"
    living = sum(1 for asset in result.assets if asset.state == "living")
    output.line(f"{len(result.rows)} sources: {counts}")
    output.line(f"{len(result.assets)} assets: {living} with a living source, {len(result.lost)} without")


def _row(row: Row) -> tuple[str, str, str, str]:
    finding = row.finding
    words = [finding.detail, f"now at {finding.moved_to}" if finding.moved_to else ""]
    if finding.living:
        words += [f"{size_text(finding.size)}" if finding.size is not None else "", finding.proof]
    worked = "now" if finding.living else row.last_worked[:10] or "?"
    return f"  {row.place.key}", row.place.candidate.shown, "; ".join(filter(None, words)), worked


def _tell_hosts(output: Output, result: HostReport) -> None:
    output.result(result.to_json())
    rows = [
        (
            asset.key,
            len(asset.hosts),
            len(asset.archives) if asset.pinned else "-",
            "yes" if asset.pinned else "no",
            ", ".join(asset.hosts),
        )
        for asset in result.assets
    ]
    output.table("who could give each asset", ["asset", ">hosts", ">archives", "pinned", "who"], rows, key=0)
    output.line()
    alone = [(host, count, len(only), ", ".join(demos)) for host, (count, only, demos) in result.by_host.items()]
    title = "what the death of one host would take down (archives of last resort not counted)"
    output.table(title, ["host", ">assets", ">only there", "demos lost"], alone)
    output.line()
    output.line(
        f"{result.pinned_with_two} of {result.pinned} pinned assets have two or more independent hosts, "
        f"{result.pinned_with_archives} counting the archives of last resort"
    )
