"""The audit as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from modelprep import quoting
from modelprep.audit.report import AssetReport, AuditReport, Row
from modelprep.audit.verdicts import VERDICTS
from modelprep.store.disk import human, write_atomic

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #8884; }
td.url { overflow-wrap: anywhere; }
.v { font-weight: 600; white-space: nowrap; }
.dead, .certificate, .lost { color: #c62828; }
.page, .pointer, .size, .changed, .unclear, .missing { color: #b26a00; }
.moved, .archive { color: #1565c0; }
.alive, .living { color: #2e7d32; }
.skipped, .slot, small { color: #777; }
"""


def page(report: AuditReport) -> str:
    """Write the report as HTML; needs nothing but itself, and every text from outside is escaped."""
    when = f"{report.when:%Y-%m-%d %H:%M} UTC"
    counts = ", ".join(
        f'<span class="v {verdict}">{count} {verdict}</span>' for verdict, count in report.counts.items()
    )
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"><title>modelprep audit</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>Sources of {len(report.assets)} assets, {when}</h1>",
        f"<p>{counts or 'nothing was asked'}</p>",
    ]
    if report.nobody_answered:
        parts.append(
            "<p class='dead'>No host was reached: the machine that asked has no network. No source was judged.</p>"
        )
    if report.lost:
        parts.append("<h2>No living source</h2><ul>")
        parts += [f"<li>{_asset(asset)}: {_demos(asset)}</li>" for asset in report.lost]
        parts.append("</ul>")
    if report.unlicensed:
        parts.append(f"<h2>No licence in the recipe</h2><p>{quoting.html(', '.join(report.unlicensed))}</p>")
    parts.append("<h2>Assets, the worst first</h2>")
    parts += [_table(asset.rows, asset) for asset in report.assets if asset.rows]
    meanings = "".join(f'<dt class="v {v}">{v}</dt><dd>{quoting.html(text)}</dd>' for v, text in VERDICTS.items())
    parts.append(f"<h2>What the words mean</h2><dl>{meanings}</dl></body></html>\n")
    return "\n".join(parts)


def write_page(path: Path, report: AuditReport) -> None:
    """Write the page of :func:`page` to a file.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    write_atomic(path, page(report).encode("utf-8", "backslashreplace"))


def _asset(asset: AssetReport) -> str:
    return f'<b>{quoting.html(asset.subject.key)}</b> <span class="v {asset.state}">{asset.state}</span>'


def _demos(asset: AssetReport) -> str:
    return quoting.html(", ".join(asset.subject.demos)) or "no demo needs it"


def _table(rows: Iterable[Row], asset: AssetReport) -> str:
    lines = "".join(_row(row) for row in rows)
    licence = "" if asset.licence == "stated" else f', <span class="missing">licence {asset.licence}</span>'
    return (
        f"<h3>{_asset(asset)}</h3><p><small>{_demos(asset)}{licence}</small></p>"
        f"<table><tr><th>verdict<th>URL<th>what came<th>size<th>last worked</tr>{lines}</table>"
    )


def _row(row: Row) -> str:
    finding = row.finding
    link = quoting.link(row.place.candidate.shown)
    detail = [finding.detail, f"moved to {finding.moved_to}" if finding.moved_to else ""]
    detail += [f"proved by {finding.proof}" if finding.proof else ""]
    words = "; ".join(quoting.html(text) for text in detail if text)
    size = human(finding.size) if finding.size is not None else ""
    worked = "now" if finding.living else row.last_worked[:10] or "never seen to"
    return (
        f'<tr><td class="v {finding.verdict}">{finding.verdict}<td class="url">{link}<td>{words}'
        f"<td>{size}<td>{quoting.html(worked)}</tr>"
    )
