"""``MANIFEST.json`` and ``SHA256SUMS``: the files of a finished tree, their demos and provenance.

The manifest also records which files modelprep has installed: only these may be replaced or removed. It contains no
dates and no paths of the machine, so that the same recipes and the same inputs result in the same bytes (see
``docs/decisions/0003-tree-manifest.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from modelprep import quoting
from modelprep.errors import StorageError
from modelprep.recipe.text import board_fault, demo_fault, forbidden, name_fault
from modelprep.regular import opened
from modelprep.store.disk import storage
from modelprep.store.results import is_sha256
from modelprep.structs import dataclass, field

MANIFEST = "MANIFEST.json"
SUMS = "SHA256SUMS"
RUN_TESTS = "run-tests.sh"
SCHEMA = 1
#: Maximum size of a manifest.
_LARGEST = 64 << 20


@dataclass(frozen=True)
class AssetUsed:
    """An asset that went into an installed file: fields as in the recipe, `sha256` and `size` of the used bytes.

    `source` is the recipe's first URL of it (``URL#member`` for a file taken out of an archive), ``--set`` for a user's
    file, empty if there is none; `warning` the problem of a file that the user accepted anyway.
    """

    name: str
    source: str
    sha256: str
    size: int
    licence: str = ""
    licence_source: str = ""
    pinned_by: str = ""
    restricted: bool = False
    warning: str = ""

    @property
    def canonical_url(self) -> str:
        """The recipe's first URL, whatever server delivered the file; empty for a user's file."""
        return "" if self.source == "--set" else self.source


@dataclass(frozen=True)
class StepUsed:
    """A step on the way to an installed file: name, version, and its parameters (references as ``$name``)."""

    step: str
    version: int
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """Provenance of a file: its assets, and its steps in order."""

    assets: tuple[AssetUsed, ...] = ()
    steps: tuple[StepUsed, ...] = ()


@dataclass(frozen=True)
class InstalledFile:
    """One file of the tree: `path` relative to the tree with slashes, `size` in bytes, recipe names in `demos`."""

    path: str
    sha256: str
    size: int
    demos: tuple[str, ...]
    provenance: Provenance = Provenance()


@dataclass(frozen=True)
class InstalledDemo:
    """One demo of the tree: fields as in the recipe, whose name is `recipe`.

    `key` is the digest over everything that determines the demo's files (:mod:`modelprep.pipeline.plan.keys`): equal
    keys, equal files.
    """

    recipe: str
    demo: str
    key: str
    summary: str = ""
    manual: str = ""
    run: str = ""
    board: str = ""
    variant: str = ""
    programs: str = ""
    interactive: bool = False
    expect: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """Contents of a tree: demos by recipe name, files by path."""

    tree: str = ""
    demos: Mapping[str, InstalledDemo] = field(default_factory=dict)
    files: Mapping[str, InstalledFile] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return the manifest as JSON-ready values, sorted."""
        return {
            "schema": SCHEMA,
            "tree": self.tree,
            "demos": [_demo_json(self.demos[name]) for name in sorted(self.demos)],
            "files": [_file_json(self.files[path]) for path in sorted(self.files)],
        }

    def text(self) -> str:
        """Return the text of ``MANIFEST.json``: indented by two, keys in the order of the structs, a last newline."""
        return self._text

    @cached_property
    def _text(self) -> str:
        return quoting.json(self.to_json(), indent=2) + "\n"

    def sums(self) -> str:
        """Return the text of ``SHA256SUMS``, which ``sha256sum -c`` reads inside the tree."""
        return "".join(quoting.sums_line(self.files[path].sha256, path) for path in sorted(self.files))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a tree; empty if there is none."""
    path = folder / MANIFEST
    with storage(path, doing="read the manifest"):
        try:
            with opened(path) as file:
                data = file.read(_LARGEST + 1)
            if len(data) > _LARGEST:
                raise _damaged(path, "too large for a manifest")
        except FileNotFoundError:
            return Manifest(tree=folder.name)
    return _parsed(data, str(path))


#: A run looks at a tree's manifest once for each of its demos.
@lru_cache(maxsize=2)
def _parsed(data: bytes, origin: str) -> Manifest:
    return parse_manifest(data, origin)


def parse_manifest(text: str | bytes, origin: str) -> Manifest:
    """Read the text of a manifest; `origin` is its name in messages."""
    import json

    try:
        return _manifest(json.loads(text), origin)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(origin, f"{type(error).__name__}: {error}") from None


def _damaged(path: Path | str, got: str) -> StorageError:
    return StorageError(
        "the tree's manifest is not valid",
        where=str(path),
        got=got,
        hint="move it away and fetch again: correct files are kept, others are saved as NAME.orig",
    )


def _manifest(value: Any, path: str) -> Manifest:
    if value["schema"] != SCHEMA:
        raise StorageError(
            "the tree's manifest was written by another version of modelprep",
            where=str(path),
            expected=f"schema {SCHEMA}",
            got=f"schema {value['schema']}",
            hint="use that version, or fetch into another folder with --out",
        )
    demos = {entry["recipe"]: _demo(entry) for entry in value["demos"]}
    files = {entry["path"]: _file(entry) for entry in value["files"]}
    return Manifest(tree=str(value["tree"]), demos=demos, files=files)


def _demo(entry: dict[str, Any]) -> InstalledDemo:
    """Parse a demo's entry. A tree may come from a third party, so its texts must be valid for a recipe."""
    demo = InstalledDemo(**entry)
    texts = [value for name, value in vars(demo).items() if name not in ("expect", "interactive")]
    sound = isinstance(demo.expect, dict) and isinstance(demo.interactive, bool)
    if not all(isinstance(text, str) for text in texts) or not sound:
        raise ValueError(f"a demo's entry is not well formed: {demo.recipe!r}")
    faults = [demo_fault(demo.demo), name_fault(demo.recipe), board_fault(demo.board) if demo.board else None]
    for fault in filter(None, [*faults, *map(forbidden, texts)]):
        raise ValueError(f"a demo's entry has a text that is not valid in a recipe: {fault}")
    return demo


