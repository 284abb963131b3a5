"""Protocol-buffer messages from a table, in a descriptor pool of our own.

A schema is a tab-separated table, one row a field or an enum value (``caffe/schema.tsv``, ``tensorflow/schema.tsv``).
It is loaded into a private pool: a second ``caffe.proto`` in protobuf's default pool would collide with a real caffe or
TensorFlow imported in the same process. Works with protobuf 4.25 to 7.

Columns: ``kind message name number label type default packed``, where kind is ``field``, ``oneof`` (as field, with the
oneof's name in a ninth column), ``map`` (type is ``key,value``) or ``enum``. A dotted message or enum name is nested.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message

_SCALARS = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "fixed64": 6, "fixed32": 7, "bool": 8,
    "string": 9, "bytes": 12, "uint32": 13, "sfixed32": 15, "sfixed64": 16, "sint32": 17, "sint64": 18,
}  # fmt: skip
_LABELS = {"optional": 1, "required": 2, "repeated": 3}
_ENUM, _MESSAGE = 14, 11


Function = TypeVar("Function", bound=Callable[..., Any])


def once(make: Function) -> Function:
    """Cache what a function makes, made by one thread while others wait for it.

    :func:`functools.cache` lets two threads make the same thing. Two pools have two classes of the same message, and a
    message of one cannot be put into a message of the other.
    """
    made, lock = cache(make), threading.RLock()

    @wraps(make)
    def get(*arguments: Any, **named: Any) -> Any:
        with lock:
            return made(*arguments, **named)

    return get  # type: ignore[return-value]  # of the same signature


def _put_off_python_messages() -> None:
    """Execute protobuf's messages in Python, a third of its import, only if they are used: others are written in C."""
    import sys
    from importlib.util import LazyLoader, find_spec, module_from_spec

    from google.protobuf import internal

    name = "google.protobuf.internal.python_message"
    if name not in sys.modules and (spec := find_spec(name)) is not None and spec.loader is not None:
        spec.loader = LazyLoader(spec.loader)
        sys.modules[name] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
        internal.python_message = module  # to look for it elsewhere would execute it


class Schema:
    """The messages of one table."""

    def __init__(self, package: str, table: str, syntax: str = "proto2") -> None:
        _put_off_python_messages()
        from google.protobuf import descriptor_pb2, descriptor_pool

        self.package = package
        file = descriptor_pb2.FileDescriptorProto(name=f"modelprep/{package}.proto", package=package, syntax=syntax)
        rows = [line.split("\t") for line in table.splitlines() if line and not line.startswith("#")]
        enums = {row[1] for row in rows if row[0] == "enum"}
        messages: dict[str, Any] = {}
        self._build(file, rows, enums, messages)
        self._lock = threading.Lock()
        self.pool: DescriptorPool = descriptor_pool.DescriptorPool()
        self.pool.AddSerializedFile(file.SerializeToString())

    def _build(self, file: Any, rows: list[list[str]], enums: set[str], messages: dict[str, Any]) -> None:
        def message(name: str) -> Any:
            if name not in messages:
                parent, _, leaf = name.rpartition(".")
                holder = message(parent).nested_type if parent else file.message_type
                messages[name] = holder.add(name=leaf)
            return messages[name]

        enum_protos: dict[str, Any] = {}
        for row in rows:
            kind, owner, name, number, label, type_, default, packed, oneof = (row + [""] * 9)[:9]
            if kind == "enum":
                if owner not in enum_protos:
                    parent, _, leaf = owner.rpartition(".")
                    enum_protos[owner] = (message(parent).enum_type if parent else file.enum_type).add(name=leaf)
                enum_protos[owner].value.add(name=name, number=int(number))
            elif kind == "map":
                self._add_map(message(owner), owner, name, int(number), type_, enums)
            else:
                field = message(owner).field.add(name=name, number=int(number), label=_LABELS[label or "optional"])
                self._set_type(field, type_, enums)
                if default:
                    field.default_value = default
                if packed:
                    field.options.packed = packed == "packed"
                if oneof:
                    holder = message(owner)
                    declared = [o.name for o in holder.oneof_decl]
                    if oneof not in declared:
                        holder.oneof_decl.add(name=oneof)
                        declared.append(oneof)
                    field.oneof_index = declared.index(oneof)

    def _set_type(self, field: Any, type_: str, enums: set[str]) -> None:
        if type_ in _SCALARS:
            field.type = _SCALARS[type_]
        else:
            field.type = _ENUM if type_ in enums else _MESSAGE
            field.type_name = f".{self.package}.{type_}"

    def _add_map(self, holder: Any, owner: str, name: str, number: int, types: str, enums: set[str]) -> None:
        entry_name = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        entry = holder.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        for index, (part, type_) in enumerate(zip(("key", "value"), types.split(","), strict=True), start=1):
            self._set_type(entry.field.add(name=part, number=index, label=1), type_, enums)
        holder.field.add(
            name=name, number=number, label=3, type=_MESSAGE, type_name=f".{self.package}.{owner}.{entry_name}"
        )

    def message(self, name: str) -> type[Message]:
        """Return the class of a message by its name within the package."""
        from google.protobuf import message_factory

        with self._lock:
            return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"{self.package}.{name}"))


@once
def load(package: str, beside: str, syntax: str = "proto2") -> Schema:
    """Load the schema table that is in a package of the formats (``modelprep.formats.onnx``), once a process.

    Not by importlib.resources, which imports thirty modules more.
    """
    path = Path(__file__).with_name(beside.rpartition(".")[2]) / "schema.tsv"
    return Schema(package, path.read_text("utf-8"), syntax)


def is_repeated(field: Any) -> bool:
    """Say whether a field descriptor is of a repeated field (protobuf has deprecated ``label`` since 6.31)."""
    flag = getattr(field, "is_repeated", None)
    return field.label == 3 if flag is None else bool(flag)
