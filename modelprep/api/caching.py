"""Verbs that inspect, verify and clean the cache."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelprep.api.declaring import Unpack, Words, verb, words
from modelprep.api.frame import verb_of
from modelprep.api.options import Cache, GcOptions, VerifyOptions
from modelprep.errors import DigestMismatch, UsageError
from modelprep.events import Event, Listener
from modelprep.structs import dataclass, facts

if TYPE_CHECKING:
    from modelprep.pipeline.repairing import Repaired
    from modelprep.store.maintenance import GcReport, StoreInfo, VerifyReport


@verb(Cache)
def cache_info(**options: Unpack[Cache]) -> StoreInfo:
    """Say where the cache is and what is in it. The command ``cache info``."""
    with verb_of(Cache, options) as (given, _):
        from modelprep.store import Store, maintenance

        return maintenance.info(Store.open(given.cache))


@dataclass(frozen=True)
class VerifiedCache:
    """What a verification found, and what a repair restored.

    `report`: what was hashed, and what was corrupt. `repaired`: what a repair restored; empty if none was asked for or
    needed. `error`: what is left corrupt; None if nothing is.
    """

    report: VerifyReport
    repaired: Repaired
    error: DigestMismatch | None

    def to_json(self) -> dict[str, object]:
        """Return it JSON-ready."""
        report = self.report
        return {
            **facts(report, "ok", "checked", "checked_bytes"),
            "rotten": list(report.corrupt),
            "quarantined": [str(path) for path in report.quarantined],
            "broken_results": list(report.broken_results),
            "restored": self.repaired.restored,
        }


@verb(VerifyOptions)
def verify_cache(*, listen: Listener | None = None, **options: Unpack[VerifyOptions]) -> VerifiedCache:
    """Hash every cached file again; corrupt ones are quarantined. The command ``cache verify``.

    Raises
    ------
    ModelprepError
        The cache cannot be read; Ctrl-C. What is corrupt is in the result.
    """
    with verb_of(VerifyOptions, options, listen) as (given, tell):
        from modelprep.api.fetching import catalogue_of, request_of
        from modelprep.pipeline.inventory import plan_each
        from modelprep.pipeline.repairing import Repaired, repair
        from modelprep.store import Store, maintenance

        store = Store.open(given.cache)

        def progress(done: int, total: int | None) -> None:
            tell(Event("progress", task="verify", label="verify", done=done, total=total))

        report = maintenance.verify(store, progress)
        tell(Event("done", task="verify", label="verify"))
        repaired = Repaired()
        if given.repair and not report.ok:
            plans = plan_each(request_of("all", given), catalogue_of(given), store)
            repaired = repair(plans, report, tell)
        left = repaired.failed if given.repair else report.corrupt
        error = DigestMismatch(
            f"{len(left)} cached files are corrupt; they are in quarantine",
            where=str(store.root),
            got=", ".join(left),
            hint="check the disk; to get the files again: modelprep cache verify --repair",
        )
        return VerifiedCache(report, repaired, error if left else None)


@verb(GcOptions)
def collect_garbage(targets: Words = (), **options: Unpack[GcOptions]) -> GcReport:
    """Remove from the cache what no recipe uses, or what `targets` do not use. The command ``cache gc``.

    Finished trees are never touched; `max_size` also keeps the files of the trees below `out`, and files with a
    first-use checksum.

    Raises
    ------
    ModelprepError
        A recipe is broken, so its files are unknown; or a run is using the cache.
    """
    with verb_of(GcOptions, options) as (given, _):
        from modelprep.api.fetching import catalogue_of, request_of
        from modelprep.pipeline.inventory import blobs_in_use, blobs_needed, plan_each, recipes_in_use
        from modelprep.recipe.outside import DOWNLOADED, UNPACKED
        from modelprep.store import Store, maintenance

        known, store = catalogue_of(given), Store.open(given.cache)
        request = request_of(words(targets) or "all", given)

        def keep() -> set[str]:
            plans = plan_each(request, known, store, words(targets), strict=True)
            return blobs_in_use(plans) | recipes_in_use(known, request.lock_path)

        return maintenance.gc(
            store,
            keep,
            older_than=given.older_than * 86400,
            max_bytes=None if given.max_size is None else parse_size(given.max_size),
            needed=lambda: blobs_needed(given.out, request.lock_path),
            unpacked=(DOWNLOADED, UNPACKED),
            dry_run=given.dry_run,
        )


def parse_size(text: str) -> int:
    """Read a number of bytes as people write it; units of 1024 end in ``iB``, those of 1000 in ``B``.

    >>> parse_size("2GiB"), parse_size("1.5 MB"), parse_size("4096")
    (2147483648, 1500000, 4096)

    Raises UsageError: the text is not a size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(i?)B?|B)?", text.strip(), re.IGNORECASE | re.ASCII)
    if found is None:
        raise UsageError("this is not a size", expected="a number of bytes, such as 2GiB, 500MB or 4096", got=text)
    number, unit, binary = found.groups()
    power = "KMGT".index(unit.upper()) + 1 if unit else 0
    return round(float(number) * float(1024 if binary else 1000) ** power)