def _file(entry: dict[str, Any]) -> InstalledFile:
    path, sha256, size = entry["path"], entry["sha256"], entry["size"]
    if not (isinstance(path, str) and isinstance(sha256, str) and is_sha256(sha256) and isinstance(size, int)):
        raise ValueError(f"a file entry is not well formed: {path!r}")
    parts = path.split("/")
    # Listed files may be removed: a foreign manifest must not refer to files outside its tree.
    if path.startswith("/") or "" in parts or ".." in parts or "." in parts or "\\" in path or "\0" in path:
        raise ValueError(f"a path leads out of the tree: {path!r}")
    demos = tuple(entry["demos"])
    # The canonical URL follows from the source; older manifests do not have it.
    assets = tuple(
        AssetUsed(**{name: value for name, value in asset.items() if name != "canonical_url"})
        for asset in entry["assets"]
    )
    steps = tuple(StepUsed(**step) for step in entry["steps"])
    texts = [*demos, *(value for each in (*assets, *steps) for value in vars(each).values()
                       if not isinstance(value, (int, Mapping)))]  # fmt: skip
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"a file entry is not well formed: {path!r}")
    return InstalledFile(path, sha256, size, demos, Provenance(assets, steps))


def _demo_json(demo: InstalledDemo) -> dict[str, object]:
    optional = ("programs", "interactive")
    facts = {name: value for name, value in vars(demo).items() if value or name not in optional}
    return {**facts, "expect": plain(demo.expect)}


def _asset_facts(asset: AssetUsed) -> dict[str, object]:
    return {"name": asset.name, "source": asset.source, "canonical_url": asset.canonical_url, **vars(asset)}


def _file_json(file: InstalledFile) -> dict[str, object]:
    return {
        "path": file.path,
        "sha256": file.sha256,
        "size": file.size,
        "demos": sorted(file.demos),
        "assets": [
            {name: value for name, value in _asset_facts(asset).items() if value or name != "warning"}
            for asset in sorted(file.provenance.assets, key=lambda asset: asset.name)
        ],
        "steps": [
            {"step": step.step, "version": step.version, "parameters": plain(step.parameters)}
            for step in file.provenance.steps
        ],
    }


def plain(value: object) -> object:
    """Convert a recipe's value for JSON: mappings sorted by key, tuples to lists, references to ``$name``."""
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
