"""A small TF Lite file made from nothing: one ADD of a constant to the input, with a signature and quantisation."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SCALARS = {"u8": "B", "i8": "b", "i32": "i", "u32": "I", "f32": "f", "i64": "q", "u64": "Q"}


@dataclass
class T:
    """A table: slot -> (kind, value); kind is a scalar, ``text``, ``[kind]``, ``table`` or ``tables``."""

    slots: dict[int, tuple[str, Any]]


class Builder:
    """Writes parents before children, so that every offset points forward, as the format wants it."""

    def __init__(self) -> None:
        self.out = bytearray(b"\0\0\0\0TFL3")
        self.shared: list[tuple[int, tuple[str, Any]]] = []

    def finish(self, root: T) -> bytes:
        self._refer(0, self.table(root))
        places: dict[object, int] = {}
        for field, (kind, value) in self.shared:
            # One string or vector for all who share it, behind the last of them.
            key = (kind, tuple(value))
            if key not in places:
                places[key] = self.child(kind, value)
            self._refer(field, places[key])
        return bytes(self.out)

    def _align(self, n: int = 4) -> None:
        self.out += bytes(-len(self.out) % n)

    def _refer(self, field: int, target: int) -> None:
        struct.pack_into("<I", self.out, field, target - field)

    def table(self, table: T) -> int:
        inline = {s: ("u32" if k not in SCALARS else k) for s, (k, _) in table.slots.items()}
        places, at = {}, 4
        for slot, kind in sorted(inline.items(), key=lambda item: -struct.calcsize(SCALARS[item[1]])):
            width = struct.calcsize(SCALARS[kind])
            at += -at % width
            places[slot] = at
            at += width
        count = max(table.slots, default=-1) + 1
        self._align(8)
        vtable = len(self.out)
        self.out += struct.pack("<HH", 4 + 2 * count, at)
        self.out += b"".join(struct.pack("<H", places.get(slot, 0)) for slot in range(count))
        self._align(8)
        start = len(self.out)
        self.out += struct.pack("<i", start - vtable) + bytes(at - 4)
        for slot, (kind, value) in table.slots.items():
            field = start + places[slot]
            if kind in SCALARS:
                struct.pack_into("<" + SCALARS[kind], self.out, field, value)
            elif kind.startswith("shared "):
                self.shared.append((field, (kind.removeprefix("shared "), value)))
            else:
                self._refer(field, self.child(kind, value))
        return start

    def child(self, kind: str, value: Any) -> int:
        if kind == "table":
            return self.table(value)
        if kind == "text":
            raw = value.encode() if isinstance(value, str) else value
            self._align()
            at = len(self.out)
            self.out += struct.pack("<I", len(raw)) + raw + b"\0"
            self._align()
            return at
        if kind == "tables":
            self._align()
            at = len(self.out)
            self.out += struct.pack("<I", len(value)) + bytes(4 * len(value))
            for index, item in enumerate(value):
                self._refer(at + 4 + 4 * index, self.table(item))
            return at
        form = SCALARS[kind.strip("[]")]
        width = struct.calcsize("<" + form)
        # The elements are aligned to their width (16 for buffers, as TF Lite's schema forces), the count lies before.
        alignment = 16 if form == "B" else max(width, 4)
        self.out += bytes(-(len(self.out) + 4) % alignment)
        at = len(self.out)
        self.out += struct.pack(f"<I{len(value)}{form}", len(value), *value)
        self._align()
        return at


def tensor(name: str | bytes, shape: Sequence[int], buffer: int = 0, *, kind: str = "text") -> T:
    return T({0: ("[i32]", shape), 1: ("i8", 0), 2: ("u32", buffer), 3: (kind, name)})


def tiny(
    input_name: str | bytes = "input",
    output_name: str = "MobilenetV2/Predictions/Softmax",
    *,
    signature: bool = True,
    shared: bool = False,
) -> bytes:
    """Return the file; with `shared`, the output's string is also that of another tensor of another subgraph."""
    constant = struct.pack("<4f", 0.5, 1.5, 2.5, 3.5)
    kind = "shared text" if shared else "text"
    main = T(
        {
            0: (
                "tables",
                [tensor(input_name, [1, 4]), tensor("weights", [1, 4], 1), tensor(output_name, [1, 4], kind=kind)],
            ),
            1: ("[i32]", [0]),
            2: ("[i32]", [2]),
            3: (
                "tables",
                [
                    T(
                        {
                            0: ("u32", 0),
                            1: ("[i32]", [0, 1]),
                            2: ("[i32]", [2]),
                            3: ("u8", 11),
                            4: ("table", T({0: ("i8", 1)})),
                        }
                    )
                ],
            ),
            4: ("text", "main"),
        }
    )
    subgraphs = [main]
    if shared:
        other = T(
            {
                0: ("tables", [tensor(output_name, [1], kind=kind)]),
                1: ("[i32]", [0]),
                2: ("[i32]", [0]),
                3: ("tables", []),
            }
        )
        subgraphs.append(other)
    model: dict[int, tuple[str, Any]] = {
        0: ("u32", 3),
        1: ("tables", [T({0: ("i8", 0), 2: ("i32", 1)})]),
        2: ("tables", subgraphs),
        3: ("text", "made by a test"),
        4: ("tables", [T({}), T({0: ("[u8]", list(constant))})]),
    }
    if signature:
        model[7] = (
            "tables",
            [
                T(
                    {
                        0: ("tables", [T({0: ("text", "x"), 1: ("u32", 0)})]),
                        1: ("tables", [T({0: ("text", output_name), 1: ("u32", 2)})]),
                        2: ("text", "serving_default"),
                    }
                )
            ],
        )
    return Builder().finish(T(model))
