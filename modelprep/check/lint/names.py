"""Names of a model's inputs and outputs, for hints that rename them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from modelprep.errors import ModelprepError

#: Parser -> the name of its format.
PARSERS = {"caffe": "Caffe", "tf": "TensorFlow", "tflite": "TF Lite", "onnx": "ONNX"}


def model_names(path: Path, parser: str) -> tuple[list[str], list[str]]:
    """Return the names of inputs and outputs; both empty for Caffe's models and for files that cannot be read."""
    with suppress(ModelprepError, OSError, IndexError):
        if parser == "onnx":
            from modelprep.formats.onnx import model as onnx

            graph = onnx.read_header(path)
            return [value.name for value in graph.inputs()], [value.name for value in graph.graph.output]
        if parser == "tflite":
            from modelprep.formats.tflite import model as tflite

            main = tflite.read(path).main
            return [main.tensors[i].name for i in main.inputs], [main.tensors[i].name for i in main.outputs]
        if parser == "tf":
            from modelprep.formats.tensorflow.inspect import inspect

            facts = inspect(path)
            return [node.name for node in facts.inputs], [node.name for node in facts.outputs]
    return [], []


def renaming(command: str, path: Path, parser: str, where: str, asked: Iterable[str], outputs: Iterable[str]) -> str:
    """Return a command that renames an input or output with the names of a model.

    `command`: the rule's: ``... --rename-output OLD=OUTPUT``. `where`: place of the finding; one that begins with
    ``input`` is about an input. `asked`, `outputs`: input and output names that the test binds. A placeholder stays if
    no name is known, or several.
    """
    option = "--rename-output OLD=OUTPUT"
    if option not in command:
        return command
    given, made = model_names(path, parser)
    is_input = where.startswith("input")
    there, wanted = (given, list(asked)) if is_input else (made, list(outputs))
    old = [name for name in there if name not in wanted]
    new = [name for name in wanted if name not in there]
    named = where.partition("'")[2].rpartition("'")[0]
    new = [named] if named in new else new
    left = old[0] if len(old) == 1 else "OLD"
    right = new[0] if len(new) == 1 else "INPUT" if is_input else "OUTPUT"
    return command.replace(option, f"{'--rename-input' if is_input else '--rename-output'} {left}={right}")
