"""The table of TensorFlow's messages against the descriptors of an installed TensorFlow."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from modelprep.formats.protos import load

_KINDS = {v: k.removeprefix("TYPE_").lower() for k, v in vars(FieldDescriptor).items() if k.startswith("TYPE_")}


def test_every_field_and_enum_value_is_as_in_tensorflow(oracle: Any) -> None:
    pool = load("tensorflow", "modelprep.formats.tensorflow", syntax="proto3").pool
    theirs = oracle.findings["schema"]
    ours: dict[str, Any] = {}
    for key in theirs:
        owner, _, name = key.rpartition(".")
        if isinstance(theirs[key], int):
            ours[key] = pool.FindEnumTypeByName(f"tensorflow.{owner}").values_by_name[name].number
            continue
        field = pool.FindMessageTypeByName(f"tensorflow.{owner}").fields_by_name[name]
        target = field.message_type or field.enum_type
        ours[key] = [
            field.number,
            _KINDS[field.type],
            field.is_repeated if hasattr(field, "is_repeated") else field.label == 3,
            "" if target is None else target.full_name.rpartition(".")[2],
            field.containing_oneof.name if field.containing_oneof else "",
        ]
    assert len(theirs) > 250
    assert ours == theirs
