"""TensorFlow's own messages, from the table beside this module, in a descriptor pool of our own."""

from __future__ import annotations

from functools import cache
from typing import Any

from modelprep.formats.protos import load


@cache
def message(name: str) -> Any:
    """Give the class of a message of package ``tensorflow`` (``GraphDef``, ``AttrValue.ListValue``).

    The table is held to the descriptors of an installed TensorFlow by ``tests/formats/tensorflow/test_tf_schema.py``.
    """
    return load("tensorflow", "modelprep.formats.tensorflow", syntax="proto3").message(name)
