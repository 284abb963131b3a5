"""Write docs/performance.md and its plot from what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE, PLOT = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"

HEAD = """# Performance

Made by `make bench`; every ratio is of runs that took turns in one session, median of {rounds} rounds with the range.
Loopback is the network, files are in the page cache, and the processes are whole commands with their start-up.

{processors} processors ({processor}), {system}, Python {python}. The last column is the machine's load average
before the row was measured: ratios of runs on a busy machine scatter more.

![Each row against what it should reach](performance.svg)

| measure | reach | found | range | peak MiB | load |
| --- | --- | --- | --- | --- | --- |
"""


def write(found: dict[str, Any]) -> None:
    """Write the page and the plot.

    Parameters
    ----------
    found
        ``machine`` and ``rows``, as in benchmarks/results.json.
    """
    text = HEAD.format(**found["machine"])
    notes = []
    for row in found["rows"]:
        sign = "&ge;" if row["more"] else "&le;"
        reach = "" if row["reach"] is None else f"{sign} {row['reach']:g}"
        if "median" not in row:
            text += f"| {row['name']} | {reach} | not measured | | | |\n"
        else:
            low, high = row["range"]
            mark = {True: "", False: " (not reached)", None: ""}[row["reached"]]
            spread = f"{low:.2f} to {high:.2f}" if low != high else ""
            peak = f"{max(pair[0]['peak'] for pair in row['pairs']):.0f}" if row["pairs"] else ""
            text += f"| {row['name']} | {reach} | {row['median']:.2f}{mark} | {spread} | {peak} | {row['load']} |\n"
        if row["note"]:
            notes.append(f"- {row['name']}: {row['note']}.")
    PAGE.write_text(text + "\n" + "\n".join(notes) + "\n", encoding="utf-8")
    plot([row for row in found["rows"] if row.get("reached") is not None])


def plot(rows: list[dict[str, Any]]) -> None:
    """Draw how far each row is from what it should reach: 1 is that, less is better."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "modelprep"
    from matplotlib import pyplot

    shares = [row["reach"] / row["median"] if row["more"] else row["median"] / row["reach"] for row in rows]
    figure, axes = pyplot.subplots(figsize=(9, 0.42 * len(rows) + 1), layout="constrained")
    colours = ["#2f7d4f" if share <= 1 else "#b4552d" for share in shares]
    axes.barh(range(len(rows)), shares, color=colours)
    axes.set_yticks(range(len(rows)), [row["name"][:64] for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("found / reach (left of the line: reached)", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    figure.savefig(PLOT, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    write(json.loads((ROOT / "benchmarks" / "results.json").read_text()))
