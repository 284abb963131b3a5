"""Write docs/performance.md and its plot from the results."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import shorten
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
PAGE, PLOT = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"

HEAD = """# Performance

Written by `make bench`; `make bench ONLY=bake` measures one row again. Ours and the peer run in turns; figures are the
median and the range of the rounds. Slow rows have fewer rounds. The network is loopback, files are in the page cache,
and times are of whole processes with their start-up. Peaks are of our process and of its peer; less than the runner's
own 25 MiB cannot be seen. Load is the machine's before the measure. Results are not verified (`--no-verify`) except in
the row of verification. The notes below the table state the measured limit of each row.

![Each row as a share of its aim](performance.svg)

| measure | aim | median | range | rounds | peak MiB, ours/peer | MiB on the wire | load |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def write(found: dict[str, Any]) -> None:
    """Write the page and the plot.

    Parameters
    ----------
    found
        Results of each measure, as in benchmarks/results.json.
    """
    text, notes = HEAD, []
    for measure in found.values():
        for row in measure["rows"]:
            text += f"| {' | '.join((row['name'], *_cells(row), str(measure['load'])))} |\n"
            if row["note"]:
                notes.append(f"- {row['name']}: {row['note']}.")
    machines = dict.fromkeys(measure["machine"] for measure in found.values())
    for machine in machines:
        names = [f"`{name}`" for name, measure in found.items() if measure["machine"] == machine]
        text += f"\n{machine}" + (f": {', '.join(names)}" if len(machines) > 1 else "") + ".\n"
    minutes = sum(measure["seconds"] for measure in found.values()) / 60
    text += f"\nAll measures took {minutes:.0f} minutes.\n\n" + "\n".join(notes) + "\n"
    PAGE.write_text(text, encoding="utf-8")
    rows = [row for measure in found.values() for row in measure["rows"]]
    plot([row for row in rows if row.get("reached") is not None])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    reach = "" if row["reach"] is None else f"{'&ge;' if row['more'] else '&le;'} {row['reach']:g}"
    wire = "" if row["wire"] is None else f"{row['wire'] / (1 << 20):.1f}"
    if "median" not in row:
        return reach, "not measured", "", "", "", wire
    low, high = row["range"]
    mark = " (not reached)" if row["reached"] is False else ""
    peaks = [max(pair[side]["peak"] for pair in row["pairs"]) for side in (0, 1)] if row["pairs"] else []
    peak = " / ".join(f"{each:.0f}" for each in peaks)
    return reach, f"{row['median']:.2f}{mark}", f"{low:.2f} to {high:.2f}", str(row["rounds"]), peak, wire


def plot(rows: list[dict[str, Any]]) -> None:
    """Draw each row as a share of its aim, with its range: 1 is the aim, less is better."""
    reach, scale, step = 470, 130, 22  # where names end and bars begin; pixels per unit and per line
    most = 3.0
    height = step * len(rows) + 40
    one = reach + scale
    drawn = []
    for number, row in enumerate(rows):
        ends = [
            row["reach"] / value if row["more"] else value / row["reach"] for value in (row["median"], *row["range"])
        ]
        share, low, high = ends[0], min(*ends, most), min(max(ends), most)
        y, colour = step * number + 8, "#2f7d4f" if share <= 1 else "#b4552d"
        line = reach + scale * low
        name = shorten(row["name"].replace("`", ""), 72, placeholder=" ...")
        found = f"{row['median']:.2f} ({'at least' if row['more'] else 'at most'} {row['reach']:g})"
        drawn.append(
            f'<text x="{reach - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{reach}" y="{y}" width="{scale * min(share, most):.1f}" height="15" fill="{colour}"/>'
            f'<path d="M{line:.1f} {y + 7.5}H{reach + scale * high:.1f}" stroke="#888" stroke-width="3"/>'
            f'<text x="{reach + scale * most + 4}" y="{y + 12}">{found}</text>'
        )
    base = step * len(rows) + 8
    drawn.append(
        f'<path d="M{one} 2V{base}" stroke="black"/><text x="{one}" y="{base + 18}" text-anchor="middle">1</text>'
    )
    drawn.append(f'<text x="{one + 14}" y="{base + 18}">share of the aim (left of the line: reached)</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{reach + scale * most + 130:.0f}" height="{height}"'
    head += ' font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
    PLOT.write_text("\n".join((head, *drawn, "</svg>")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(json.loads((ROOT / "benchmarks" / "results.json").read_text()))
