"""``modelprep tflite``: the steps on TF Lite models, and ``inspect``."""

from __future__ import annotations

from modelprep.cli.common import Argument
from modelprep.cli.conversions import steps_of
from modelprep.cli.inspect import alias

app = steps_of("tflite", "TensorFlow Lite models: rename-io, vela, inspect.")
_TEXT = "Show operators, tensors, quantization, inputs, outputs and sizes."
alias(app, "tflite", Argument("MODEL", "The TF Lite file."), "modelprep tflite inspect model.tflite", _TEXT, "tensor")
