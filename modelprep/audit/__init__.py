"""Whether the sources of the recipes are alive, and still give the same files.

``subjects`` (which URLs stand for which assets) -> ``crawl`` (who is asked when) -> ``probe`` (one URL) -> ``report``
(what that means for assets and demos). ``history`` remembers between runs when a source last worked, ``hosts`` counts
who could give an asset without asking anybody, ``page`` writes the HTML report.
"""

from __future__ import annotations

from modelprep.audit.crawl import crawl
from modelprep.audit.history import History, default_history
from modelprep.audit.hosts import HostReport, count_hosts
from modelprep.audit.politeness import Manners
from modelprep.audit.report import AssetReport, AuditReport, report
from modelprep.audit.subjects import Place, Subject, places, subjects
from modelprep.audit.verdicts import Finding, Verdict

__all__ = [
    "AssetReport",
    "AuditReport",
    "Finding",
    "History",
    "HostReport",
    "Manners",
    "Place",
    "Subject",
    "Verdict",
    "count_hosts",
    "crawl",
    "default_history",
    "places",
    "report",
    "subjects",
]
