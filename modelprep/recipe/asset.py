"""Make the struct of an asset from its parsed keys."""

from __future__ import annotations

from pathlib import Path

from modelprep.recipe import yaml_tree
from modelprep.recipe.local import file_of, lies_in
from modelprep.recipe.problems import Problems
from modelprep.recipe.schema import ALGORITHMS, Asset, Digests, Licence, OtherVersion, Source
from modelprep.recipe.shapes import Table
from modelprep.recipe.shipped import is_packaged
from modelprep.url import Url


def make_asset(asset_id: str, table: Table, path: Path, *, shared: str = "", recipe: str = "") -> Asset:
    """Make the struct of an asset read without problems from `path`, where ``file:name`` is a file beside it."""
    return Asset(
        id=asset_id,
        sources=_sources(table, path),
        digests=_digests(table),
        size=table.get("size"),
        members={member: _digests(value) for member, value in table.get("members", {}).items()},
        pinned_by=table.get("pinned_by", ""),
        pin=table.get("pin", "published"),
        licence=_licence(table.get("licence")),
        provide=table.get("provide", False),
        restricted=table.get("restricted", False),
        filename=table.get("filename", ""),
        summary=table.get("summary", ""),
        notes=tuple(table.get("notes", ())),
        other_versions=tuple(
            OtherVersion(each["what"], _digests(each), each.get("size")) for each in table.get("other_versions", ())
        ),
        shared=shared,
        recipe=recipe,
    )


def check_files(table: Table, at: str, path: Path, root: Path | None, problems: Problems) -> None:
    """Refuse an asset's ``file:`` URLs that lead outside `root` (None: the folder of `path`); recipes are untrusted."""
    for index, source in enumerate(table.get("urls", ())):
        text = source if isinstance(source, str) else source.get("url", "")
        if not text.startswith("file:"):
            continue
        if not lies_in(text, path, root):
            nodes = table.place("urls")
            assert isinstance(nodes, yaml_tree.Sequence)
            problems.add(
                "a file: URL leads out of the folder of its recipes", nodes.items[index], f"{at}.urls[{index}]",
                expected=f"a file in {(root or path.parent).resolve()}", got=text,
                hint="copy the file there, or name it on the command line with --set",
            )  # fmt: skip


def _digests(table: Table) -> Digests:
    return Digests({name: table[name] for name in ALGORITHMS if name in table})


def _sources(table: Table, path: Path) -> tuple[Source, ...]:
    if "urls" not in table:
        return ()
    nodes = table.place("urls")
    assert isinstance(nodes, yaml_tree.Sequence)
    return tuple(_source(read, node, path) for read, node in zip(table["urls"], nodes.items, strict=True))


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
