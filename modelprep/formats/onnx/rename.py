"""Rename the inputs and outputs of an ONNX file, editing only the bytes that hold a name.

A value's name occurs in the lists of inputs, outputs and value_info, in the nodes that make or use it (those of nested
graphs too), in an initializer that sets its default and in quantization annotations. Each of these strings is
replaced in place; the messages around it get their new length, and everything else is copied as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from modelprep.errors import StepError
from modelprep.formats.mapped import MappedFile
from modelprep.formats.names import Renaming
from modelprep.formats.onnx.model import WHAT, guarded
from modelprep.formats.onnx.pieces import NotOnnx, Piece, block, size, spliced
from modelprep.formats.protowire import BYTES, Field, named_fields, read_varint, varint

#: What edits one field: its new payload in pieces, or None to leave it.
_Change = Callable[[Field], "list[Piece] | None"]

#: Nested graphs (If, Loop, Scan) deeper than this are no model.
MAX_DEPTH = 32

# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_TRAINING = 7, 20
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE, _GRAPH_QUANT, _GRAPH_SPARSE = (
    1, 5, 11, 12, 13, 14, 15,
)  # fmt: skip
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5
_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 6, 11
_VALUE_NAME, _TENSOR_NAME = 1, 8


class Renamer:
    """One renaming of one file.

    Raises StepError: the file is no ONNX model; an old name is not there; a new name is taken or no name; nothing would
    change.
    """

    def __init__(self, path: Path, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
        self.where = str(path)
        self.view = MappedFile(path, what=WHAT).view
        self.count: Counter[str] = Counter()
        with guarded(self.where, self.view):
            self._graph = self._only_graph()
            self.names = self._chosen(inputs, outputs)

    def pieces(self) -> list[Piece]:
        """Return the renamed file in pieces; `count` then says how often each old name was met."""
        with guarded(self.where, self.view):
            graph = self._edit_graph(self._graph.value, self._graph.stop, self.names, 0)
        before, after = self.view[: self._graph.begin], self.view[self._graph.stop :]
        return [before, *block(_MODEL_GRAPH, graph or []), after]

    def _only_graph(self) -> Field:
        graphs = []
        for field in named_fields(self.view):
            if field.number == _MODEL_GRAPH and field.kind == BYTES:
                graphs.append(field)
            elif field.number == _MODEL_TRAINING:
                raise StepError("a model with training information cannot be renamed", where=self.where)
        if len(graphs) != 1:
            raise NotOnnx(f"it holds {len(graphs)} graphs")
        return graphs[0]

    def _chosen(self, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> dict[str, str]:
        nodes, initialized, listed, results = self._names(self._graph)
        defined = dict.fromkeys(nodes, "made by a node") | dict.fromkeys(initialized, "an initializer")
        defined |= dict.fromkeys(results, "an output") | dict.fromkeys(listed, "an input")
        renaming = Renaming(self.where, [name for name in listed if name not in initialized], results)
        known = {"input": listed, "output": results}
        chosen = renaming.choose(inputs, outputs, lambda kind, old: old if old in known[kind] else None)
        names = {old: new for old, (_, new) in chosen.items()}
        taken = Counter(names.values()) + Counter(name for name in defined if name not in names)
        for new in names.values():
            if taken[new] > 1:
                raise renaming.taken(new, "value", f"it is {defined.get(new, 'requested twice')}")
        return names

    def _names(self, graph: Field) -> tuple[list[str], ...]:
        """Return the names of a graph's node results, initializers, inputs and outputs."""
        found: dict[int, list[str]] = {n: [] for n in (_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT)}
        for field in self._inside(graph):
            if field.number == _GRAPH_NODE:
                found[_GRAPH_NODE] += [self._text(f) for f in self._inside(field) if f.number == _NODE_OUTPUT]
            elif field.number in found:
                number = _TENSOR_NAME if field.number == _GRAPH_INITIALIZER else _VALUE_NAME
                # Of a repeated single field the last one counts, as protobuf has it.
                texts = [self._text(f) for f in self._inside(field) if f.number == number]
                found[field.number].append(texts[-1] if texts else "")
        return tuple(found.values())

    def _text(self, field: Field) -> str:
        if field.kind != BYTES:
            raise NotOnnx(f"a name at byte {field.begin} is no text")
        return bytes(self.view[field.value : field.stop]).decode("utf-8", "surrogateescape")

    def _inside(self, message: Field) -> Iterator[Field]:
        if message.kind != BYTES:
            raise NotOnnx(f"a message at byte {message.begin} is none")
        return named_fields(self.view, message.value, message.stop)

    # -- editing: each returns pieces, or None if nothing in the range changes -----------------------------------

    def _edit(self, start: int, stop: int, change: _Change) -> list[Piece] | None:
        changes: list[tuple[int, int, list[Piece]]] = []
        for field in named_fields(self.view, start, stop):
            if field.kind == BYTES and (new := change(field)) is not None:
                # The tag keeps its bytes; only the length and what follows are new.
                _, after_tag = read_varint(self.view, field.begin, field.stop)
                changes.append((after_tag, field.stop, [varint(size(new)), *new]))
        return spliced(self.view, start, stop, changes) if changes else None

    def _name(self, field: Field, names: Mapping[str, str]) -> list[Piece] | None:
        old = self._text(field)
        if old not in names:
            return None
        self.count[old] += 1
        return [names[old].encode("utf-8")]

    def _edit_graph(self, start: int, stop: int, names: Mapping[str, str], depth: int) -> list[Piece] | None:
        if depth > MAX_DEPTH:
            raise NotOnnx(f"graphs nested deeper than {MAX_DEPTH}")

        def inside(*path: int) -> _Change:
            """Edit the name that is at a path of field numbers below a field."""

            def change(field: Field) -> list[Piece] | None:
                if not path:
                    return self._name(field, names)
                deeper = inside(*path[1:])
                return self._edit(field.value, field.stop, lambda f: deeper(f) if f.number == path[0] else None)

            return change

        def nested(field: Field) -> list[Piece] | None:
            if field.number not in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                return None
            # A nested graph sees the names around it, but for those it makes itself.
            hidden = {name for held in self._names(field)[:3] for name in held}
            visible = {old: new for old, new in names.items() if old not in hidden}
            return self._edit_graph(field.value, field.stop, visible, depth + 1)

        def node(field: Field) -> list[Piece] | None:
            if field.number in (_NODE_INPUT, _NODE_OUTPUT):
                return self._name(field, names)
            return self._edit(field.value, field.stop, nested) if field.number == _NODE_ATTRIBUTE else None

        changes: dict[int, _Change] = {
            _GRAPH_NODE: lambda field: self._edit(field.value, field.stop, node),
            **dict.fromkeys((_GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE, _GRAPH_QUANT), inside(_VALUE_NAME)),
            _GRAPH_INITIALIZER: inside(_TENSOR_NAME),
            _GRAPH_SPARSE: inside(1, _TENSOR_NAME),  # SparseTensorProto.values (1) is a tensor and bears the name
        }
        return self._edit(start, stop, lambda field: changes[field.number](field) if field.number in changes else None)
