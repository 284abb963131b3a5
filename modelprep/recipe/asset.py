"""Make the struct of an asset from its parsed keys."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from modelprep.recipe import yaml_tree
from modelprep.recipe.local import file_of, lies_in
from modelprep.recipe.problems import Problems
from modelprep.recipe.schema import ALGORITHMS, Asset, Digests, Licence, OtherVersion, Source
from modelprep.recipe.shapes import Table
from modelprep.recipe.shipped import is_packaged
from modelprep.url import Url

#: Keys whose values are fields of the struct.
_AS_WRITTEN = ("size", "pinned_by", "pin", "provide", "restricted", "filename", "summary", "notes")


def as_written(table: Table, keys: Collection[str]) -> dict[str, Any]:
    """Return the values of some keys for a struct; lists become tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items() if key in keys}


def make_asset(asset_id: str, table: Table, path: Path, *, shared: str = "", recipe: str = "") -> Asset:
    """Make the struct of an asset read without problems from `path`, where ``file:name`` is a file beside it."""
    return Asset(
        id=asset_id,
        sources=tuple(_source(read, node, path) for read, node in _sources(table)),
        digests=_digests(table),
        members={member: _digests(value) for member, value in table.get("members", {}).items()},
        licence=_licence(table.get("licence")),
        other_versions=tuple(
            OtherVersion(each["what"], _digests(each), each.get("size")) for each in table.get("other_versions", ())
        ),
        shared=shared,
        recipe=recipe,
        **as_written(table, _AS_WRITTEN),
    )


def check_asset(table: Table, at: str, path: Path, root: Path | None, problems: Problems) -> None:
    """Check that an asset with sources has a digest or a pin, and its sources.

    ``file:`` URLs must not lead outside `root` (None: the folder of `path`): recipes may come from third parties.
    """
    there = table.node.entries
    if "use" in there:
        return
    pinned = [name for name in ALGORITHMS if name in there]
    if "urls" in there and not pinned and "pin" not in there and "members" not in there:
        problems.add(
            "the asset has sources and no digest", table.node, at,
            expected=f"one of {', '.join(ALGORITHMS)}, members, or pin: first-use",
            hint="pin: first-use records the digest of the first download in modelprep.lock; never invent one",
        )  # fmt: skip
    if "pinned_by" in there and not pinned and "members" not in there:
        problems.add("'pinned_by' needs a digest", there["pinned_by"], at)
    seen: set[tuple[str, str]] = set()
    for index, (source, node) in enumerate(_sources(table)):
        here = f"{at}.urls[{index}]"
        text, member = (source, "") if isinstance(source, str) else (source.get("url", ""), source.get("member", ""))
        if text and (text, member) in seen:
            problems.add("the source occurs twice", node, here, got=text)
        seen.add((text, member))
        if text.startswith("file:") and not lies_in(text, path, root):
            problems.add(
                "a file: URL leads out of the folder of its recipes", node, here,
                expected=f"a file in {(root or path.parent).resolve()}", got=text,
                hint="copy the file there, or name it on the command line with --set",
            )  # fmt: skip


def _digests(table: Table) -> Digests:
    return Digests({name: table[name] for name in ALGORITHMS if name in table})


def _sources(table: Table) -> Iterator[tuple[str | Table, yaml_tree.Node]]:
    """Yield each source with its node."""
    if "urls" in table:
        nodes = table.place("urls")
        assert isinstance(nodes, yaml_tree.Sequence)
        yield from zip(table["urls"], nodes.items, strict=True)


def _source(read: str | Table, node: yaml_tree.Node, path: Path) -> Source:
    if isinstance(read, str):
        return Source(_url(read, node, path))
    url = _url(read["url"], read.place("url"), path)
    return Source(url, read.get("member"), _digests(read), read.get("size"), read.get("note", ""))


def _url(text: str, node: yaml_tree.Node, path: Path) -> Url:
    if text.startswith("file:") and not text.startswith("file:/"):
        text = file_of(text, path).as_uri()
    url = Url(text, place=f"{path}:{node.line + 1}")
    return Url(text, place=url.place, public=True) if url.secret and is_packaged(text, path) else url


def _licence(read: str | Table | None) -> Licence | None:
    if read is None or isinstance(read, str):
        return Licence(read) if read else None
    return Licence(read["name"], read.get("source", ""))
