"""Texts that are given as a net and are another file: a solver, a label map, a TensorFlow graph, a configuration.

All are protobuf text of other messages. They are told apart by the names of their outermost fields, which are read
without a schema.
"""

from __future__ import annotations

import re

from modelprep.errors import StepError
from modelprep.formats.caffe import text_bytes
from modelprep.formats.caffe.messages import message_class
from modelprep.formats.caffe.prototxt.lexer import END, IDENTIFIER, STRING, Lexer, unescape
from modelprep.structs import dataclass

#: A field that only a net has.
_NETS_OWN = frozenset({"layer", "layers", "input_dim", "input_shape"})
#: Fields of Caffe's solver that no net has; the last three are those of forks, for the rest see the schema.
_SOLVERS_FORK = frozenset({"plateau_winsize", "stepearly", "sparse_mode"})
#: The first section of a Darknet configuration.
_DARKNET = re.compile(r"(?:\s*[#;][^\n]*\n)*\s*\[(?:net|network)\]")


@dataclass(frozen=True)
class Other:
    """What a text is, and what to do about it."""

    text: str
    hint: str


def recognize(text: str) -> Other | None:
    """Say what a text is that is no net; None if it may be one, or is nothing known here."""
    if _DARKNET.match(text):
        return Other("a network of Darknet (.cfg)", "convert it to Caffe or ONNX first")
    fields = _outline(text)
    names = set(fields)
    if not names or names & _NETS_OWN:
        return None
    own = set(message_class("NetParameter").DESCRIPTOR.fields_by_name)
    solver = set(message_class("SolverParameter").DESCRIPTOR.fields_by_name) | _SOLVERS_FORK
    if names & (solver - own):
        return _solver(fields)
    if "node" in names:
        return Other("a TensorFlow graph as text", "use modelprep tf inspect, or tf freeze")
    if "item" in names:
        return Other("a list of class labels (a label map)", "the net is in the deploy.prototxt beside it")
    if "model_checkpoint_path" in names:
        return Other("TensorFlow's list of checkpoints", "give it to modelprep tf freeze, with the graph")
    if names & {"train_config", "train_input_reader", "eval_config"}:
        return Other("a pipeline configuration of TensorFlow's Object Detection API", "give the frozen graph (.pb)")
    if names & {"ir_version", "opset_import"}:
        return Other("an ONNX model as text", "use modelprep onnx with the binary .onnx file")
    if names & {"max_batch_size", "instance_group", "platform"}:
        return Other("a model configuration of an inference server", "the net is in the folder of a version beside it")
    if names & {"mean_file", "mean_value", "crop_size", "resize_param"}:
        return Other("transformation parameters, which belong inside a data layer", "give the deploy.prototxt")
    return None


def _solver(fields: dict[str, str]) -> Other:
    nets = [f"{fields[name]}" for name in ("net", "train_net", "test_net") if fields.get(name)]
    if not nets:
        return Other("a solver: it says how a net is trained", "give the net's deploy.prototxt")
    return Other(
        f"a solver: it says how a net is trained; its net is {nets[0]}",
        f"give the deploy.prototxt that belongs to {nets[0]} (that file itself is the training net)",
    )


def _outline(text: str) -> dict[str, str]:
    """Return the names of the outermost fields, each with its first value where that is a string."""
    found: dict[str, str] = {}
    depth, name, before = 0, "", ""
    try:
        lexer = Lexer(text, "", lambda text: "")  # noqa: ARG005 - no error of it is shown
        while lexer.kind != END:
            if depth == 0 and lexer.kind == IDENTIFIER and before != ":":
                name = lexer.word
                found.setdefault(name, "")
            elif depth == 0 and lexer.kind == STRING and before == ":" and not found.get(name):
                found[name] = text_bytes.decode(unescape(lexer.word))
            depth += lexer.at("{<") - lexer.at("}>")
            before = lexer.word
            lexer.advance()
    except (StepError, ValueError):
        pass  # the fields before the fault are enough
    return found
