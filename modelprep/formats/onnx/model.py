"""An ONNX model as messages, with its large weights left in the file.

:func:`read` cuts the payloads of large initializers out before the rest is parsed, so that a model of hundreds of
megabytes costs what its graph costs; :meth:`Model.pieces` puts them back by reference.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.mapped import MappedFile
from modelprep.formats.onnx.graphs import DEFAULT, constants_of, graphs_of
from modelprep.formats.onnx.pieces import NotOnnx, Piece, block, size, spliced
from modelprep.formats.protowire import BYTES, Field, WireError, named_fields, varint
from modelprep.formats.sniff import HEAD, looks_like_model

#: What errors call a file of this kind.
WHAT = "ONNX file"
#: Nodes, initializers or values of one graph. The largest language models have some 20,000 nodes.
MAX_PARTS = 100_000
#: TensorProto.DataType by number.
TYPES: Mapping[int, str] = {
    0: "UNDEFINED", 1: "FLOAT", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64", 8: "STRING",
    9: "BOOL", 10: "FLOAT16", 11: "DOUBLE", 12: "UINT32", 13: "UINT64", 14: "COMPLEX64", 15: "COMPLEX128",
    16: "BFLOAT16", 17: "FLOAT8E4M3FN", 18: "FLOAT8E4M3FNUZ", 19: "FLOAT8E5M2", 20: "FLOAT8E5M2FNUZ", 21: "UINT4",
    22: "INT4", 23: "FLOAT4E2M1",
}  # fmt: skip
FLOAT, INT32, INT64, DOUBLE = 1, 6, 7, 11
#: Bytes an element takes in raw_data, and its code for :mod:`struct`, for the types whose typed field is known here.
WIDTH: Mapping[int, int] = {FLOAT: 4, INT32: 4, INT64: 8, DOUBLE: 8}
CODES: Mapping[int, str] = {FLOAT: "f", INT32: "i", INT64: "q", DOUBLE: "d"}
#: The field that holds a type's elements one by one, and its name.
TYPED: Mapping[int, tuple[int, str]] = {
    FLOAT: (4, "float_data"), INT32: (5, "int32_data"), INT64: (7, "int64_data"), DOUBLE: (10, "double_data"),
}  # fmt: skip
RAW, EXTERNAL = 9, 1
_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
#: Fields of TensorProto that hold elements: float, int32, string, int64, raw, double, uint64.
_ELEMENTS = frozenset({4, 5, 6, 7, 9, 10, 11})
#: Elements of fewer bytes than this are parsed with the rest.
_SMALL = 4096


@dataclass
class Payload:
    """Elements left in the file: of which TensorProto field, as pieces (packed, or raw bytes)."""

    number: int
    pieces: list[Piece]

    @property
    def size(self) -> int:
        """Length in bytes."""
        return size(self.pieces)


@dataclass
class Model:
    """An ONNX model.

    `proto`: the ModelProto without the elements of large initializers. `payloads`: initializer name -> its elements,
    for the large ones.
    """

    proto: Any
    payloads: dict[str, Payload]
    where: str
    size: int = 0

    @property
    def graph(self) -> Any:
        """The GraphProto."""
        return self.proto.graph

    def opset(self, domain: str = "") -> int:
        """Return the opset of a domain, 0 if the model names none (``ai.onnx`` is the default domain)."""
        domains = DEFAULT if domain in DEFAULT else (domain,)
        return max((int(item.version) for item in self.proto.opset_import if item.domain in domains), default=0)

    def initializers(self) -> dict[str, Any]:
        """Return the graph's initializers by name."""
        return {tensor.name: tensor for tensor in self.graph.initializer}

    def inputs(self) -> list[Any]:
        """Return the inputs that a caller must feed: those that no initializer sets."""
        known = constants_of(self.graph)
        return [value for value in self.graph.input if value.name not in known]

    def tensor_bytes(self, tensor: Any) -> int:
        """Return how many bytes the elements of an initializer take in the file."""
        payload = self.payloads.get(tensor.name)
        return payload.size if payload is not None else int(tensor.ByteSize())

    def integers(self, tensor: Any) -> list[int]:
        """Return the elements of a small INT64 or INT32 tensor (a shape, axes).

        Raises StepError: it is of another type, or its data do not fit its dimensions.
        """
        if tensor.data_type not in (INT32, INT64) or tensor.name in self.payloads:
            raise StepError(
                f"'{tensor.name}' is no small tensor of whole numbers", where=self.where,
                got=TYPES.get(tensor.data_type, str(tensor.data_type)),
            )  # fmt: skip
        if tensor.HasField("raw_data"):
            width = WIDTH[tensor.data_type]
            if len(tensor.raw_data) % width:
                raise StepError(f"the data of '{tensor.name}' are cut short", where=self.where)
            return list(struct.unpack(f"<{len(tensor.raw_data) // width}{CODES[tensor.data_type]}", tensor.raw_data))
        return list(getattr(tensor, TYPED[tensor.data_type][1]))

    def pieces(self) -> list[Piece]:
        """Return the whole file in pieces, in protobuf's own field order."""
        with guarded(self.where):
            shell = type(self.proto)()
            shell.CopyFrom(self.proto)
            encoded: list[Piece] = []
            for tensor in shell.graph.initializer:
                body: list[Piece] = [tensor.SerializeToString(deterministic=True)]
                if (payload := self.payloads.get(tensor.name)) is not None:
                    body += block(payload.number, payload.pieces)
                encoded += block(_GRAPH_INITIALIZER, body)
            del shell.graph.initializer[:]
            graph: list[Piece] = [shell.graph.SerializeToString(deterministic=True), *encoded]
            shell.ClearField("graph")
            return [shell.SerializeToString(deterministic=True), *block(_MODEL_GRAPH, graph)]


