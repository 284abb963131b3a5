"""An upstream on loopback, and audits of it that do not wait."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from servers.http import FaultServer

from modelprep.audit import AuditReport, History, Manners, Subject, crawl, places, report
from modelprep.recipe.schema import Asset, Digests, Licence, Source

Audit = Callable[..., AuditReport]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


def pinned(key: str, *urls: str | Source, data: bytes | None = None, **more: Any) -> Subject:
    """An asset pinned to `data` (or to nothing), to be had from `urls`."""
    if data is not None:
        more = {"digests": Digests({"sha256": hashlib.sha256(data).hexdigest()}), "size": len(data), **more}
    more = {"licence": Licence("MIT", "the test"), "filename": f"{key}.bin", **more}
    sources = tuple(url if isinstance(url, Source) else Source(url) for url in urls)
    return Subject(key, Asset(key, sources, **more), (f"Demo-{key}",))


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """Audit some subjects; the history is kept in one file for the whole test."""

    def run(*subjects: Subject, now: datetime = NOW, archives: bool = False, **manners: Any) -> AuditReport:
        history = History(tmp_path / "history.json")
        settings = {"pause": 0.0, "backoff": 0.01, "stall_timeout": 0.5, "connect_timeout": 2.0, **manners}
        asked = [place for subject in subjects for place in places(subject, archives=archives)]
        found = crawl(asked, history, Manners(**settings))
        result = report(subjects, found, history, now)
        history.learn(found, now)
        history.write()
        return result

    return run
