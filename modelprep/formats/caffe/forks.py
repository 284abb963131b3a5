"""What Caffe's public forks add to its schema: fields, numbers, layer types; and which fork a layer is written for.

Forks number their fields independently: 201 is ``multibox_loss_param`` in SSD and something else in
four others. In memory each field has a number of its own, from :data:`FIRST_NUMBER` on; encoding a
net (:func:`encode`) writes the number of the fork that the layer belongs to. Facts: ``forks.tsv``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.caffe import text_bytes
from modelprep.formats.protowire import bytes_field
from modelprep.structs import dataclass

#: Numbers of fork fields in memory; no file has such numbers.
FIRST_NUMBER = 1 << 28
#: How the tag of such a field begins (its lowest 21 bits are free), and how text that is no UTF-8 is kept.
_MARKED = re.compile(rb"[\x80-\xff][\x80-\xff][\x80-\x83]\x80\x08|\xf4\x8f[\xbe\xbf]", re.DOTALL)


@dataclass(frozen=True)
class Forks:
    """The table.

    `titles`: name and repository of each fork, by its key. `types`: layer types that BVLC Caffe does not have, with the
    keys of the forks that do. `owners`: layer types that take a field of LayerParameter, by that field. `numbers`:
    ``fork=number`` of each fork, by (message, field); see :meth:`of`. `schema`: rows for the schema table (see
    :mod:`modelprep.formats.protos`).
    """

    titles: Mapping[str, str]
    types: Mapping[str, tuple[str, ...]]
    owners: Mapping[str, tuple[str, ...]]
    numbers: Mapping[tuple[str, str], str]
    schema: str

    def of(self, field: tuple[str, str]) -> dict[str, int]:
        """Return the number of a field in each fork, by the fork's key."""
        return {key: int(number) for key, _, number in (part.partition("=") for part in self.numbers[field].split())}


@cache
def table() -> Forks:
    """Read the table, once a process."""
    titles: dict[str, str] = {}
    types: dict[str, tuple[str, ...]] = {}
    owners: dict[str, tuple[str, ...]] = {}
    numbers: dict[tuple[str, str], str] = {}
    rows = []
    for line in Path(__file__).with_name("forks.tsv").read_text("utf-8").splitlines():
        kind, *row = line.split("\t")
        if kind == "fork":
            titles[row[0]] = row[1]
        elif kind == "type":
            types[row[0]] = tuple(row[1].split())
            for name in row[2].split():
                owners[name] = (*owners.get(name, ()), row[0])
        elif kind == "enum":
            rows.append(line)
        elif kind == "field":
            message, name, label, type_, given = row
            numbers[message, name] = given
            rows.append(f"field\t{message}\t{name}\t{FIRST_NUMBER + len(numbers)}\t{label}\t{type_}")
    return Forks(titles, types, owners, numbers, "\n".join(rows))


def fields_in(message: Any, *, inside: bool = True) -> Iterator[tuple[str, str]]:
    """Yield the fields of forks that a message holds, at any depth: (message, field)."""
    for descriptor, value in message.ListFields():
        foreign = descriptor.number >= FIRST_NUMBER
        if foreign:
            yield descriptor.containing_type.full_name.partition(".")[2], descriptor.name
        if descriptor.message_type is not None and (inside or not foreign):
            for one in value if hasattr(value, "extend") else (value,):
                yield from fields_in(one, inside=inside)


def forks_of(layer: Any) -> tuple[str, ...]:
    """Return the keys of the forks that know every field of a layer that BVLC Caffe does not know.

    Empty where there are such fields and no fork knows them all, and where there are none.
    """
    keys: list[str] | None = None
    for field in fields_in(layer):
        keys = [key for key in table().of(field) if keys is None or key in keys]
    return tuple(keys or ())


def described(layer: Any) -> str:
    """Say in words which fork a layer's type or fields come from; empty where BVLC Caffe has them."""
    names = sorted({name for _, name in fields_in(layer, inside=False)})
    known = table()
    keys = forks_of(layer) if names else known.types.get(layer.type, ())
    if not keys:
        return ""
    which = f", the field{'s' * (len(names) > 1)} {', '.join(names)}" if names else ""
    return f"{named(keys)}{which}"


def named(keys: tuple[str, ...]) -> str:
    """Name forks for a message: two at most."""
    titles = table().titles
    more = f" and {len(keys) - 2} more" if len(keys) > 2 else ""
    return f"{' or '.join(titles[key] for key in keys[:2])}{more}"


def encode(message: Any) -> bytes:
    """Encode a message of Caffe's schema as Caffe writes it, or the fork that a layer in it belongs to.

    Raises StepError: a layer has fields of forks that have nothing to do with each other.
    """
    data: bytes = message.SerializeToString(deterministic=True)
    if _MARKED.search(data) is None:
        return data
    layers = getattr(message, "layer", None)
    keys = forks_of(message) if layers is None else ()
    if layers is None and not keys and (used := list(fields_in(message))):
        raise StepError(
            "the layer has fields of several forks of Caffe, and no fork knows them all",
            where=f"layer '{getattr(message, 'name', '')}' ({getattr(message, 'type', '')})",
            got=", ".join(f"{name}: {named(tuple(table().of((owner, name))))}" for owner, name in used),
        )

    def number(field: Any) -> int:
        if field.number < FIRST_NUMBER:
            return int(field.number)
        return table().of((field.containing_type.full_name.partition(".")[2], field.name))[keys[0]]

    if layers is not None:
        shell = type(message)()
        shell.CopyFrom(message)
        shell.ClearField("layer")
        data = shell.SerializeToString(deterministic=True)
    head = text_bytes.rewritten(data, message.DESCRIPTOR, string=text_bytes.restore, number=number)
    return head + b"".join(bytes_field(100, encode(layer)) for layer in layers or ())
