"""Edit a recipe's text: only the necessary lines change, comments and layout are kept.

Used by ``modelprep recipe pin``, which moves a first-use pin from ``modelprep.lock`` into the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelprep.errors import RecipeError
from modelprep.quoting import line, yaml
from modelprep.recipe import yaml_tree
from modelprep.recipe.lockfile import FIRST_USE, Pin
from modelprep.recipe.problems import Placed
from modelprep.recipe.yaml_tree import Scalar

SEEN = FIRST_USE + "{url}; no publisher states it"


#: The characters from the start of one node to the end of another are replaced by a text.
_Change = tuple[Placed, Placed, str]


def pin_assets(text: str, path: Path, pins: Mapping[str, Pin]) -> str:
    """Replace ``pin: first-use`` by digests, by the asset's id in a recipe or a file of shared assets.

    Everything else is unchanged, byte for byte. Raises `RecipeError` if an asset is not in the file or not pinned at
    first use, or if parsing the new text does not result in the old recipe with the pins. `path` is for messages.
    """
    root = yaml_tree.compose(text, path)
    assets = root.entries.get("assets")
    changes: list[_Change] = []
    for asset_id, pin in pins.items():
        node = assets.entries.get(asset_id) if isinstance(assets, yaml_tree.Mapping) else None
        if not isinstance(node, yaml_tree.Mapping):
            raise RecipeError(f"unknown asset '{asset_id}'", where=str(path))
        mark = node.entries.get("pin")
        if not isinstance(mark, Scalar) or mark.value != "first-use":
            raise RecipeError(f"the asset '{asset_id}' does not have 'pin: first-use'", where=f"{path}:{node.line + 1}")
        changes += _pin(node, mark, pin)
    changed = _apply(text, changes)
    _verify(text, changed, path, pins)
    return changed


def _pin(node: yaml_tree.Mapping, mark: Scalar, pin: Pin) -> list[_Change]:
    key = node.keys["pin"]
    new = {"sha256": yaml(pin.sha256), "size": str(pin.size)}
    if "pinned_by" not in node.entries:
        new["pinned_by"] = yaml(line(SEEN.format(url=pin.first_seen_from)))
    changes: list[_Change] = []
    old_size = node.entries.get("size")
    if isinstance(old_size, Scalar):
        changes.append((old_size, old_size, new.pop("size")))
    # A mapping in braces stays on its line; in a block each key gets its own line, indented like its neighbours.
    between = ", " if node.flow else f"\n{' ' * key.column}"
    lines = between.join(f"{name}: {value}" for name, value in new.items())
    return [*changes, (key, mark, lines)]


def _apply(text: str, changes: list[_Change]) -> str:
    lines = text.splitlines(keepends=True)
    for first, last, new in sorted(changes, key=lambda each: (each[0].line, each[0].column), reverse=True):
        changed = lines[first.line][: first.column] + new + lines[last.end.line][last.end.column :]
        lines[first.line : last.end.line + 1] = [changed]
    return "".join(lines)


def _verify(old: str, new: str, path: Path, pins: Mapping[str, Pin]) -> None:
    """Check that the new text parses to the old recipe with the pins and nothing else."""
    want = yaml_tree.plain(yaml_tree.compose(old, path))
    for asset_id, pin in pins.items():
        asset = want["assets"][asset_id]
        del asset["pin"]
        asset["sha256"], asset["size"] = pin.sha256, pin.size
        asset.setdefault("pinned_by", line(SEEN.format(url=pin.first_seen_from)))
    try:
        read = yaml_tree.plain(yaml_tree.compose(new, path))
    except RecipeError:
        read = None
    if read != want:
        raise RecipeError(
            "the layout of the file does not allow a safe change",
            where=str(path),
            hint="replace 'pin: first-use' by sha256, size and pinned_by by hand",
        )
