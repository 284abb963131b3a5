"""Rename the inputs and outputs of a TF Lite file, leaving every other byte as it is.

Board tests bind tensors by name, and two publishers of one network name them differently. A name is a string somewhere
in the file, reached through an offset in its tensor. Where the new name fits into the old one's place (its padding
included) it is written there; where it does not, it is appended at the file's end and the offset turned to it. Nothing
moves, so weights, buffers and all else stay byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from modelprep.errors import StepError
from modelprep.formats.mapped import MappedFile
from modelprep.formats.names import Kind, Renaming
from modelprep.formats.output import copy, refusals
from modelprep.formats.tflite.flatbuffer import MAX_SIZE, Buffer, Scalar, Table, Text
from modelprep.formats.tflite.model import WHAT, Argument, Model, Subgraph, parse, read

_Kind = Literal["input", "output", "signature"]
#: Tensor -> whether it is an input or an output, its new name.
_Chosen = Mapping[int, tuple[Kind, str]]


@dataclass(frozen=True)
class Renamed:
    """One name that changes: of which tensor, how, and whether it kept its place or went to the end of the file."""

    tensor: int
    kind: _Kind
    old: str
    new: str
    place: Literal["in place", "appended"]


@dataclass(frozen=True)
class Plan:
    """What renaming will do: patches (position, bytes) within the file, bytes for its end."""

    patches: list[tuple[int, bytes]]
    tail: bytearray
    renamed: list[Renamed]


def plan(path: Path, inputs: Mapping[str, str], outputs: Mapping[str, str], *, where: str = "") -> Plan:
    """Decide how to rename.

    `inputs`, `outputs`: old name -> new name of the first subgraph's inputs and outputs. ``#0`` means the first one,
    whatever its name. Raises StepError: the file is damaged; an old name is not there; a new name is taken, empty or
    too long; nothing would change.
    """
    where = where or str(path)
    with MappedFile(path, where, what=WHAT) as file:
        model = parse(file.view, where)
        chosen = _choose(model.main, inputs, outputs, where)
        made = _place(file.view, _strings(model, chosen), model, where)
        _name(file.view, {i: entry for i, entry in chosen.items() if model.main.tensors[i].text is None}, made, where)
        return made


def apply(path: Path, plan: Plan, output: Path, *, progress: Callable[[int, int | None], None] | None = None) -> None:
    """Copy the file with the new names in it, and read it again: only the names may differ.

    Raises StepError: the result is not the same model under new names, because the file's parts overlap;
    StorageError: it cannot be written.
    """
    size = path.stat().st_size
    copy(path, output)
    with refusals(output), output.open("r+b") as file:
        for at, data in (*plan.patches, (size, bytes(plan.tail))):
            file.seek(at)
            file.write(data)
    before, after = read(path), read(output, where=str(path))
    names = {item.tensor: item.new for item in plan.renamed if item.kind != "signature"}
    renamed = all(after.main.tensors[index].name == new for index, new in names.items())
    if not renamed or _nameless(before, names) != _nameless(after, names):
        raise StepError("renaming would change more than the names: parts of this file overlap", where=str(path))
    if progress is not None:
        progress(size + len(plan.tail), size + len(plan.tail))


def _nameless(model: Model, changed: Collection[int]) -> Model:
    """Return the model without the names of the tensors that are renamed, to compare by."""
    tensors = tuple(replace(t, name="") if t.index in changed else t for t in model.main.tensors)

    def arguments(found: tuple[Argument, ...]) -> tuple[Argument, ...]:
        return tuple(replace(a, name="") if a.tensor in changed else a for a in found)

    signatures = tuple(
        s if s.subgraph else replace(s, inputs=arguments(s.inputs), outputs=arguments(s.outputs))
        for s in model.signatures
    )
    main = replace(model.main, tensors=tensors)
    return replace(model, size=0, subgraphs=(main, *model.subgraphs[1:]), signatures=signatures)


def _choose(graph: Subgraph, inputs: Mapping[str, str], outputs: Mapping[str, str], where: str) -> _Chosen:
    """Find the tensor of each old name, and see that the new names are free."""
    indices = {"input": graph.inputs, "output": graph.outputs}
    renaming = Renaming(where, *([graph.tensors[index].name for index in held] for held in indices.values()))

    def find(kind: Kind, old: str) -> int | None:
        held, place = indices[kind], old.removeprefix("#")
        matches = {index for index in held if graph.tensors[index].name == old}
        if len(matches) > 1:
            got = f"tensors {', '.join(str(index) for index in held if index in matches)}"
            raise StepError(f"the model has several {kind}s called '{old}'", where=where, got=got)
        if not matches and old[:1] == "#" and place.isdecimal() and int(place) < len(held):
            return held[int(place)]  # `#0` is the first one, which needs no name
        return matches.pop() if matches else None

    chosen = renaming.choose(inputs, outputs, find)
    after = {tensor.name: tensor.index for tensor in graph.tensors if tensor.index not in chosen}
    for index, (_, new) in chosen.items():
        if new in after:
            raise renaming.taken(new, "tensor", f"tensor {after[new]} is called so")
        after[new] = index
    return chosen


def _strings(model: Model, chosen: _Chosen) -> Iterator[tuple[int, _Kind, Text, str]]:
    """Yield the strings to change: of which tensor, what, the string, its new text.

    The tensors' own names, and those arguments of signatures that bear the same name.
    """
    for index, (kind, new) in chosen.items():
        if (text := model.main.tensors[index].text) is not None:  # else it gets a new table, with a name
            yield index, kind, text, new
    for signature in model.signatures:
        if signature.subgraph:
            continue
        for argument in (*signature.inputs, *signature.outputs):
            # An argument's name is the caller's; it follows its tensor only where the two were one name.
            same = argument.name == model.main.tensors[argument.tensor].name
            if same and argument.tensor in chosen and argument.text is not None:
                yield argument.tensor, "signature", argument.text, chosen[argument.tensor][1]


def _place(view: memoryview, strings: Iterable[tuple[int, _Kind, Text, str]], model: Model, where: str) -> Plan:
    # Strings at the end start on a 4-byte boundary, as the format requires.
    made = Plan([], bytearray(-len(view) % 4), [])
    appended: dict[str, int] = {}
    done: set[int] = set()
    for tensor, kind, text, new in strings:
        if text.field in done:
            continue
        done.add(text.field)
        raw = new.encode("utf-8")
        room = _room(view, text)
        fits = len(model.strings.get(text.at, ())) <= 1 and len(raw) <= room
        if fits:
            made.patches.append((text.at, struct.pack("<I", len(raw)) + raw + bytes(room + 1 - len(raw))))
        else:
            if new not in appended:
                appended[new] = len(view) + len(made.tail)
                made.tail.extend(struct.pack("<I", len(raw)) + raw + b"\0")
                made.tail.extend(bytes(-(len(view) + len(made.tail)) % 4))
            if appended[new] + len(raw) > MAX_SIZE:
                raise StepError(
                    "the file is too large for a longer name: FlatBuffers end at 2 GiB", where=where,
                    expected=f"a name of at most {room} bytes", got=f"{new} ({len(raw)} bytes)",
                )  # fmt: skip
            made.patches.append((text.field, struct.pack("<I", appended[new] - text.field)))
        made.renamed.append(Renamed(tensor, kind, str(text), new, "in place" if fits else "appended"))
    if not appended:
        made.tail.clear()
    return made


def _name(view: memoryview, nameless: _Chosen, made: Plan, where: str) -> None:
    """Write a new table at the end of the file for each tensor that has no place for a name."""
    if not nameless:
        return
    (graph, *_) = Buffer(view, where).root().tables(2, "subgraph")
    extent = graph.extent(0, 4, "the list of tensors")
    tables = graph.tables(0, "tensor")
    assert extent is not None
    for index, (kind, name) in nameless.items():
        made.tail.extend(bytes(-(len(view) + len(made.tail)) % 16))
        table, root = _tensor_with_name(tables[index], name)
        entry = extent[0] + 4 * index
        made.patches.append((entry, struct.pack("<I", len(view) + len(made.tail) + root - entry)))
        made.tail.extend(table)
        made.renamed.append(Renamed(index, kind, "", name, "appended"))
    if len(view) + len(made.tail) > MAX_SIZE:
        raise StepError("the file is too large for a name: FlatBuffers end at 2 GiB", where=where)


def _tensor_with_name(tensor: Table, name: str) -> tuple[bytes, int]:
    """Copy a tensor's table, with a name.

    Returns what to append at a place that is a multiple of 16, and where in it the table is. Raises StepError: the
    tensor has parts that are not copied: sparsity, variants, a custom quantization.
    """
    from flatbuffers import Builder

    quantized = tensor.table(4, "the quantization of a tensor")
    if tensor.position(6) or tensor.position(9) or (quantized is not None and quantized.position(5)):
        raise StepError(
            f"{tensor.what} has no name, and cannot be given one", where=tensor.buffer.where,
            got="it is sparse, or quantized by a custom rule",
        )  # fmt: skip
    builder = Builder(256)
    text = builder.CreateString(name)
    shape, signature = (_vector(builder, tensor, slot, "Int32") for slot in (0, 7))
    quantization = 0
    if quantized is not None:
        vectors = {slot: _vector(builder, quantized, slot, "Int64" if slot == 3 else "Float32") for slot in range(4)}
        builder.StartObject(7)
        for slot, vector in vectors.items():
            builder.PrependUOffsetTRelativeSlot(slot, vector, 0)
        builder.PrependInt32Slot(6, quantized.integer(6, "Int32"), 0)
        quantization = builder.EndObject()
    builder.StartObject(10)
    for slot, offset in ((0, shape), (3, text), (4, quantization), (7, signature)):
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    builder.PrependInt8Slot(1, tensor.integer(1, "Int8"), 0)
    builder.PrependUint32Slot(2, tensor.integer(2, "Uint32"), 0)
    builder.PrependBoolSlot(5, bool(tensor.number(5, "Bool")), False)
    builder.PrependBoolSlot(8, bool(tensor.number(8, "Bool")), False)
    builder.Finish(builder.EndObject())
    data = bytes(builder.Output())
    return data, int.from_bytes(data[:4], "little")


def _vector(builder: Any, table: Table, slot: int, kind: Scalar) -> int:
    """Copy a vector of numbers; 0 if there is none."""
    if table.position(slot) is None:
        return 0
    numbers = table.numbers(slot, kind, f"a vector of {table.what}")
    width = 8 if kind == "Int64" else 4
    put = {"Int32": builder.PrependInt32, "Int64": builder.PrependInt64, "Float32": builder.PrependFloat32}[kind]
    builder.StartVector(width, len(numbers), width)
    for number in reversed(numbers):
        put(number)
    return int(builder.EndVector())


def _room(view: memoryview, text: Text) -> int:
    """Return how many bytes fit in the place of a string: its own, and the zeros up to the next 4-byte boundary.

    What follows a string in a FlatBuffer starts at such a boundary, but for a vtable, which may start at an even
    address and never with two zero bytes (it starts with its own length). So zeros up to the boundary are padding.
    """
    end = text.at + 4 + len(text.raw) + 1
    padded = end + (-end % 4)
    if padded <= len(view) and not any(view[end:padded]):
        return padded - 1 - (text.at + 4)
    return len(text.raw)
