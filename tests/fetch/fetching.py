"""Small helpers of the fetch tests: bytes, assets, and a fetcher that does not wait long."""

from __future__ import annotations

import hashlib
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelprep.events import Event
from modelprep.fetch import Fetched, Fetcher, Policy
from modelprep.recipe.schema import Asset, Digests, Source
from modelprep.store import Store


def payload(size: int = 3_000_000, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def asset(*urls: str | Source, data: bytes | None = None, **more: Any) -> Asset:
    """An asset pinned to `data`, to be had from `urls`."""
    if data is not None:
        more = {"digests": Digests({"sha256": hashlib.sha256(data).hexdigest()}), "size": len(data), **more}
    sources = tuple(u if isinstance(u, Source) else Source(u) for u in urls)
    return Asset("weights", sources, filename=more.pop("filename", "model.bin"), **more)


@dataclass
class Bench:
    """Fetches into one store and keeps the events."""

    store: Store
    policy: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def fetcher(self, **policy: Any) -> Fetcher:
        settings = {"backoff": 0.01, "archives": False, "stall_timeout": 1.0, **self.policy, **policy}
        lock = settings.pop("lock", {})
        known = settings.pop("known", ())
        return Fetcher(self.store, Policy(**settings), lock=lock, listen=self.events.append, known=lambda: known)

    def fetch(self, what: Asset, **policy: Any) -> Fetched:
        fetcher = self.fetcher(**policy)
        return fetcher.fetch(fetcher.plan(what))

    def fetch_side_by_side(self, wanted: list[Asset], **policy: Any) -> None:
        """Fetch each in a thread of its own, all with one fetcher."""
        fetcher = self.fetcher(**policy)
        plans = [fetcher.plan(one) for one in wanted]
        threads = [threading.Thread(target=fetcher.fetch, args=(plan,)) for plan in plans]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def quarantined(self) -> list[Path]:
        return sorted((self.store.root / "quarantine").glob("*.bad"))

    def partials(self) -> list[Path]:
        return sorted((self.store.root / "partial").glob("*")) if (self.store.root / "partial").is_dir() else []
