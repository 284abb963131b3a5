"""Variants: merge part of a recipe into the whole.

Mappings merge by key, ``null`` removes a key, everything else (lists too) replaces. This is done on nodes, before the
recipe is checked, so that an error in a variant has the variant's own line.
"""

from __future__ import annotations

from modelprep.recipe.yaml_tree import Mapping, Node, Scalar


def overlay(base: Mapping, over: Mapping) -> Mapping:
    """Merge differences into the whole; neither is changed."""
    merged = Mapping(base.start, base.end)
    for key, node in base.entries.items():
        merged.set(base.keys[key], node)
    for key, node in over.entries.items():
        below = merged.entries.get(key)
        if _is_null(node):
            merged.entries.pop(key, None)
            merged.keys.pop(key, None)
        elif isinstance(node, Mapping) and isinstance(below, Mapping):
            merged.set(over.keys[key], overlay(below, node))
        else:
            merged.set(over.keys[key], _without_nulls(node))
    return merged


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _without_nulls(node: Node) -> Node:
    """Return a mapping without its nulls, which would remove missing keys."""
    return overlay(Mapping(node.start, node.end), node) if isinstance(node, Mapping) else node
