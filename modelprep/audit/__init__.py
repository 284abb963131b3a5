"""Check that the sources of the recipes still work and serve the same files.

``subjects`` (which URLs stand for which assets) -> ``crawl`` (the order of requests) -> ``probe`` (one URL) ->
``report`` (what that means for assets and demos). ``history`` records when a source last worked, ``hosts`` counts the
independent hosts of an asset without using the network, ``page`` writes the HTML report.
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
    "AssetReport", "AuditReport", "Finding", "History", "HostReport", "Manners", "Place", "Subject", "Verdict",
    "count_hosts", "crawl", "default_history", "places", "report", "subjects",
]  # fmt: skip
