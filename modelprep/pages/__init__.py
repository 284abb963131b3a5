"""HTML pages from templates: one engine, one stylesheet, everything from outside escaped.

A page is one self-contained file: it contains its stylesheet and pictures, and its policy forbids a browser to load
anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from typing import TYPE_CHECKING

from modelprep import quoting
from modelprep.version import __version__

if TYPE_CHECKING:
    from datetime import datetime


def render(template: str, *, when: datetime, **values: object) -> str:
    """Return a page as text.

    `template`: its name without ``.html``. `when`: the time of the results, in UTC. `values`: of the template's names;
    texts are escaped, control characters shown; no value may be HTML.
    """
    style = resources.files("modelprep.pages").joinpath("style.css").read_text("utf-8")
    date = f"{when:%Y-%m-%d %H:%M} UTC"
    return _filled(template, style=style, version=__version__, date=date, **values)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], total: str = "") -> str:
    """Return a table as HTML, for notebooks; `total` is a line below it."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    return _filled("table", columns=list(columns), rows=cells, total=total)


def _filled(template: str, **values: object) -> str:
    from jinja2 import DictLoader, Environment, StrictUndefined

    folder = resources.files("modelprep.pages")
    names = [f"{template}.html", "base.html", "macros.html"]
    environment = Environment(
        loader=DictLoader({name: folder.joinpath(name).read_text("utf-8") for name in names}),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{template}.html").render(**values)


def _shown(value: object) -> object:
    """Show control characters escaped; Jinja escapes for HTML afterwards. Its own markup stays."""
    return quoting.terminal(value) if type(value) is str else value
