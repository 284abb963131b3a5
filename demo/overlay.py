"""The stand-in's recipes: the shipped ones with other digests and sizes, and nothing else changed.

The YAML text is edited in place at the values that its parser has located, so comments, order and spelling stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo.layout import Found, digest, unpack

_ALGORITHMS = ("sha256", "sha384", "sha512", "sha1", "md5", "git")


def overlay(recipes: Path, out: Path, found: Found) -> dict[Path, int]:
    """Write the overlay of a recipes folder.

    `recipes`, `out`: the shipped folder, the folder to write. `found`: what the stand-in has. Assets that it has
    nothing of keep their digests. Returns each file, relative -> how many values were replaced in it.
    """
    counts: dict[Path, int] = {}
    for path in sorted(recipes.rglob("*")):
        if path.is_file() and path.suffix != ".yaml":
            # A file that lies beside its recipe is no stand-in: it comes along as it is.
            target = out / path.relative_to(recipes)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    for path in sorted(recipes.rglob("*.yaml")):
        relative = path.relative_to(recipes)
        text = path.read_text("utf-8")
        edits = list(_edits(text, found))
        for start, end, value in sorted(edits, reverse=True):
            text = text[:start] + value + text[end:]
        target = out / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        counts[relative] = len(edits)
    return counts


def _edits(text: str, found: Found) -> Iterator[tuple[int, int, str]]:
    import yaml

    root = yaml.compose(text, yaml.SafeLoader)
    variants = [_get(variant, "assets") for _, variant in _items(_get(root, "variants"))]
    for asset_id, node in (pair for assets in (_get(root, "assets"), *variants) for pair in _items(assets)):
        used = _get(node, "use")
        data = found.contents.get(asset_id if used is None else used.value)
        if data is None:
            continue
        yield from _pins(node, data)
        members = _get(node, "members")
        for member, pins in _items(members):
            yield from _pins(pins, unpack(data, member))
        for source in _elements(_get(node, "urls")):
            url = _get(source, "url")
            if url is not None and url.value in found.files and _get(source, "member") is not None:
                yield from _pins(source, found.files[url.value])


def _pins(node: Any, data: bytes) -> Iterator[tuple[int, int, str]]:
    for key, value in _items(node):
        if key in _ALGORITHMS:
            new = digest(key, data)
        elif key == "size":
            new = str(len(data))
        else:
            continue
        yield value.start_mark.index, value.end_mark.index, f"'{new}'" if value.style else _plain(new, key)


def _plain(value: str, key: str) -> str:
    # 123456 and 12e34 would be numbers: a digest must stay a string.
    looks_numeric = key != "size" and value.replace("e", "", 1).isdigit()
    return f"'{value}'" if looks_numeric else value


def _items(node: Any) -> list[tuple[str, Any]]:
    import yaml

    return [(key.value, value) for key, value in node.value] if isinstance(node, yaml.MappingNode) else []


def _elements(node: Any) -> list[Any]:
    import yaml

    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _get(node: Any, key: str) -> Any:
    return dict(_items(node)).get(key)
