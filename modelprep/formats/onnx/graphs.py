"""The graphs of an ONNX model, those nested in its nodes too, and the lists of messages that they hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from modelprep.formats.names import free_name


def nested_in(node: Any) -> list[Any]:
    """List the graphs that are in a node's attributes."""
    found: list[Any] = []
    for attribute in node.attribute:
        found += ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs)
    return found


def graphs_of(graph: Any) -> Iterator[Any]:
    """Yield a graph and all that are nested in its nodes, at any depth."""
    yield graph
    for node in graph.node:
        for nested in nested_in(node):
            yield from graphs_of(nested)


def nests(graph: Any) -> bool:
    """Whether a node of a graph holds another one, which may use names from around it."""
    return any(nested_in(node) for node in graph.node)


def replace(held: Any, items: Iterable[Any]) -> None:
    """Let a repeated field hold other messages, which may be its own in another order."""
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del held[:]
    held.extend(copies)


def names_in(graph: Any) -> set[str]:
    """Return the names that the nodes and initializers of a graph give and take."""
    used = {name for node in graph.node for name in (*node.input, *node.output)}
    return used | {tensor.name for tensor in graph.initializer}


def claim(stem: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    name = free_name(stem, taken)
    taken.add(name)
    return name
