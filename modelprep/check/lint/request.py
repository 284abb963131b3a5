"""A test's requirements for a model: Arm NN version, bindings, shapes."""

from __future__ import annotations

from typing import Literal

from modelprep.structs import dataclass
from modelprep.targets import armnn_tests
from modelprep.targets.armnn.program import Binding

Parser = Literal["caffe", "tf", "tflite", "onnx"]


@dataclass(frozen=True)
class Asked:
    """A test's requirements for a model.

    Parameters
    ----------
    input_name, input_shape
        Input binding, and the shape of its data; empty without a test.
    shape_passed
        Whether the test passes the shape to the parser.
    text
        Whether the test reads the file as protobuf text; None: text or binary.
    fed, room
        Type of the input's numbers, and of the buffers for the outputs.
    """

    version: str = armnn_tests.BASE_VERSION
    input_name: str = ""
    input_shape: tuple[int, ...] = ()
    shape_passed: bool = False
    outputs: tuple[str, ...] = ()
    text: bool | None = None
    program: str = "the test program"
    fed: Literal["float32", "uint8"] = "float32"
    room: Literal["float32", "uint8"] = "float32"

    @classmethod
    def by_test(cls, test: armnn_tests.BoardTest) -> Asked:
        """Return the requirements of a board test."""
        # A classifier's buffer is of its input's type; the detector has its own.
        fed: Literal["float32", "uint8"] = "uint8" if test.input_dtype == "uint8" else "float32"
        room = "float32" if test.preprocess["kind"] == "ssd" else fed
        return cls(test.version, test.input_name, test.input_shape, test.shape_passed, test.outputs,
                   test.text if test.parser == "tf" else None, test.name, fed, room)  # fmt: skip


def binding(asked: Asked) -> Binding:
    """Return a test's requirements for Arm NN's parsed network."""
    from math import prod

    elements = prod(asked.input_shape) if asked.input_name else None
    shapes = {asked.input_name: asked.input_shape} if asked.shape_passed else {}
    return Binding(asked.input_name, asked.outputs, elements, asked.fed, asked.room, shapes, bool(asked.text))
