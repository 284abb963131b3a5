"""Rules of Arm NN's parser for TensorFlow Lite files (rules TL01 to TL29, C1 to C12)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modelprep.check.lint.findings import Finding, findings_of
from modelprep.check.lint.request import Asked, binding
from modelprep.errors import StepError
from modelprep.formats.sniff import HEAD, looks_like_model
from modelprep.targets.armnn import detection, files, program
from modelprep.targets.armnn.network import Network, Stop
from modelprep.targets.armnn_rules import rules


def examine(path: Path, asked: Asked) -> list[Finding]:
    """Return the findings about a file; see :func:`modelprep.check.lint.lint`."""
    try:
        network, stops = files.tflite_network(path, asked.version)
    except StepError as error:
        with path.open("rb") as stream:
            looks = looks_like_model(stream.read(HEAD))
        return [Finding("TL01", path.name, looks or error.what, rules()["TL01"].message, status=1)]
    notes = [*_computed_otherwise(path, network), *_taken_for_another(network)]
    names = {kind: list(found) for kind, found in (("input", network.inputs), ("output", network.outputs))}

    def unbound(what: str, name: str) -> Stop:
        possible = "".join(f"'{one}' " for one in names[what])
        text = f"No {what} binding found for subgraph:0 and name:{name}. Possible {what}s are: [{possible}]"
        return Stop(text, "TL21", what)

    if not stops and (stop := program.carry_on(network, binding(asked), unbound)) is not None:
        stops = [stop]
    return findings_of(stops, asked.program) + notes


def _computed_otherwise(path: Path, network: Network) -> Iterator[Finding]:
    """Yield options that the parser does not read and that change the result."""
    from modelprep.formats.mapped import MappedFile
    from modelprep.formats.tflite import model as reader

    with MappedFile(path, what=reader.WHAT) as file:
        model = reader.parse(file.view, str(path), lenient=True)
    if len(model.subgraphs) != 1:
        return
    layers = {layer.name for layer in network.layers}
    for operator in model.main.operators:
        where = f"operator {operator.index} {operator.custom or operator.name}"
        dilation = [operator.options.get(name, 1) for name in ("dilation_h_factor", "dilation_w_factor")]
        if any(value not in (0, 1) for value in dilation):
            yield Finding("TL10", where, f"dilation {dilation}", "", "wrong")
        if operator.name == "RESIZE_BILINEAR" and operator.options.get("align_corners"):
            yield Finding("TL19", where, "align_corners", "", "wrong")
        made = f"DetectionPostProcess:0:{operator.index}" in layers
        if operator.name == "CUSTOM" and operator.custom != detection.OPERATOR and made:
            detail = f"the custom operator '{operator.custom}' is treated as a detection post-process"
            yield Finding("TL20", where, detail, "", "wrong")


def _taken_for_another(network: Network) -> Iterator[Finding]:
    """Yield where the workloads of 19.02 misinterpret memory."""
    for layer in network.layers:
        if layer.params.get("by_planes"):
            detail = "bytes are resized as if the second dimension were the channels"
            yield Finding("TL19", layer.name, detail, "", "wrong")
        if layer.params.get("as_boxes"):
            boxes, scores = (slot.info.dtype if slot and slot.info else "" for slot in layer.inputs)
            anchors = layer.constants["anchors"].info.dtype
            detail = f"scores of {scores} and anchors of {anchors} are read as the boxes' {boxes}"
            yield Finding("TL20", layer.name, detail, "", "wrong")
