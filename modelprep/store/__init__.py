"""The store: files by SHA-256, step results by key, downloads under way.

See ``docs/decisions/0002-store-layout.md`` for the layout and the reasons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelprep.store.partial import Partial, Validator
from modelprep.store.results import Result, result_key
from modelprep.store.store import Blob, Store
from modelprep.store.writer import BlobWriter

if TYPE_CHECKING:
    from modelprep.store.maintenance import GcReport, Removed, StoreInfo, VerifyReport

__all__ = [
    "Blob",
    "BlobWriter",
    "GcReport",
    "Partial",
    "Removed",
    "Result",
    "Store",
    "StoreInfo",
    "Validator",
    "VerifyReport",
    "result_key",
]


def __getattr__(name: str) -> object:
    if name in ("GcReport", "Removed", "StoreInfo", "VerifyReport"):  # housekeeping, which a fetch has no need of
        from modelprep.store import maintenance

        return getattr(maintenance, name)
    raise AttributeError(f"module 'modelprep.store' has no attribute '{name}'")
