"""Write the table of layers into the how-to: ``python docs/make_layers.py``; ``--check`` only compares."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from modelprep.formats.caffe.to_onnx.registry import CONVERSIONS, REFUSED

PAGE = Path(__file__).resolve().parent / "how-to" / "caffe-to-onnx.md"
BEGIN, END = "<!-- layers: made by python docs/make_layers.py -->\n", "<!-- end of layers -->\n"


def table() -> str:
    """Return the table; the same for the same registry."""
    lines = ["| layer | ONNX operators | notes |", "| --- | --- | --- |"]
    lines += [f"| {name} | {one.becomes} | {one.notes} |" for name, one in sorted(CONVERSIONS.items())]
    lines += ["", "Refused:", "", "| layer | why |", "| --- | --- |"]
    by_reason = sorted(REFUSED.items(), key=lambda item: (item[1], item[0]))
    for why, layers in groupby(by_reason, key=lambda item: item[1]):
        lines.append(f"| {', '.join(name for name, _ in layers)} | {why} |")
    return "\n".join(lines) + "\n"


def render() -> str:
    """Return the whole page with its table made again."""
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    return head + BEGIN + table() + END + rest.partition(END)[2]


def main() -> int:
    """Write the page, or with ``--check`` say whether it is what it should be."""
    made = render()
    if "--check" in sys.argv[1:]:
        return int(PAGE.read_text("utf-8") != made)
    PAGE.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
