"""What a test asks of a model: Arm NN version, bindings, shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelprep.targets import armnn_tests

Parser = Literal["caffe", "tf", "tflite", "onnx"]


@dataclass(frozen=True)
class Asked:
    """What a test asks of a model.

    Parameters
    ----------
    version
        Arm NN version.
    input_name, input_shape
        Input binding, and the shape of the data it feeds; empty where nothing is asked.
    shape_passed
        Whether the test tells the parser the shape.
    outputs
        Output bindings.
    text
        Whether the test reads the file as protobuf text; None where either will do.
    program
        The test program, for what it prints itself.
    """

    version: str = armnn_tests.BASE_VERSION
    input_name: str = ""
    input_shape: tuple[int, ...] = ()
    shape_passed: bool = False
    outputs: tuple[str, ...] = ()
    text: bool | None = None
    program: str = "the test program"

    @classmethod
    def by_test(cls, test: armnn_tests.BoardTest) -> Asked:
        """Give what one of the board's tests asks."""
        return cls(test.version, test.input_name, test.input_shape, test.shape_passed, test.outputs,
                   test.text if test.parser == "tf" else None, test.name)  # fmt: skip
