"""Protocol-buffer messages from a table, in a private descriptor pool.

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
        name = f"modelprep/{package}.proto"
        self._file: Any = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax=syntax)
        rows = [(line.split("\t") + [""] * 9)[:9] for line in table.splitlines() if line and not line.startswith("#")]
        self._enums = {row[1] for row in rows if row[0] == "enum"}
        self._declared: dict[str, Any] = {}
        for row in rows:
            self._add(row)
        self._lock = threading.Lock()
        self.pool: DescriptorPool = descriptor_pool.DescriptorPool()
        self.pool.AddSerializedFile(self._file.SerializeToString())

    def _add(self, row: list[str]) -> None:
        """Add what a row of the table declares."""
        kind, owner, name, number, label, type_, default, packed, oneof = row
        holder = self._declare(owner)
        if kind == "enum":
            holder.value.add(name=name, number=int(number))
            return
        field = holder.field.add(name=name, number=int(number), label=_LABELS[label or "optional"])
        if kind == "map":
            entry = holder.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
            entry.options.map_entry = True
            for index, part in enumerate(type_.split(","), start=1):
                self._set_type(entry.field.add(name=("key", "value")[index - 1], number=index, label=1), part)
            field.label = _LABELS["repeated"]
            type_ = f"{owner}.{entry.name}"
        self._set_type(field, type_)
        if default:
            field.default_value = default
        if packed:
            field.options.packed = packed == "packed"
        if oneof:
            declared = [o.name for o in holder.oneof_decl]
            if oneof not in declared:
                holder.oneof_decl.add(name=oneof)
                declared.append(oneof)
            field.oneof_index = declared.index(oneof)

    def _declare(self, name: str) -> Any:
        """Return the message or enum of a name, declared in the one that it is nested in."""
        if name not in self._declared:
            outer, _, leaf = name.rpartition(".")
            holder = self._declare(outer) if outer else self._file
            if name in self._enums:
                self._declared[name] = holder.enum_type.add(name=leaf)
            else:
                self._declared[name] = (holder.nested_type if outer else holder.message_type).add(name=leaf)
        return self._declared[name]

    def _set_type(self, field: Any, type_: str) -> None:
        if type_ in _SCALARS:
            field.type = _SCALARS[type_]
        else:
            field.type = _ENUM if type_ in self._enums else _MESSAGE
            field.type_name = f".{self.package}.{type_}"

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
    """Return whether a field descriptor is of a repeated field (protobuf has deprecated ``label`` since 6.31)."""
    flag = getattr(field, "is_repeated", None)
    return field.label == 3 if flag is None else bool(flag)
