"""Write docs/licences.md from the recipes: ``python docs/make_licences.py``; ``--check`` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from modelprep.audit import Subject, subjects
from modelprep.recipe.catalogue import Catalogue, shipped_folder

PAGE = Path(__file__).resolve().parent / "licences.md"
_TOP = """\
# Licences of what is fetched

<!-- Made by: python docs/make_licences.py. Do not edit; edit the recipes. -->

modelprep itself is Apache-2.0 and ships none of these files, but for one small graph that stands beside its recipe.
Each file below comes from its publisher to you, under the terms that its recipe names with the place where they are
said. Where that place is not a document, nobody has traced the licence yet. `restricted` files go into no mirror and no
bundle unless you ask for it; `yours` are slots that you fill.

"""


def render() -> str:
    """Return the page's text; the same for the same recipes, whatever MODELPREP_RECIPES says."""
    catalogue = Catalogue([shipped_folder()])
    recipes = [catalogue.recipe(name) for name in catalogue.names()]
    variants = [catalogue.recipe(recipe.name, variant) for recipe in recipes for variant in recipe.variants]
    found = subjects([*recipes, *variants], catalogue.shared.values())
    lines = ["| asset | licence | said by | demos |", "| --- | --- | --- | --- |"]
    lines += [f"| {_name(s)} | {_cell(_licence(s)[0])} | {_cell(_licence(s)[1])} | {_demos(s)} |" for s in found]
    return _TOP + "\n".join(lines) + "\n"


def _name(subject: Subject) -> str:
    marks = [word for word, true in (("restricted", subject.asset.restricted), ("yours", _is_slot(subject))) if true]
    return f"`{subject.key}`" + (f" ({', '.join(marks)})" if marks else "")


def _is_slot(subject: Subject) -> bool:
    return subject.asset.provide and not subject.asset.sources


def _licence(subject: Subject) -> tuple[str, str]:
    licence = subject.asset.licence
    return (licence.name, licence.source) if licence is not None else ("not stated", "")


def _demos(subject: Subject) -> str:
    return _cell(", ".join(subject.demos)) or "none"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    """Write the page, or with ``--check`` compare it."""
    text = render()
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.is_file() and PAGE.read_text("utf-8") == text else 1
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
