"""Draw docs/import-graph.svg, the packages of modelprep and who imports whom: ``python docs/make_import_graph.py``.

``--check`` only compares. Imports inside functions count. An arrow that follows from two others is not drawn.
"""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from html import escape
from pathlib import Path

DOCS = Path(__file__).resolve().parent
PACKAGE = DOCS.parent / "modelprep"
PICTURE = DOCS / "import-graph.svg"
WIDTH, HEIGHT, GAP_X, GAP_Y = 120, 44, 40, 70


def read() -> dict[str, set[str]]:
    """Return who imports whom, by package below ``modelprep``."""
    graph: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if name.startswith("_"):
            continue
        found = graph.setdefault(name, set())
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "modelprep":
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("modelprep."):
                found.add(str(node.module).split(".")[1])
    return {name: (below & graph.keys()) - {name} for name, below in graph.items()}


def layers(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the packages in layers, each below all that import it; raises CycleError where there is a circle."""
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    found = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        found.append(ready)
        sorter.done(*ready)
    return found[::-1]


def essential(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports that do not follow from others (the transitive reduction)."""
    reach: dict[str, set[str]] = {}
    for name in TopologicalSorter(graph).static_order():
        reach[name] = graph[name].union(*(reach[below] for below in graph[name]))
    return {name: below - set().union(*(reach[each] for each in below)) for name, below in graph.items()}


def draw() -> str:
    """Return the picture as SVG."""
    graph = read()
    rows = layers(graph)
    across = max(len(row) for row in rows)
    width, height = across * (WIDTH + GAP_X) + GAP_X, len(rows) * (HEIGHT + GAP_Y)
    places = {}
    for y, row in enumerate(rows):
        left = (width - len(row) * (WIDTH + GAP_X) + GAP_X) // 2
        places.update(
            {name: (left + x * (WIDTH + GAP_X), GAP_Y // 2 + y * (HEIGHT + GAP_Y)) for x, name in enumerate(row)}
        )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        "<title>Imports between the packages of modelprep</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for name, imported in sorted(essential(graph).items()):
        for below in sorted(imported):
            (x1, y1), (x2, y2) = places[name], places[below]
            x1, y1, x2 = x1 + WIDTH // 2, y1 + HEIGHT, x2 + WIDTH // 2
            curve = f"M{x1} {y1}C{x1} {y1 + 40} {x2} {y2 - 40} {x2} {y2}"
            parts.append(f'<path d="{curve}" fill="none" stroke="#8aa0b8"/>')
    for name, (x, y) in sorted(places.items()):
        parts.append(
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#eef3f9" stroke="#345"/>'
            f'<text x="{x + WIDTH // 2}" y="{y + 27}" text-anchor="middle">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    made = draw()
    if "--check" in sys.argv and PICTURE.read_text("utf-8") != made:
        sys.exit(f"{PICTURE} is not what the code says: python docs/make_import_graph.py")
    PICTURE.write_text(made, "utf-8")
