"""What a TF Lite file holds: operators, tensors, quantization, inputs and outputs. Needs no TensorFlow and no extra.

The ``flatbuffers`` library decodes, through the checks of :mod:`~modelprep.formats.tflite.flatbuffer`. The slots (field
numbers of each table) are those of TensorFlow's ``schema.fbs``; the tests read the same files with the generated schema
of LiteRT and compare. ``options.tsv`` names the options of every operator of the schema's first union.

Parts that nobody asks for are followed too where Arm NN's schema has them: its parser verifies the whole file first,
and refuses one that is damaged anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from modelprep.errors import StepError
from modelprep.formats.mapped import MappedFile
from modelprep.formats.sniff import HEAD, looks_like_model
from modelprep.formats.tflite.flatbuffer import Buffer, Scalar, Table, Text
from modelprep.formats.tflite.tables import operator_name, option_fields

#: What errors call a file of this kind.
WHAT = "TF Lite file"
IDENTIFIER = b"TFL3"
#: Bytes of a custom operator's own options that are read; a detection post-process has some 250.
MAX_CUSTOM_OPTIONS = 1 << 16
#: TensorType by number.
TYPES = (
    "FLOAT32", "FLOAT16", "INT32", "UINT8", "INT64", "STRING", "BOOL", "INT16", "COMPLEX64", "INT8", "FLOAT64",
    "COMPLEX128", "UINT64", "RESOURCE", "VARIANT", "UINT32", "UINT16", "INT4", "BFLOAT16", "INT2", "UINT4",
    "FLOAT8_E4M3FN", "FLOAT8_E5M2",
)  # fmt: skip
_ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
_PADDINGS = ("SAME", "VALID")


@dataclass(frozen=True)
class Quantisation:
    """How stored numbers map to real ones: ``real = scale * (stored - zero_point)``, per tensor or per channel."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int


