"""Make the stand-in upstream, and the recipes that go with it.

    python demo/standin.py make DIR           the files, laid out DIR/<host>/<path>
    python demo/standin.py overlay DIR OUT    the shipped recipes in OUT, with the digests and sizes of the stand-in

Everything is made by code, the same bytes on every machine. ``docs/demo.md`` says what is in it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent
if str(_REPOSITORY) not in sys.path:
    sys.path.insert(0, str(_REPOSITORY))

RECIPES = _REPOSITORY / "recipes"


def make(folder: Path, recipes: Path = RECIPES) -> list[Path]:
    """Write the stand-in's files; return their paths."""
    from demo import layout
    from demo.families import make_all
    from modelprep.recipe.catalogue import SharedAssets

    return layout.write(folder, layout.addresses(SharedAssets([recipes / "assets"]), make_all()))


def make_overlay(folder: Path, out: Path, recipes: Path = RECIPES) -> dict[Path, int]:
    """Write the overlay for the files that are in `folder`; return how many values were replaced, by file."""
    from demo import layout, overlay
    from modelprep.recipe.catalogue import SharedAssets

    found = layout.read(folder, SharedAssets([recipes / "assets"]))
    if not found.contents:
        raise SystemExit(f"{folder} contains nothing of these recipes; `standin.py make {folder}` writes it")
    return overlay.overlay(recipes, out, found)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", type=Path, default=RECIPES, metavar="DIR", help="the recipes to go by")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("make", help="write the files")
    command.add_argument("folder", type=Path, metavar="DIR")
    command = commands.add_parser("overlay", help="write the recipes")
    command.add_argument("folder", type=Path, metavar="DIR")
    command.add_argument("out", type=Path, metavar="OUT")
    options = parser.parse_args(arguments)
    if options.command == "make":
        try:
            import numpy  # noqa: F401
        except ImportError:
            print("the stand-in is fitted with numpy: pip install numpy", file=sys.stderr)
            return 7
        written = make(options.folder, options.recipes)
        size = sum({p.stat().st_ino: p.stat().st_size for p in written}.values())
        print(f"{len(written)} addresses, {size} bytes in {options.folder}")
    else:
        counts = make_overlay(options.folder, options.out, options.recipes)
        print(f"{sum(counts.values())} values replaced in {sum(map(bool, counts.values()))} of {len(counts)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
