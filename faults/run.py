"""The score card: ``make faults`` runs everything and writes docs/reliability.md; ``ONE=kills`` runs some rows.

The results of the last whole run, and of the rows that were run again after it, lie in ``.faults.jsonl``; the page is
made of the last result of each row and says which rows had failed before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import datetime, timezone

import downloads
import ends
import fuzzing
import peers
import trust
from card import ROOT, Result, check

PAGE = ROOT / "docs" / "reliability.md"
RESULTS = ROOT / ".faults.jsonl"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.0, help="for fuzzing, in all")
    parser.add_argument("--kills", type=int, default=ends.KILLS)
    parser.add_argument("--one", default="", help="only rows whose name has this in it, or a group")
    chosen = parser.parse_args()
    os.environ.setdefault("MODELPREP_ALLOW_PRIVATE", "1")  # the servers are on loopback
    groups = {
        "downloads": downloads.ROWS,
        "trust": trust.ROWS,
        "ends": ends.rows(chosen.kills),
        "fuzzing": fuzzing.rows(chosen.minutes * 60),
    }
    if not chosen.one:
        RESULTS.unlink(missing_ok=True)
    done: list[Result] = []
    for name, rows in groups.items():
        done += check([row for row in rows if chosen.one in row.name or chosen.one == name], _tell)
    earlier = kept()
    names = {name: [row.name for row in rows] for name, rows in groups.items()}
    if all(row in earlier for rows in names.values() for row in rows):
        PAGE.write_text(page({name: [earlier[row] for row in rows] for name, rows in names.items()}), "utf-8")
        print(f"written: {PAGE.relative_to(ROOT)}")
    failed = [result for result in done if not result.passed]
    print(f"{len(failed)} of {len(done)} rows failed")
    return bool(failed)


def kept() -> dict[str, list[Result]]:
    """Read the results by row, the last one last."""
    found: dict[str, list[Result]] = {}
    for line in RESULTS.read_text("utf-8").splitlines() if RESULTS.is_file() else ():
        result = Result(**json.loads(line))
        found.setdefault(result.name, []).append(result)
    return found


def _tell(result: Result) -> None:
    print(f"{'ok  ' if result.passed else 'FAIL'} {result.name}: {result.seen} ({result.seconds:.0f} s)", flush=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def page(tries: dict[str, list[list[Result]]]) -> str:
    """Write the page."""
    from modelprep.version import __version__

    results = {name: [row[-1] for row in rows] for name, rows in tries.items()}
    every = [row for rows in tries.values() for row in rows]
    again = [row[0].name for row in every if row[-1].passed and not all(one.passed for one in row)]
    when = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    where = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    lines = [
        "# Reliability",
        "",
        "What modelprep does under faults, attacks and limits. `make faults` runs all of it and writes this page.",
        "The faults are served on loopback; every row is a real command in a separate process.",
        "",
        f"Last run: {when}, modelprep {__version__}, {where}.",
        *([f"Failed once in a whole run, passed when run again by themselves: {'; '.join(again)}."] if again else []),
        "",
        "## Downloads, beside other programs",
        "",
        "The other columns were measured once, with the versions named in `faults/peers.py`. `BAD`: wrong bytes are",
        "kept with exit status 0, something good is destroyed, or it is stuck for ever. `-`: does not apply.",
        "",
        f"| fault | modelprep | {' | '.join(peers.NAMES)} |",
        "| --- " * (2 + len(peers.NAMES)) + "|",
    ]
    lines += [f"| {one.name} | {_cell(one)} | {' | '.join(peers.TABLE[one.name])} |" for one in results["downloads"]]
    titles = {
        "trust": "## Recipes, servers, files and surroundings",
        "ends": "## Kills, processes, disks",
        "fuzzing": "## Fuzzing",
    }
    for name, title in titles.items():
        lines += ["", title, ""]
        if name == "fuzzing":
            lines += [
                "Guided by coverage, one reader at a time. What is raised and is no error of modelprep's is a finding,",
                "and so is an input of 20 kB that takes more than 10 s. `make faults MINUTES=60` is the long run.",
                "",
            ]  # fmt: skip
        lines += ["| what | result |", "| --- | --- |"]
        lines += [f"| {result.name} | {_cell(result)} |" for result in results[name]]
    return "\n".join(lines) + "\n"


def _cell(result: Result) -> str:
    seen = result.seen.replace("|", "\\|").replace("\n", " ")
    return seen if result.passed else f"**FAILS**: {seen[:200]}"


if __name__ == "__main__":
    sys.exit(main())
