"""The audit as one self-contained HTML page, in the design of the check report."""

from __future__ import annotations

from pathlib import Path

from modelprep.audit.report import AssetReport, AuditReport, Row
from modelprep.audit.verdicts import VERDICTS
from modelprep.pages import render
from modelprep.store.disk import human, write_atomic

#: Verdict or state -> its class in the stylesheet.
_COLOURS = {
    "alive": "passes", "living": "passes", "moved": "passes", "dead": "fails", "certificate": "fails", "lost": "fails",
    "skipped": "nothing", "slot": "nothing",
}  # fmt: skip
_EFFECTS = {"passes": "sound", "fails": "reject", "nothing": "soft"}


def page(report: AuditReport) -> str:
    """Return the report as self-contained HTML; every text from outside is escaped."""
    return render(
        "audit", when=report.when, title="Source audit",
        facts=[("assets", str(len(report.assets))), ("sources", str(len(report.rows)))],
        totals=", ".join(f"{count} {verdict}" for verdict, count in report.counts.items()),
        nobody_answered=report.nobody_answered, lost=[_asset(asset) for asset in report.lost],
        unlicensed=", ".join(report.unlicensed), assets=[_asset(asset) for asset in report.assets if asset.rows],
        meanings=list(VERDICTS.items()),
    )  # fmt: skip


def write_page(path: Path, report: AuditReport) -> None:
    """Write the page of :func:`page` to a file. Raises StorageError: it cannot be written."""
    write_atomic(path, page(report).encode("utf-8", "backslashreplace"))


def _asset(asset: AssetReport) -> dict[str, object]:
    return {
        "key": asset.subject.key,
        "state": asset.state,
        "colour": _COLOURS.get(asset.state, "unknown"),
        "well": asset.state == "living" and all(row.finding.living for row in asset.rows),
        "demos": ", ".join(asset.subject.demos) or "not needed by any demo",
        "licence": "" if asset.licence == "stated" else asset.licence,
        "rows": [_row(row) for row in asset.rows],
    }


def _row(row: Row) -> dict[str, object]:
    finding = row.finding
    return {
        "verdict": finding.verdict,
        "colour": _EFFECTS.get(_COLOURS.get(finding.verdict, ""), "wrong"),
        "url": row.place.candidate.shown,
        "facts": [
            ("answer", finding.detail),
            ("moved to", finding.moved_to),
            ("verified by", finding.proof),
            ("size", human(finding.size) if finding.size is not None else ""),
            ("last worked", "now" if finding.living else row.last_worked[:10] or "never"),
        ],
    }
