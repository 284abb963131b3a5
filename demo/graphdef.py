"""GraphDefs, written as text: the few ops of a linear classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def placeholder(name: str, shape: Sequence[int] = ()) -> str:
    """Write a float input."""
    dims = "".join(f"      dim {{\n        size: {size}\n      }}\n" for size in shape)
    message = "shape {\n" + _indent(dims) + "      }"
    return _node(name, "Placeholder", [], _type("dtype") + _attr("shape", message))


def constant(name: str, values: Any) -> str:
    """Write a float constant (numpy float32 array)."""
    dims = "".join(f"          dim {{\n            size: {size}\n          }}\n" for size in values.shape)
    raw = values.astype("<f4").tobytes()
    tensor = (
        "tensor {\n        dtype: DT_FLOAT\n        tensor_shape {\n"
        f'{dims}        }}\n        tensor_content: "{_escaped(raw)}"\n      }}'
    )
    return _node(name, "Const", [], _type("dtype") + _attr("value", tensor))


def node(name: str, op: str, inputs: Sequence[str], **flags: bool) -> str:
    """Write a float op with boolean attributes."""
    extra = "".join(_attr(key, f"b: {'true' if value else 'false'}") for key, value in flags.items())
    return _node(name, op, inputs, _type("T") + extra)


def reshape(name: str, tensor: str, shape: Sequence[int]) -> str:
    """Write a Reshape with its constant shape."""
    values = "".join(f"        int_val: {size}\n" for size in shape)
    dims = f"        tensor_shape {{\n          dim {{\n            size: {len(shape)}\n          }}\n        }}\n"
    const = f"tensor {{\n        dtype: DT_INT32\n{dims}{values}      }}"
    return _node(f"{name}/shape", "Const", [], _attr("dtype", "type: DT_INT32") + _attr("value", const)) + _node(
        name, "Reshape", [tensor, f"{name}/shape"], _type("T") + _attr("Tshape", "type: DT_INT32")
    )


def classifier(given: str, answer: str, side: int, classes: int, inner: str = "net") -> bytes:
    """Make a binary GraphDef: a mean over the picture, one score a class of its three colours, softmax.

    `given`, `answer`: names of the input (float, 1 x side x side x 3) and of the output (1 x classes).
    """
    import numpy as np

    weights = (np.arange(3 * classes, dtype=np.float32).reshape(1, 1, 3, classes) % 61 - 30) / 16
    window = _attr("ksize", f"list {{ i: 1 i: {side} i: {side} i: 1 }}")
    ones, valid = _attr("strides", "list { i: 1 i: 1 i: 1 i: 1 }"), _attr("padding", 's: "VALID"')
    layout = _attr("data_format", 's: "NHWC"')
    return binary(
        placeholder(given, (1, side, side, 3))
        + _node(f"{inner}/pool", "AvgPool", [given], _type("T") + window + ones + valid + layout)
        + constant(f"{inner}/weights", weights)
        + _node(f"{inner}/conv", "Conv2D", [f"{inner}/pool", f"{inner}/weights"], _type("T") + ones + valid + layout)
        + reshape(f"{inner}/flat", f"{inner}/conv", (1, classes))
        + node(f"{inner}/softmax", "Softmax", [f"{inner}/flat"])
        + reshape(answer, f"{inner}/softmax", (1, classes))
    )


def binary(text: str) -> bytes:
    """Turn a text GraphDef into the binary form."""
    from google.protobuf import text_format

    from modelprep.formats.tensorflow.messages import message

    return bytes(text_format.Parse(text, message("GraphDef")()).SerializeToString(deterministic=True))


def _node(name: str, op: str, inputs: Sequence[str], attributes: str) -> str:
    lines = "".join(f'  input: "{item}"\n' for item in inputs)
    return f'node {{\n  name: "{name}"\n  op: "{op}"\n{lines}{attributes}}}\n'


def _attr(key: str, value: str) -> str:
    return f'  attr {{\n    key: "{key}"\n    value {{\n      {value}\n    }}\n  }}\n'


def _type(key: str) -> str:
    return _attr(key, "type: DT_FLOAT")


def _indent(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def _escaped(raw: bytes) -> str:
    plain = {byte: chr(byte) for byte in range(0x20, 0x7F) if chr(byte) not in "\"\\'"}
    return "".join(plain.get(byte, f"\\{byte:03o}") for byte in raw)
