"""Rename the inputs and outputs of a TF Lite file, leaving every other byte as it is.

Board tests bind tensors by name, and two publishers of one network name them differently. A name is a string somewhere
in the file, reached through an offset in its tensor. Where the new name fits into the old one's place (its padding
included) it is written there; where it does not, it is appended at the file's end and the offset turned to it. Nothing
moves, so weights, buffers and all else stay byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from modelprep.errors import StepError
from modelprep.formats.mapped import MappedFile
from modelprep.formats.names import Renaming
from modelprep.formats.output import cannot_write, copy
from modelprep.formats.tflite.flatbuffer import MAX_SIZE, Buffer, Text
from modelprep.formats.tflite.model import WHAT, Argument, Model, Subgraph, parse, read
from modelprep.formats.tflite.write import tensor_with_name


@dataclass(frozen=True)
class Patch:
    """Bytes to write at a position."""

    at: int
    data: bytes


@dataclass(frozen=True)
class Renamed:
    """One name that changes: of which tensor, how, and whether it kept its place or went to the end of the file."""

    tensor: int
    kind: Literal["input", "output", "signature"]
    old: str
    new: str
    place: Literal["in place", "appended"]


@dataclass(frozen=True)
class Plan:
    """What renaming will do: patches within the file, bytes for its end."""

    patches: tuple[Patch, ...]
    tail: bytes
    renamed: tuple[Renamed, ...]


def plan(path: Path, inputs: Mapping[str, str], outputs: Mapping[str, str], *, where: str = "") -> Plan:
    """Decide how to rename.

    `inputs`, `outputs`: old name -> new name of the first subgraph's inputs and outputs. ``#0`` means the first one,
    whatever its name. Raises StepError: the file is damaged; an old name is not there; a new name is taken, empty or
    too long; nothing would change.
    """
    where = where or str(path)
    with MappedFile(path, where, what=WHAT) as file:
        model = parse(file.view, where)
        wanted = _wanted(model.main, inputs, outputs, where)
        slots = _slots(model, wanted)
        nameless = {index: entry for index, entry in wanted.items() if model.main.tensors[index].text is None}
        return _name(file.view, nameless, _place(file.view, slots, model, where), where)


def apply(path: Path, plan: Plan, output: Path, *, progress: Callable[[int, int | None], None] | None = None) -> None:
    """Copy the file with the new names in it, and read it again: nothing but the names may differ.

    Raises StepError: the result is not the same model under new names, because the file's parts lie over one another;
    StorageError: it cannot be written.
    """
    size = path.stat().st_size
    copy(path, output)
    try:
        with output.open("r+b") as file:
            for patch in plan.patches:
                file.seek(patch.at)
                file.write(patch.data)
            file.seek(size)
            file.write(plan.tail)
    except OSError as error:
        raise cannot_write(output, error) from None
    before, after = read(path), read(output, where=str(path))
    names = {(item.tensor, item.new) for item in plan.renamed if item.kind != "signature"}
    if _nameless(before, names) != _nameless(after, names) or any(
        after.main.tensors[index].name != new for index, new in names
    ):
        raise StepError(
            "renaming would change more than the names: parts of this file lie over one another", where=str(path)
        )
    if progress is not None:
        progress(size + len(plan.tail), size + len(plan.tail))


def _nameless(model: Model, names: Collection[tuple[int, str]]) -> Model:
    """Return the model with the renamed tensors' names taken out, to compare by."""
    changed = {index for index, _ in names}
    main = replace(
        model.main, tensors=tuple(replace(t, name="") if t.index in changed else t for t in model.main.tensors)
    )

    def arguments(found: tuple[Argument, ...]) -> tuple[Argument, ...]:
        return tuple(replace(a, name="") if a.tensor in changed else a for a in found)

    signatures = tuple(
        s if s.subgraph else replace(s, inputs=arguments(s.inputs), outputs=arguments(s.outputs))
        for s in model.signatures
    )
    return replace(model, size=0, subgraphs=(main, *model.subgraphs[1:]), signatures=signatures)


@dataclass(frozen=True)
class _Slot:
    """One string to change."""

    tensor: int
    kind: Literal["input", "output", "signature"]
    text: Text
    new: str


def _wanted(
    graph: Subgraph, inputs: Mapping[str, str], outputs: Mapping[str, str], where: str
) -> dict[int, tuple[Literal["input", "output"], str]]:
    """Find the tensor of each old name, and see that the new names are free."""
    there = [[graph.tensors[index].name for index in indices] for indices in (graph.inputs, graph.outputs)]
    renaming = Renaming(where, *there)
    wanted: dict[int, tuple[Literal["input", "output"], str]] = {}
    for kind, names, indices in (("input", inputs, graph.inputs), ("output", outputs, graph.outputs)):
        for old, new in names.items():
            matches = [index for index in indices if graph.tensors[index].name == old] or _numbered(indices, old)
            if not matches:
                raise renaming.absent(kind, old)
            if len(set(matches)) > 1:
                raise StepError(
                    f"the model has several {kind}s called '{old}'", where=where,
                    got=f"tensors {', '.join(map(str, matches))}",
                )  # fmt: skip
            renaming.check(new)
            if wanted.get(matches[0], (kind, new))[1] != new:
                raise renaming.two_names(old, wanted[matches[0]][1], new)
            if new != old:
                wanted[matches[0]] = ("input" if kind == "input" else "output", new)
    if not wanted:
        raise renaming.nothing()
    after = {tensor.name: tensor.index for tensor in graph.tensors if tensor.index not in wanted}
    for index, (_, new) in wanted.items():
        if new in after:
            raise renaming.taken(new, "tensor", f"tensor {after[new]} is called so")
        after[new] = index
    return wanted


