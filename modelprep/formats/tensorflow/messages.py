"""TensorFlow's own messages, from the table beside this module, in a separate descriptor pool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelprep.formats.protos import Schema, load, once

#: What a GraphDef may hold since a later generation than TensorFlow 1.12; of DataType, the numbers.
_AFTER_1_12: Mapping[str, tuple[str, ...]] = {
    "DataType": tuple(str(number) for number in (*range(24, 100), *range(124, 200))),
    "FunctionDef": ("arg_attr", "resource_arg_unique_id", "control_ret"),
    "FunctionDefLibrary": ("registered_gradients",),
    "GraphDef": ("debug_info",),
    "NodeDef": ("experimental_debug_info", "experimental_type"),
    "OpDef": ("control_output", "is_distributed_communication"),
    "OpDef.ArgDef": ("handle_data", "experimental_full_type"),
    "ResourceHandleProto": ("dtypes_and_shapes",),
    "TensorProto": ("float8_val",),
}


@once
def message(name: str) -> Any:
    """Return the class of a message of package ``tensorflow`` (``GraphDef``, ``AttrValue.ListValue``).

    The table is checked against the descriptors of an installed TensorFlow by
    ``tests/formats/tensorflow/test_tf_schema.py``.
    """
    return load("tensorflow", "modelprep.formats.tensorflow", syntax="proto3").message(name)


@once
def message_of_1_12(name: str) -> Any:
    """Return the class of a message as TensorFlow 1.12 has it: what came later is unknown to it."""
    table = Path(__file__).with_name("schema.tsv").read_text("utf-8")
    rows = []
    for line in table.splitlines():
        kind, owner, field, number = (*line.split("\t"), "", "", "")[:4]
        if (number if kind == "enum" else field) not in _AFTER_1_12.get(owner, ()):
            rows.append(line)
    return Schema("tensorflow", "\n".join(rows), "proto3").message(name)
