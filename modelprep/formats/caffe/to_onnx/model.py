"""What is asked of a conversion, and what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from modelprep.formats.caffe.to_onnx.graph import Graph
from modelprep.formats.caffe.to_onnx.layer import Tensor
from modelprep.formats.caffe.wire.model import ModelIndex


@dataclass(frozen=True)
class Options:
    """What to write.

    Parameters
    ----------
    opset
        11 to 21.
    batch
        First size of every input; ``dynamic`` leaves it to whoever runs the model, None takes the prototxt's.
    keep
        Tops that become the outputs; what they do not need is dropped. Empty: all tops that no layer reads.
    raw_detections
        Whether SSD's DetectionOutput gives decoded boxes and scores instead of rows.
    """

    opset: int = 13
    batch: int | Literal["dynamic"] | None = None
    keep: tuple[str, ...] = ()
    raw_detections: bool = False


@dataclass(frozen=True)
class Plan:
    """A conversion, decided.

    `blobs`: every value that is a Caffe blob, with the shape that Caffe gives it. `generation`, `changes`, `notes`,
    `warnings`: the prototxt's syntax, what was upgraded or dropped, what of the weights was left behind, what to know.
    """

    net: Any
    model: ModelIndex
    graph: Graph
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    blobs: tuple[Tensor, ...]
    generation: str
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
