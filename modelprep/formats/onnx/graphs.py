"""The graphs of an ONNX model, those nested in its nodes too, and the lists of messages that they hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from modelprep.formats.names import free_name

#: The names of ONNX's own domain.
DEFAULT = ("", "ai.onnx")


def nested_in(node: Any) -> list[Any]:
    """List the graphs that are in a node's attributes."""
    return [graph for a in node.attribute for graph in (*([a.g] if a.HasField("g") else ()), *a.graphs)]


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


def drop(held: Any, names: Collection[str]) -> int:
    """Take the messages of some names out of a repeated field; return how many there were."""
    gone = [index for index, item in enumerate(held) if item.name in names]
    for index in reversed(gone):
        del held[index]
    return len(gone)


def names(held: Iterable[Any]) -> set[str]:
    """Return the names of messages."""
    return {item.name for item in held}


def constants_of(graph: Any) -> set[str]:
    """Return the names that initializers of a graph, sparse ones too, set."""
    return names(graph.initializer) | {tensor.values.name for tensor in graph.sparse_initializer}


def used_in(graph: Any) -> set[str]:
    """Return the values that the nodes of a graph take or that leave it."""
    return {name for node in graph.node for name in node.input} | names(graph.output)


def names_in(graph: Any) -> set[str]:
    """Return the names that the nodes and initializers of a graph make and use."""
    return {name for node in graph.node for name in (*node.input, *node.output)} | names(graph.initializer)


def attribute_of(node: Any, name: str) -> Any:
    """Return an attribute of a node, or None."""
    return next((each for each in node.attribute if each.name == name), None)


def claim(stem: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    name = free_name(stem, taken)
    taken.add(name)
    return name