def messages(name: str) -> Any:
    """Return the class of an ONNX message."""
    from modelprep.formats import protos

    return protos.load("onnx", "modelprep.formats.onnx").message(name)


@contextmanager
def guarded(where: str, view: memoryview | None = None) -> Iterator[None]:
    """Turn what a damaged file makes protobuf raise into a StepError."""
    from google.protobuf.message import DecodeError, EncodeError

    try:
        yield
    except (WireError, NotOnnx, DecodeError, EncodeError, UnicodeDecodeError) as error:
        raise StepError(
            "this is no ONNX file, or a damaged one", where=where, got=str(error).splitlines()[0][:200],
            looks_like=None if view is None else looks_like_model(bytes(view[:HEAD]), "ONNX") or None,
        ) from error  # fmt: skip


@contextmanager
def refusal(what: str, where: str) -> Iterator[None]:
    """Turn whatever onnx or a tool of its kind raises into a StepError that tells the first line of it."""
    try:
        yield
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise StepError(what, where=where, got=reason[0][:300]) from error


def read(path: Path, external: Mapping[str, Path] | None = None) -> Model:
    """Read an ONNX file.

    `external`: location (as the model names it) -> file, for a model that keeps weights outside; they are taken in.
    Raises StepError: it is no ONNX model, damaged, or a file of external data is missing or too short; StorageError: it
    cannot be read.
    """
    model = read_header(path)
    _take_external(model, external or {})
    return model


def read_header(path: Path) -> Model:
    """As :func:`read`, but external data stay where they are; for looking at a model, not for writing it."""
    where = str(path)
    view = MappedFile(path, what=WHAT).view
    with guarded(where, view):
        skeleton, payloads = _cut(view)
        proto = messages("ModelProto")()
        proto.ParseFromString(skeleton)
        model = Model(proto, payloads, where, len(view))
        if not proto.HasField("graph") or not (proto.graph.node or proto.graph.output):
            raise NotOnnx("it holds no graph")
        _check_text(proto)
    if len(model.initializers()) != len(proto.graph.initializer):
        raise StepError("two initializers have the same name", where=where)
    return model


def _cut(view: memoryview) -> tuple[bytes, dict[str, Payload]]:
    """Return the model's bytes without the elements of large initializers, and those elements by name."""
    graphs = [f for f in named_fields(view) if f.number == _MODEL_GRAPH and f.kind == BYTES]
    if len(graphs) != 1:
        raise NotOnnx(f"it holds {len(graphs)} graphs")
    (graph,) = graphs
    payloads: dict[str, Payload] = {}
    changes = []
    for entry in named_fields(view, graph.value, graph.stop):
        if entry.number != _GRAPH_INITIALIZER or entry.kind != BYTES or entry.stop - entry.value < _SMALL:
            continue
        name, pieces, payload = _cut_tensor(view, entry)
        if payload is not None:
            if name in payloads:
                raise NotOnnx("two initializers have the same name")
            payloads[name] = payload
            changes.append((entry.begin, entry.stop, block(_GRAPH_INITIALIZER, pieces)))
    inner = spliced(view, graph.value, graph.stop, changes)
    return b"".join([view[: graph.begin], *block(_MODEL_GRAPH, inner), view[graph.stop :]]), payloads


def _cut_tensor(view: memoryview, tensor: Field) -> tuple[str, list[Piece], Payload | None]:
    name = ""
    gone: list[tuple[int, int, list[Piece]]] = []
    elements: dict[int, list[Piece]] = {}
    for part in named_fields(view, tensor.value, tensor.stop):
        if part.number == 8 and part.kind == BYTES:
            name = bytes(view[part.value : part.stop]).decode("utf-8", "strict")
        # Strings (6) are not packed and stay; a single unpacked number stays with the rest too.
        if part.number not in _ELEMENTS or part.number == 6 or part.kind != BYTES:
            continue
        if part.number == RAW:
            elements.pop(RAW, None)  # of a repeated single field the last one counts
        elements.setdefault(part.number, []).append(view[part.value : part.stop])
        gone.append((part.begin, part.stop, []))
    if len(elements) != 1:
        return name, [], None
    ((number, pieces),) = elements.items()
    # Unpacked numbers beside packed ones would change their order: such a tensor is parsed whole.
    if any(part.number == number and part.kind != BYTES for part in named_fields(view, tensor.value, tensor.stop)):
        return name, [], None
    return name, spliced(view, tensor.value, tensor.stop, gone), Payload(number, pieces)


