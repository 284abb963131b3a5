"""Download files, verified, into the store.

:class:`Fetcher` is the interface for other packages; ``docs/fetching.md`` describes its rules.
"""

from __future__ import annotations

from modelprep.fetch.fetcher import Fetcher
from modelprep.fetch.policy import Fetched, Pin, Planned, Policy
from modelprep.fetch.sources import Candidate

__all__ = ["Candidate", "Fetched", "Fetcher", "Pin", "Planned", "Policy"]
