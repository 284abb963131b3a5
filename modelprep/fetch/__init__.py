"""Bytes from outside, verified, into the store.

:class:`Fetcher` is all that the rest of the house needs; ``docs/fetching.md`` tells the rules it goes by.
"""

from __future__ import annotations

from modelprep.fetch.fetcher import Fetcher
from modelprep.fetch.policy import Fetched, Pin, Planned, Policy
from modelprep.fetch.sources import Candidate

__all__ = ["Candidate", "Fetched", "Fetcher", "Pin", "Planned", "Policy"]
