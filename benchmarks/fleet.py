"""What a fleet of CI runners and boards asks of the shared cache, the origins and the tool: a simulation.

    python benchmarks/fleet.py             the tables of docs/scale.md
    python benchmarks/fleet.py --json

Everything that is assumed stands in `Fleet`; nothing is measured here. A job looks for a blob in its own store, then in
the shared cache, then at the origin; what it had to fetch is saved in the shared cache (mode write).
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Fleet:
    """What is assumed.

    Parameters
    ----------
    runners, boards
        How many machines fetch; how many boards are deployed to, each from some runner.
    days
        How long it runs.
    jobs
        Jobs a runner does in a day, each one fetch of one group.
    fresh
        Share of the jobs that begin with an empty store (a new container); the others have the runner's own.
    groups, blobs, size
        Groups of demos; blobs that one needs (downloads and results); bytes of one, on average.
    results
        Share of the blobs that are results of conversions, which no origin has.
    seconds
        CPU seconds of one conversion.
    changes
        Blobs that change in a day: a new recipe, model or version of a step.
    deploys
        Deployments to a board in a day; a board receives only what changed since its last one.
    shared
        Whether there is a shared cache.
    """

    runners: int = 1000
    boards: int = 500
    days: int = 30
    jobs: int = 20
    fresh: float = 0.8
    groups: int = 10
    blobs: int = 12
    size: int = 60_000_000
    results: float = 0.4
    seconds: float = 20.0
    changes: int = 4
    deploys: int = 4
    shared: bool = True


@dataclass(frozen=True)
class Outcome:
    """What was asked, in the whole time; bytes, requests and seconds."""

    jobs: int
    local_hits: int
    cache_hits: int
    origin_requests: int
    conversions: int
    cache_bytes: int
    origin_bytes: int
    written_bytes: int
    stored_bytes: int
    board_bytes: int

    @property
    def looks(self) -> int:
        """Blobs that were looked for."""
        return self.local_hits + self.cache_hits + self.origin_requests + self.conversions


def simulate(fleet: Fleet, seed: int = 1) -> Outcome:
    """Run it, one job after the other; the same numbers for the same seed."""
    chance = random.Random(seed)
    version = {(group, blob): 0 for group in range(fleet.groups) for blob in range(fleet.blobs)}
    made = round(fleet.blobs * fleet.results)
    stores: list[dict[tuple[int, int], int]] = [{} for _ in range(fleet.runners)]
    boards: list[dict[tuple[int, int], int]] = [{} for _ in range(fleet.boards)]
    cache: set[tuple[int, int, int]] = set()
    count = dict.fromkeys(("jobs", "local", "cache", "origin", "converted", "board"), 0)
    for _ in range(fleet.days):
        for _ in range(fleet.changes):
            version[chance.choice(list(version))] += 1
        for runner in range(fleet.runners):
            for _ in range(fleet.jobs):
                count["jobs"] += 1
                group = chance.randrange(fleet.groups)
                store = {} if chance.random() < fleet.fresh else stores[runner]
                for blob in range(fleet.blobs):
                    now = version[group, blob]
                    if store.get((group, blob)) == now:
                        count["local"] += 1
                    elif fleet.shared and (group, blob, now) in cache:
                        count["cache"] += 1
                    else:
                        count["converted" if blob < made else "origin"] += 1
                        cache.add((group, blob, now))
                    store[group, blob] = now
        for board in boards:
            for _ in range(fleet.deploys):
                group = chance.randrange(fleet.groups)
                for blob in range(made):  # what is installed: the results
                    if board.get((group, blob)) != version[group, blob]:
                        count["board"] += 1
                        board[group, blob] = version[group, blob]
    stored = len(cache) * fleet.size if fleet.shared else 0
    return Outcome(
        jobs=count["jobs"], local_hits=count["local"], cache_hits=count["cache"], origin_requests=count["origin"],
        conversions=count["converted"], cache_bytes=count["cache"] * fleet.size,
        origin_bytes=count["origin"] * fleet.size, written_bytes=stored, stored_bytes=stored,
        board_bytes=count["board"] * fleet.size,
    )  # fmt: skip


#: Name -> fleet, as the page shows them.
CASES = {
    "no shared cache": Fleet(shared=False),
    "shared cache": Fleet(),
    "shared cache, stores kept": Fleet(fresh=0.1),
}


def rows(cases: dict[str, Fleet] = CASES) -> list[dict[str, object]]:
    """Return one row a case, per day or per second, as the page shows them."""
    found = []
    for name, fleet in cases.items():
        out = simulate(fleet)
        day = 86400 * fleet.days
        found.append({
            "case": name,
            "jobs/day": out.jobs // fleet.days,
            "local hits": f"{out.local_hits / out.looks:.0%}",
            "cache hits": f"{out.cache_hits / max(1, out.looks - out.local_hits):.1%}",
            "cache requests/s": f"{(out.looks - out.local_hits) / day if fleet.shared else 0:.1f}",
            "cache Gbit/s": f"{out.cache_bytes * 8 / day / 1e9:.2f}",
            "origin requests/day": out.origin_requests // fleet.days,
            "origin GB/day": f"{out.origin_bytes / fleet.days / 1e9:.1f}",
            "conversions/day": out.conversions // fleet.days,
            "CPU h/day": f"{out.conversions * fleet.seconds / fleet.days / 3600:.1f}",
            "stored GB": f"{out.stored_bytes / 1e9:.0f}",
            "boards GB/day": f"{out.board_bytes / fleet.days / 1e9:.0f}",
        })  # fmt: skip
    return found


def table(found: list[dict[str, object]]) -> str:
    """Write rows as a Markdown table, a case a column."""
    lines = ["| | " + " | ".join(str(row["case"]) for row in found) + " |", "| --- |" + " --- |" * len(found)]
    lines += [f"| {key} | " + " | ".join(str(row[key]) for row in found) + " |" for key in found[0] if key != "case"]
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    found = rows()
    if parser.parse_args().json:
        print(json.dumps({"assumed": asdict(replace(Fleet())), "cases": found}, indent=2))
    else:
        print(table(found))


if __name__ == "__main__":
    main()