@dataclass(frozen=True)
class Tensor:
    """One tensor.

    `index`: its number within the subgraph. `name`: bytes that are no UTF-8 are shown escaped. `shape`: dimensions as
    stored; `signature` holds -1 where a dimension may change (empty: same as `shape`). `dtype`: ``UINT8``, ...
    `bytes`: length of the constant data, 0 for what is computed. `text`: the name in the file, None if there is none.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    buffer: int
    bytes: int
    quantisation: Quantisation | None = None
    signature: tuple[int, ...] = ()
    text: Text | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Operator:
    """One operator: its name (``CONV_2D``; ``CUSTOM`` with `custom` naming it), tensors by index, options by name.

    `custom_options` are the bytes that a custom operator keeps its own options in, empty beyond `MAX_CUSTOM_OPTIONS`;
    `code` is what a reader of the first schema uses as the operator's number, None if the file's list has none.
    """

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    custom: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    custom_options: bytes = field(default=b"", repr=False)
    code: int | None = None


@dataclass(frozen=True)
class Subgraph:
    """One graph of operators; the first of a file is the one that runs."""

    name: str
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]


@dataclass(frozen=True)
class Argument:
    """An input or output of a signature: its own name and the tensor it stands for."""

    name: str
    tensor: int
    text: Text | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Signature:
    """A named way to call a subgraph."""

    key: str
    subgraph: int
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]


@dataclass(frozen=True)
class Model:
    """A TF Lite model without its weights.

    `metadata`: names of the metadata entries. `strings`: position of each string in the file -> positions of the fields
    that point to it.
    """

    size: int
    version: int
    description: str
    subgraphs: tuple[Subgraph, ...]
    signatures: tuple[Signature, ...]
    metadata: tuple[str, ...]
    strings: Mapping[int, set[int]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def main(self) -> Subgraph:
        """The subgraph that runs."""
        return self.subgraphs[0]


def read(path: Path, *, where: str = "") -> Model:
    """Read a TF Lite file, checking every offset on the way.

    Raises StepError: it is no TF Lite file, or damaged; StorageError: it cannot be read.
    """
    where = where or str(path)
    with MappedFile(path, where, what=WHAT) as file:
        return parse(file.view, where)


def parse(data: memoryview, where: str, *, lenient: bool = False) -> Model:
    """Read a TF Lite model from memory; see :func:`read`.

    `lenient`: take what a reader takes that only verifies the FlatBuffer: another mark, no subgraph, numbers of
    tensors, buffers, operator codes and types that are not there (a tensor without its buffer has -1 `bytes`).
    """
    if bytes(data[4:8]) != IDENTIFIER and not lenient:
        raise StepError(
            "this is no TF Lite file", where=where, expected=f"the mark {IDENTIFIER.decode()} at byte 4",
            got=repr(bytes(data[:12])), looks_like=looks_like_model(bytes(data[:HEAD])) or None,
        )  # fmt: skip
    buffer = Buffer(data, where)
    root = buffer.root()
    buffers = [_buffer_size(table) for table in root.tables(4, "buffer")]
    codes = [_code(table) for table in root.tables(1, "operator code")]
    root.integers(5, "the old list of metadata")
    subgraphs = tuple(
        _subgraph(table, number, codes, buffers, lenient) for number, table in enumerate(root.tables(2, "subgraph"))
    )
    if not subgraphs and not lenient:
        raise buffer.broken("it holds no subgraph", 0)
    return Model(
        size=buffer.size,
        version=root.integer(0, "Uint32"),
        description=str(root.text(3, "the description") or ""),
        subgraphs=subgraphs,
        signatures=tuple(_signature(table, subgraphs) for table in root.tables(7, "signature")),
        metadata=tuple(str(entry.text(0, "a metadata name") or "") for entry in root.tables(6, "metadata item")),
        strings=buffer.strings,
    )


def buffer_extents(data: memoryview, where: str) -> list[tuple[int, int]]:
    """Return where the data of each buffer are in a file that :func:`parse` has taken, and how many bytes there are."""
    tables = Buffer(data, where).root().tables(4, "buffer")
    return [table.extent(0, 1, "constant data") or (0, 0) for table in tables]


def _buffer_size(table: Table) -> int:
    extent = table.extent(0, 1, f"the data of {table.what}")
    # Files beyond 2 GiB keep data outside the FlatBuffer: offset and size from the file's start.
    return table.integer(2, "Uint64") if extent is None else extent[1]


def _code(table: Table) -> tuple[int, int, str, int]:
    # Codes beyond 127 live in a second, wider field; whichever is larger counts (schema.fbs, version 3a).
    first = table.integer(0, "Int8")
    code = max(first, table.integer(3, "Int32"))
    return code, table.integer(2, "Int32", 1), str(table.text(1, "a custom code") or ""), first


def _subgraph(
    table: Table, number: int, codes: list[tuple[int, int, str, int]], buffers: list[int], lenient: bool
) -> Subgraph:
    tensors = tuple(_tensor(t, index, buffers, lenient) for index, t in enumerate(table.tables(0, "tensor")))

    def indices(holder: Table, slot: int, what: str, lowest: int = 0) -> tuple[int, ...]:
        found = holder.integers(slot, what)
        for index in found:
            if not lowest <= index < len(tensors) and not lenient:
                raise table.buffer.broken(f"{what} name tensor {index} of {len(tensors)}", holder.at)
        return found

    operators = []
    for index, holder in enumerate(table.tables(3, "operator")):
        opcode = holder.integer(0, "Uint32")
        if opcode >= len(codes) and not lenient:
            raise table.buffer.broken(f"{holder.what} has operator code {opcode} of {len(codes)}", holder.at)
        code, version, custom, first = codes[opcode] if opcode < len(codes) else (-1, 0, "", None)
        holder.numbers(7, "Bool", f"the variables of {holder.what}")
        operators.append(
            Operator(
                index, operator_name(code), version, indices(holder, 1, f"the inputs of {holder.what}", -1),
                indices(holder, 2, f"the outputs of {holder.what}", -1), custom, _options(holder),
                _custom_options(holder), first,
            )
        )  # fmt: skip
    return Subgraph(
        name=str(table.text(4, "a subgraph's name") or ""),
        tensors=tensors,
        # -1 stands for one that is left out.
        inputs=tuple(i for i in indices(table, 1, f"the inputs of subgraph {number}", -1) if i >= 0),
        outputs=tuple(i for i in indices(table, 2, f"the outputs of subgraph {number}", -1) if i >= 0),
        operators=tuple(operators),
    )


def _tensor(table: Table, index: int, buffers: list[int], lenient: bool) -> Tensor:
    number = table.integer(2, "Uint32")
    if number >= len(buffers) and number and not lenient:  # an empty list stands for tensors without data
        raise table.buffer.broken(f"{table.what} keeps its data in buffer {number} of {len(buffers)}", table.at)
    type_ = table.integer(1, "Int8")
    if not 0 <= type_ < len(TYPES) and not lenient:
        raise table.buffer.broken(f"{table.what} has type {type_}, which no version of TF Lite knows", table.at)
    name = table.text(3, f"the name of {table.what}")
    quantised = table.table(4, f"the quantization of {table.what}")
    table.number(5, "Bool")
    return Tensor(
        index, str(name or ""), table.integers(0, f"the shape of {table.what}"),
        TYPES[type_] if 0 <= type_ < len(TYPES) else f"TYPE_{type_}", number,
        buffers[number] if number < len(buffers) else (-1 if lenient else 0),
        None if quantised is None else _quantization(quantised), table.integers(7, f"the shape of {table.what}"), name,
    )  # fmt: skip


def _quantization(table: Table) -> Quantisation | None:
    for slot, what in ((0, "lowest"), (1, "highest")):
        table.numbers(slot, "Float32", f"the {what} numbers of a tensor")
    details = table.table(5, "the details of a quantization")
    if details is not None:
        details.extent(0, 1, "the details of a quantization")
    scale = tuple(float(value) for value in table.numbers(2, "Float32", "the scales of a tensor"))
    zero_point = table.integers(3, "the zero points of a tensor", "Int64")
    if not scale and not zero_point:
        return None
    return Quantisation(scale, zero_point, table.integer(6, "Int32"))


def _options(operator: Table) -> dict[str, object]:
    fields = option_fields(operator.integer(3, "Uint8"))
    options = operator.table(4, f"the options of {operator.what}")
    if not fields or options is None:
        return {}
    values: dict[str, object] = {}
    for name, slot, kind, default in fields:
        if kind.startswith("["):
            values[name] = options.numbers(slot, cast("Scalar", kind.strip("[]")), f"{name} of {operator.what}")
        else:
            value = options.number(slot, cast("Scalar", kind), default)
            values[name] = bool(value) if kind == "Bool" else value
    for name, words in (("fused_activation_function", _ACTIVATIONS), ("padding", _PADDINGS)):
        if name in values:
            number = cast("int", values[name])
            values[name] = words[number] if 0 <= number < len(words) else str(number)
    return values


def _custom_options(operator: Table) -> bytes:
    extent = operator.extent(5, 1, f"the custom options of {operator.what}")
    if extent is None or extent[1] > MAX_CUSTOM_OPTIONS:
        return b""
    return bytes(operator.buffer.data[extent[0] : sum(extent)])


def _signature(table: Table, subgraphs: tuple[Subgraph, ...]) -> Signature:
    subgraph = table.integer(4, "Uint32")
    # LiteRT loads a file whose signatures name what does not exist; those cannot be called.
    tensors = len(subgraphs[subgraph].tensors) if subgraph < len(subgraphs) else 0
    key = str(table.text(2, "a signature's key") or "")
    return Signature(key, subgraph, _arguments(table, 0, tensors), _arguments(table, 1, tensors))


def _arguments(table: Table, slot: int, tensors: int) -> tuple[Argument, ...]:
    arguments = table.tables(slot, "signature argument")
    found = [(entry.integer(1, "Uint32"), entry.text(0, f"the name of {entry.what}")) for entry in arguments]
    return tuple(Argument(str(text or ""), tensor, text) for tensor, text in found if tensor < tensors)