def _require_text(*values: object) -> None:
    # protobuf returns a string that is no UTF-8 as bytes, or raises where it is read, depending on its version.
    for value in values:
        if not isinstance(value, str):
            raise NotOnnx(f"a name that is no text: {value!r}"[:120])


def _check_text(proto: Any) -> None:
    """Check that every string of the model is text, so that one that is not is found here and nowhere else."""
    _require_text(proto.producer_name, proto.producer_version, proto.domain, proto.doc_string)
    _require_text(*(item.domain for item in proto.opset_import))
    _require_text(*(text for item in proto.metadata_props for text in (item.key, item.value)))
    for graph in graphs_of(proto.graph):
        values = (graph.input, graph.output, graph.value_info)
        for part in (graph.node, graph.initializer, graph.sparse_initializer, *values):
            if len(part) > MAX_PARTS:
                raise NotOnnx(f"it holds a list of {len(part)} parts, at most {MAX_PARTS} make sense")
        _require_text(graph.name, graph.doc_string)
        for node in graph.node:
            _require_text(node.name, node.op_type, node.domain, node.doc_string, *node.input, *node.output)
            for attribute in node.attribute:
                _require_text(attribute.name, attribute.ref_attr_name, attribute.doc_string, attribute.t.name)
        for tensor in graph.initializer:
            _require_text(tensor.name, tensor.doc_string)
            _require_text(*(text for entry in tensor.external_data for text in (entry.key, entry.value)))
        _require_text(*(sparse.values.name for sparse in graph.sparse_initializer))
        for value in chain(*values):
            _require_text(value.name, value.doc_string)
            for dim in value.type.tensor_type.shape.dim:
                _require_text(dim.dim_param, dim.denotation)


def _take_external(model: Model, external: Mapping[str, Path]) -> None:
    """Make external data the model's own, as raw_data whose bytes are still in their file."""
    views: dict[str, memoryview] = {}
    for tensor in model.graph.initializer:
        if tensor.data_location != EXTERNAL:
            continue
        said = {entry.key: entry.value for entry in tensor.external_data}
        location = said.get("location", "")
        if location not in external:
            raise StepError(
                "the model keeps weights in another file, which was not given", where=model.where,
                expected=location or "a location", got=f"initializer '{tensor.name}' has its data there",
                hint=f"give the file as external: {{{location}: ...}}" if location else None,
            )  # fmt: skip
        if location not in views:
            views[location] = MappedFile(external[location], what="external data").view
        view = views[location]
        try:
            offset = int(said.get("offset", "0"))
            length = int(said["length"]) if "length" in said else len(view) - offset
        except ValueError as error:
            raise StepError(f"the external data of '{tensor.name}' have no place", where=model.where) from error
        if offset < 0 or length < 0 or offset + length > len(view):
            raise StepError(
                f"the external data of '{tensor.name}' are outside their file", where=f"{model.where}: {location}",
                expected=f"{length} bytes at {offset}", got=f"a file of {len(view)} bytes",
            )  # fmt: skip
        del tensor.external_data[:]
        tensor.ClearField("data_location")
        model.payloads[tensor.name] = Payload(RAW, [view[offset : offset + length]])


def files_beside(model: Path) -> dict[str, Path]:
    """Find the files of external data beside a model: location -> path.

    Raises StepError: a location is absolute, leads out of the model's folder or does not exist.
    """
    found: dict[str, Path] = {}
    header, folder = read_header(model), model.resolve().parent
    with guarded(str(model)):
        tensors = [tensor for tensor in header.graph.initializer if tensor.data_location == EXTERNAL]
        locations = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    for location in sorted(locations):
        found[location] = path = (folder / location).resolve()
        if not path.is_relative_to(folder):
            raise StepError(
                "the model says that its weights are outside its own folder", where=str(model), got=location,
                hint="only files beside the model or below are read",
            )  # fmt: skip
        if not path.is_file():
            what = "the model keeps weights in another file, which is not there"
            raise StepError(what, where=str(model), expected=str(path))
    return found


def elements(tensor: Any) -> int:
    """Return how many elements a tensor's dimensions ask for."""
    return math.prod(int(dim) for dim in tensor.dims)


def to_typed(data: memoryview | bytes, dtype: int) -> list[Piece]:
    """Write raw little-endian elements as the payload of their packed typed field.

    Floating-point numbers are in a packed field just as in raw_data, so those are the same bytes; whole numbers become
    varints.
    """
    if dtype in (FLOAT, DOUBLE):
        return [data]
    width = WIDTH[dtype]
    parts = (memoryview(data)[at : at + (width << 16)] for at in range(0, len(data), width << 16))
    return [b"".join(map(varint, struct.unpack(f"<{len(p) // width}{CODES[dtype]}", p))) for p in parts]