def _numbered(indices: tuple[int, ...], name: str) -> list[int]:
    """Return the tensor at a place: ``#0`` is the first input or output, which needs no name."""
    place = name.removeprefix("#")
    return [indices[int(place)]] if name[:1] == "#" and place.isdecimal() and int(place) < len(indices) else []


def _slots(model: Model, wanted: Mapping[int, tuple[Literal["input", "output"], str]]) -> list[_Slot]:
    """List the strings: the tensors' own names, and those arguments of signatures that bear the same name."""
    slots = []
    for index, (kind, new) in wanted.items():
        tensor = model.main.tensors[index]
        if tensor.text is None:
            continue  # it gets a table of its own, with a name
        slots.append(_Slot(index, kind, tensor.text, new))
    for signature in model.signatures:
        if signature.subgraph:
            continue
        for argument in (*signature.inputs, *signature.outputs):
            # An argument's name is the caller's; it follows its tensor only where the two were one name.
            same = argument.name == model.main.tensors[argument.tensor].name
            if same and argument.tensor in wanted and argument.text is not None:
                slots.append(_Slot(argument.tensor, "signature", argument.text, wanted[argument.tensor][1]))
    return slots


def _place(view: memoryview, slots: list[_Slot], model: Model, where: str) -> Plan:
    # Strings at the end start on a 4-byte boundary, as the format wants them.
    tail = bytearray(-len(view) % 4)
    patches: list[Patch] = []
    renamed: list[Renamed] = []
    appended: dict[str, int] = {}
    done: set[int] = set()
    for slot in slots:
        if slot.text.field in done:
            continue
        done.add(slot.text.field)
        raw = slot.new.encode("utf-8")
        room = _room(view, slot.text)
        alone = len(model.strings.get(slot.text.at, ())) <= 1
        if alone and len(raw) <= room:
            patches.append(Patch(slot.text.at, struct.pack("<I", len(raw)) + raw + bytes(room + 1 - len(raw))))
        else:
            if slot.new not in appended:
                appended[slot.new] = len(view) + len(tail)
                tail += struct.pack("<I", len(raw)) + raw + b"\0"
                tail += bytes(-(len(view) + len(tail)) % 4)
            target = appended[slot.new]
            if target + len(raw) > MAX_SIZE:
                raise StepError(
                    "the file is too large for a longer name: FlatBuffers end at 2 GiB", where=where,
                    expected=f"a name of at most {room} bytes", got=f"{slot.new} ({len(raw)} bytes)",
                )  # fmt: skip
            patches.append(Patch(slot.text.field, struct.pack("<I", target - slot.text.field)))
        place: Literal["in place", "appended"] = "in place" if alone and len(raw) <= room else "appended"
        renamed.append(Renamed(slot.tensor, slot.kind, str(slot.text), slot.new, place))
    return Plan(tuple(patches), bytes(tail) if appended else b"", tuple(renamed))


def _name(
    view: memoryview, nameless: Mapping[int, tuple[Literal["input", "output"], str]], plan: Plan, where: str
) -> Plan:
    """Return tensors that have no place for a name a table of their own at the end of the file."""
    if not nameless:
        return plan
    buffer = Buffer(view, where)
    (graph, *_) = buffer.root().tables(2, "subgraph")
    extent = graph.extent(0, 4, "the list of tensors")
    tables = graph.tables(0, "tensor")
    assert extent is not None
    tail, patches, renamed = bytearray(plan.tail), list(plan.patches), list(plan.renamed)
    for index, (kind, name) in nameless.items():
        tail += bytes(-(len(view) + len(tail)) % 16)
        copy_, root = tensor_with_name(tables[index], name)
        entry = extent[0] + 4 * index
        patches.append(Patch(entry, struct.pack("<I", len(view) + len(tail) + root - entry)))
        tail += copy_
        renamed.append(Renamed(index, kind, "", name, "appended"))
    if len(view) + len(tail) > MAX_SIZE:
        raise StepError("the file is too large for a name: FlatBuffers end at 2 GiB", where=where)
    return Plan(tuple(patches), bytes(tail), tuple(renamed))


def _room(view: memoryview, text: Text) -> int:
    """Return how many bytes fit where a string stands: its own, and the zeros up to the next 4-byte boundary.

    What follows a string in a FlatBuffer starts at such a boundary, but for a vtable, which may start at an even
    address and never with two zero bytes (it starts with its own length). So zeros up to the boundary are padding.
    """
    end = text.at + 4 + len(text.raw) + 1
    padded = end + (-end % 4)
    if padded <= len(view) and not any(view[end:padded]):
        return padded - 1 - (text.at + 4)
    return len(text.raw)
