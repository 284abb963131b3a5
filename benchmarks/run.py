"""Every measure of docs/performance.md, each beside its peer, in one run: ``make bench``.

python benchmarks/run.py                       everything, and docs/performance.md with its plot
python benchmarks/run.py --only small,hosts    some rows, printed only
python benchmarks/run.py --quick               small sizes: to see that it works; its figures mean nothing
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import conversions
import startup
import transfers
from timing import MIB, ROOT, Row

#: What `modelprep bench` can measure: name -> (work, rounds) -> rows.
Measure = Callable[[Path, int], list[Row]]


def measures(*, quick: bool) -> dict[str, Measure]:
    """Everything that can be measured, by the name that ``--only`` takes."""
    size = 8 * MIB if quick else 512 * MIB
    numbers = (10, 30) if quick else (100, 1000, 10_000)
    return {
        "large": partial(transfers.large, size=size),
        "small": partial(transfers.small, count=10 if quick else 300),
        "slow": partial(transfers.slow, size=4 * size if quick else size),
        "hosts": partial(transfers.hosts, count=6 if quick else 12),
        "second": partial(transfers.second, size=2 * size),
        "commands": startup.commands,
        "catalogue": startup.catalogue,
        "trees": partial(startup.trees, sizes=numbers),
        "stores": partial(startup.stores, sizes=numbers if quick else (1000, 10_000, 100_000)),
        "bake": conversions.bake,
        "freeze": conversions.freeze,
        "photographs": conversions.photographs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", help="names of rows, with commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to work (default: the system's temporary folder)")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and benchmarks/results.json")
    options = parser.parse_args()
    known = measures(quick=options.quick)
    names = options.only.split(",") if options.only else list(known)
    if unknown := set(names) - set(known):
        parser.error(f"no row called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    rows: list[Row] = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory(prefix="modelprep-bench-", dir=options.folder) as folder:
            found = known[name](Path(folder), 1 if options.quick else options.rounds)
        for row in found:
            row.load = load
            print(line(row), flush=True)
        rows += found
    if options.write:
        write(rows, options.rounds)


def line(row: Row) -> str:
    """One row as text: what, reach, median, range."""
    reach = "" if row.reach is None else f"{'>=' if row.more else '<='} {row.reach:g}"
    if not row.ratios:
        return f"{row.name[:78]:<78} {reach:>8}  not measured: {row.note}"
    spread = f"({row.ratios[0]:.2f} to {row.ratios[-1]:.2f})" if len(row.ratios) > 1 else ""
    return f"{row.name[:78]:<78} {reach:>8} {row.median:>8.2f} {spread}"


def machine(rounds: int) -> dict[str, object]:
    """What was measured on."""
    model = ""
    for text in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else ():
        model = text.partition(":")[2].strip() if text.startswith("model name") else model
    return {
        "processors": os.cpu_count(),
        "processor": model,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "rounds": rounds,
    }


def write(rows: list[Row], rounds: int) -> None:
    """Write the results, the page and its plot."""
    import page

    found = {"machine": machine(rounds), "rows": [row.to_json() for row in rows]}
    (ROOT / "benchmarks" / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    page.write(found)


if __name__ == "__main__":
    main()
