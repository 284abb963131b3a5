"""Summary of the findings: for each asset whether it can still be downloaded, for each demo what it lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from modelprep.audit.history import History, Remembered
from modelprep.audit.subjects import Place, Subject
from modelprep.audit.verdicts import VERDICTS, Finding, Verdict
from modelprep.fetch.network_errors import Unreached

_RANK = {verdict: rank for rank, verdict in enumerate(VERDICTS)}


@dataclass(frozen=True)
class Row:
    """One place and its finding; `before` is its history before the audit, None for a URL that was never checked."""

    place: Place
    finding: Finding
    before: Remembered | None

    @property
    def last_worked(self) -> str:
        """When it last worked before this audit; UTC, ISO 8601, empty if unknown."""
        return self.before.worked if self.before is not None else ""

    def to_json(self) -> dict[str, object]:
        """Return the row as a JSON-ready mapping, empty facts left out."""
        finding, candidate = self.finding, self.place.candidate
        facts: dict[str, object] = {"url": candidate.shown, "kind": candidate.kind, "verdict": finding.verdict}
        more = {
            "recipe_url": str(candidate.source.url) if candidate.note and candidate.kind == "recipe" else "",
            "member": candidate.source.member or "",
            **{name: getattr(finding, name) for name in ("detail", "moved_to", "status", "size")},
            "expected_size": self.place.want.size,
            **{name: getattr(finding, name) for name in ("proof", "lfs_oid", "etag", "last_modified")},
            "last_worked": self.last_worked,
            "failing_since": self.before.failing_since if self.before is not None else "",
            "note": candidate.source.note,
        }
        return {**facts, **{name: value for name, value in more.items() if value not in ("", None)}}


@dataclass(frozen=True)
class AssetReport:
    """One asset, and all its places.

    Parameters
    ----------
    state
        ``living`` (one of its sources works), ``archive`` (only in an archive of last resort works), ``unclear`` (no
        source works, and one could not be judged), ``lost``, ``skipped`` (nothing could be checked), ``slot`` (it has
        no source: the user supplies it).
    """

    subject: Subject
    rows: tuple[Row, ...]
    state: str

    @property
    def licence(self) -> str:
        """``stated``, ``untraced`` (a name without a document that says so) or ``missing``."""
        licence = self.subject.asset.licence
        if licence is None or not licence.name:
            return "missing"
        return "stated" if licence.source and "name no document" not in licence.source else "untraced"

    def to_json(self) -> dict[str, object]:
        """Return the asset as a JSON-ready mapping."""
        return {
            "asset": self.subject.key,
            "state": self.state,
            "pinned": self.subject.pinned,
            "licence": self.licence,
            "demos": list(self.subject.demos),
            "sources": [row.to_json() for row in self.rows],
        }


@dataclass(frozen=True)
class AuditReport:
    """The result of an audit at a time (UTC); the worst assets come first."""

    when: datetime
    assets: tuple[AssetReport, ...]

    def __repr__(self) -> str:
        return f"<AuditReport: {len(self.rows)} sources of {len(self.assets)} assets, {len(self.lost)} lost>"

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every place, worst verdict first."""
        rows = [row for asset in self.assets for row in asset.rows]
        return tuple(sorted(rows, key=lambda row: (_RANK[row.finding.verdict], row.place.key)))

    @property
    def lost(self) -> tuple[AssetReport, ...]:
        """Assets without a working source, archives included."""
        return tuple(asset for asset in self.assets if asset.state == "lost")

    @property
    def demos_lost(self) -> tuple[str, ...]:
        """Demos that cannot be prepared from working sources."""
        return tuple(sorted({demo for asset in self.lost for demo in asset.subject.demos}))

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many places have each verdict, worst first, only those that occur."""
        found = [row.finding.verdict for row in self.rows]
        return {verdict: found.count(verdict) for verdict in VERDICTS if verdict in found}

    @property
    def unlicensed(self) -> tuple[str, ...]:
        """Keys of assets without a licence."""
        return tuple(asset.subject.key for asset in self.assets if asset.licence == "missing")

    @property
    def nobody_answered(self) -> bool:
        """Whether no host was reached, which points to this machine's network."""
        asked = self.hosts
        # A single host that refuses connections exists but does not work; if all refuse, there is a firewall.
        return bool(asked) and all(asked.values()) and list(asked.values()) != ["refused"]

    @property
    def hosts(self) -> Mapping[str, Unreached]:
        """Why each host was not reached; empty if one of its sources was."""
        found: dict[str, Unreached] = {}
        for row in self.rows:
            if row.place.host and row.finding.verdict != "skipped":
                found[row.place.host] = row.finding.unreached and found.get(row.place.host, row.finding.unreached)
        return found

    def to_json(self) -> dict[str, object]:
        """Return the report as a JSON-ready mapping."""
        return {
            "when": self.when.astimezone(timezone.utc).replace(microsecond=0).isoformat(),
            "assets": [asset.to_json() for asset in self.assets],
            "summary": {
                "assets": len(self.assets),
                "verdicts": dict(self.counts),
                "lost": [asset.subject.key for asset in self.lost],
                "demos_lost": list(self.demos_lost),
                "licence_missing": list(self.unlicensed),
                "nobody_answered": self.nobody_answered,
            },
        }


def report(
    subjects: Iterable[Subject], found: Iterable[tuple[Place, Finding]], history: History, when: datetime
) -> AuditReport:
    """Return the report of an audit; `history` must not include this audit yet."""
    rows: dict[str, list[Row]] = {}
    for place, finding in found:
        rows.setdefault(place.key, []).append(Row(place, finding, history.of(place)))
    assets = [
        AssetReport(subject, tuple(rows.get(subject.key, ())), _state(rows.get(subject.key, ())))
        for subject in subjects
    ]
    order = ("lost", "unclear", "archive", "living", "skipped", "slot")
    assets.sort(key=lambda asset: (order.index(asset.state), asset.subject.key))
    return AuditReport(when, tuple(assets))


def _state(rows: Iterable[Row]) -> str:
    rows = tuple(rows)
    living = {row.place.candidate.kind for row in rows if row.finding.living}
    verdicts = {row.finding.verdict for row in rows}
    if not rows:
        return "slot"
    if "recipe" in living:
        return "living"
    if living:
        return "archive"
    if verdicts == {"skipped"}:
        return "skipped"
    return "unclear" if "unclear" in verdicts else "lost"
