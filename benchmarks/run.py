"""Measure every row of docs/performance.md, each beside its peer: ``make bench``.

python benchmarks/run.py                       everything
python benchmarks/run.py --only small,hosts    some measures: their rows replace the older ones on the page
python benchmarks/run.py --quick               small sizes, printed only: shows that it works; its figures mean nothing

Results, page and plot are written after each measure. One that fails says so in its row; the others still run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import conversions
import overlap
import peers
import startup
import transfers
from timing import MIB, ROOT, Row

#: (working folder, rounds) -> rows.
Measure = Callable[[Path, int], list[Row]]


def measures(*, quick: bool) -> dict[str, Measure]:
    """Return all measures by the name that ``--only`` takes."""
    size = 8 * MIB if quick else 512 * MIB
    numbers = (10, 30) if quick else (100, 1000, 10_000)
    return {
        "large": partial(transfers.large, size=size),
        "small": partial(transfers.small, count=10 if quick else 300),
        "slow": partial(_few, 2, partial(transfers.slow, size=4 * size if quick else size)),
        "hosts": partial(transfers.hosts, count=6 if quick else 12),
        "overlap": partial(_few, 2, partial(overlap.demos, full=not quick)),
        "downloads": partial(peers.downloads, size=size),
        "second": partial(transfers.second, size=2 * size),
        "commands": startup.commands,
        "catalogue": startup.catalogue,
        "trees": partial(startup.trees, sizes=numbers),
        "stores": partial(startup.stores, sizes=numbers if quick else (1000, 10_000, 100_000)),
        "bake": conversions.bake,
        "verification": conversions.verification,
        "tensorflow": conversions.tensorflow,
        "tools": peers.tools,
        "photographs": conversions.photographs,
    }


def _few(most: int, measure: Measure, work: Path, rounds: int) -> list[Row]:
    """Measure in at most so many rounds what takes minutes each."""
    return measure(work, min(most, rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", help="names of rows, with commas")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3; slow and overlap take at most 2")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to work (default: the system's temporary folder)")
    options = parser.parse_args()
    known = measures(quick=options.quick)
    names = options.only.split(",") if options.only else list(known)
    if unknown := set(names) - set(known):
        parser.error(f"no measure called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    # Each in a separate process: the peak of a program that is started counts what its parent holds.
    spawn = multiprocessing.get_context("spawn")
    failed = False
    for name in names:
        process = spawn.Process(target=measure, args=(name, options))
        process.start()
        process.join()
        failed |= process.exitcode != 0
    sys.exit(failed)


def measure(name: str, options: argparse.Namespace) -> None:
    """Take one measure, print its rows and put them on the page; exit with 1 if it fails."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    about = {**machine(), "load": round(os.getloadavg()[0], 1), "rounds": options.rounds}
    began, failed, known = time.monotonic(), False, measures(quick=options.quick)
    with tempfile.TemporaryDirectory(prefix="modelprep-bench-", dir=options.folder) as folder:
        try:
            rows = known[name](Path(folder), 1 if options.quick else options.rounds)
        except Exception as error:  # noqa: BLE001 - the row says so
            failed = True
            rows = [Row(f"`{name}`", None, note=f"it failed: {' '.join(str(error).split())[-300:]}")]
    about["seconds"] = round(time.monotonic() - began)
    for row in rows:
        print(line(row), flush=True)
    if not options.quick:
        merge(name, {**about, "rows": [row.to_json() for row in rows]}, list(known))
    sys.exit(failed)


def line(row: Row) -> str:
    """Return one row as text: name, reach, median, range."""
    reach = "" if row.reach is None else f"{'>=' if row.more else '<='} {row.reach:g}"
    if not row.ratios:
        return f"{row.name[:78]:<78} {reach:>8}  not measured: {row.note}"
    spread = f"({row.ratios[0]:.2f} to {row.ratios[-1]:.2f})" if len(row.ratios) > 1 else ""
    return f"{row.name[:78]:<78} {reach:>8} {row.median:>8.2f} {spread}"


def machine() -> dict[str, object]:
    """Return the machine and its software."""
    model = ""
    for text in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else ():
        model = text.partition(":")[2].strip() if text.startswith("model name") else model
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    return {"machine": f"{os.cpu_count()} processors ({model}), {system}, Python {platform.python_version()}"}


def merge(name: str, found: dict[str, object], order: list[str]) -> None:
    """Replace the results of a measure, and write the page and its plot."""
    import page

    path = ROOT / "benchmarks" / "results.json"
    kept = json.loads(path.read_text()) if path.is_file() else {}
    kept[name] = found
    kept = {name: kept[name] for name in order if name in kept}
    path.write_text(json.dumps(kept, indent=1) + "\n")
    page.write(kept)


if __name__ == "__main__":
    main()
