"""``modelprep audit``: check that the sources still work and serve the same files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from modelprep.api.auditing import audit, count_hosts, no_network, verdicts
from modelprep.api.options import AuditOptions, HostOptions
from modelprep.cli import common
from modelprep.cli.output import Output, Style, size_text
from modelprep.errors import NoNetwork
from modelprep.events import Event

if TYPE_CHECKING:
    from modelprep.api.types import AuditReport, HostReport, Row


@common.command("modelprep audit armnn-caffe", "modelprep audit --hosts")
def command(
    output: Output,
    targets: common.SomeTargets = None,
    hosts: Annotated[
        bool,
        common.option(
            "--hosts",
            "Use no network; count the independent hosts of each asset, and the demos that losing each host would "
            "affect.",
        ),
    ] = False,
    everything: Annotated[bool, common.option("--all", "Also list the sources without problems.")] = False,
    **options: common.Unpack[AuditOptions],
) -> int:
    """Check that every source still works and still serves the same file; downloads nothing.

    Sends one request at a time to each host. Exit status 1 if an asset has no working source, 7 if no host is reached.
    """

    def listen(event: Event) -> None:
        if event.kind == "warning":
            output.warning(event.text)
        elif event.kind == "start":
            count = f"{event.data['hosts']} hosts for {event.data['of']} sources"
            output.note(f"checking {count}, one request at a time each")
        elif event.kind == "progress" and output.mode == "human" and output.err.isatty():
            done, total = event.data["asked"], event.data["of"]
            if isinstance(done, int) and done % 25 == 0 and done != total:
                output.note(f"{done} of {total}")

    if hosts:
        chosen: HostOptions = {name: options[name] for name in HostOptions.__annotations__}  # type: ignore[literal-required,assignment]
        _tell_hosts(output, count_hosts(targets or (), listen=listen, **chosen))
        return 0
    result = audit(targets or (), listen=listen, **options)
    if result.nobody_answered:
        _tell_no_network(output, result)
        return NoNetwork.exit_code
    _tell(output, result, everything=everything or output.verbose)
    return 1 if result.lost else 0


_STYLES: Mapping[str, tuple[Style, ...]] = {
    "dead": ("red",), "certificate": ("red",), "moved": ("cyan",), "alive": ("green",), "skipped": ("dim",),
    **dict.fromkeys(("page", "pointer", "size", "changed", "unclear"), ("yellow",)),
}  # fmt: skip


def _tell_no_network(output: Output, result: AuditReport) -> None:
    output.result(result.to_json())
    if output.mode == "json":
        return
    if output.verbose:
        _list(output, result.rows)
    output.error(
        NoNetwork(
            f"{no_network(result)}: {len(result.rows)} sources not checked",
            hint="check the connection, the name server and HTTPS_PROXY, then run the command again;\n"
            f"`modelprep audit --hosts` needs no network{'' if output.verbose else ', -v lists the sources'}",
        )
    )


def _tell(output: Output, result: AuditReport, *, everything: bool) -> None:
    output.result(result.to_json())
    if output.mode == "quiet":
        for asset in result.lost:
            output.value(asset.subject.key)
    if output.mode != "human":
        return
    for verdict, meaning in verdicts().items():
        rows = [row for row in result.rows if row.finding.verdict == verdict]
        if not rows:
            continue
        output.fact(f"{output.style(verdict, 'bold', *_STYLES[verdict])} ({len(rows)}): {meaning}")
        if verdict in ("alive", "skipped") and not everything:
            output.line("  (--all lists them)" if verdict == "alive" else "")
        else:
            _list(output, rows)
        output.line()
    if result.unlicensed:
        output.fact(f"{output.style('licence missing', 'bold', 'yellow')}: {', '.join(result.unlicensed)}", "", "  ")
        output.line()
    for asset in result.assets:
        if asset.state in ("lost", "archive", "unclear"):
            words = {
                "lost": output.style("no working source", "red"),
                "archive": "only in an archive of last resort",
                "unclear": "no source could be checked",
            }[asset.state]
            output.fact(
                f"{words}; needed by {', '.join(asset.subject.demos) or 'no demo'}", f"{asset.subject.key}: ", "  "
            )
    counts = ", ".join(f"{count} {verdict}" for verdict, count in result.counts.items()) or "nothing to check"
    living = sum(1 for asset in result.assets if asset.state == "living")
    output.line(f"{len(result.rows)} sources: {counts}")
    output.line(f"{len(result.assets)} assets: {living} with a working source, {len(result.lost)} without")


def _list(output: Output, rows: Sequence[Row]) -> None:
    cells = []
    for row in rows:
        finding = row.finding
        words = [finding.detail, f"now at {finding.moved_to}" if finding.moved_to else ""]
        if finding.living:
            words += [f"{size_text(finding.size)}" if finding.size is not None else "", finding.proof]
        worked = "now" if finding.living else row.last_worked[:10] or "?"
        cells.append((f"  {row.place.key}", "; ".join(filter(None, words)), worked, row.place.candidate.shown))
    output.records(["  asset", "response", "last worked", "url"], cells, lead=1)


def _tell_hosts(output: Output, result: HostReport) -> None:
    output.result(result.to_json())
    rows = []
    for asset in result.assets:
        archives, pinned = (len(asset.archives), "yes") if asset.pinned else ("-", "no")
        rows.append((asset.key, len(asset.hosts), archives, pinned, ", ".join(asset.hosts)))
    output.table("independent hosts of each asset", ["asset", ">hosts", ">archives", "pinned", "which"], rows, key=0)
    output.line()
    alone = [(host, count, len(only), ", ".join(demos)) for host, (count, only, demos) in result.by_host.items()]
    title = "impact of losing a host (archives of last resort not counted)"
    output.table(title, ["host", ">assets", ">only there", "demos lost"], alone)
    output.line()
    output.prose(
        f"{result.pinned_with_two} of {result.pinned} pinned assets have two or more independent hosts, "
        f"{result.pinned_with_archives} counting the archives of last resort"
    )
