"""The store (the user's cache): files by SHA-256, step results by key, partial downloads.

See ``docs/decisions/0002-store-layout.md`` for the layout and the reasons.
"""

from __future__ import annotations

from modelprep.store.blob import Blob
from modelprep.store.partial import Partial, Validator
from modelprep.store.results import Result, result_key
from modelprep.store.store import Store
from modelprep.store.writer import BlobWriter

__all__ = [
    "Blob",
    "BlobWriter",
    "Partial",
    "Result",
    "Store",
    "Validator",
    "result_key",
]
