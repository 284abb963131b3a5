"""The last operator of a TF Lite detector, computed as on the board instead of by LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelprep.errors import CheckFailed, StepError
from modelprep.formats.arrays import Array
from modelprep.formats.tflite import model as reader
from modelprep.targets.armnn.detection import OPERATOR, Options, detect, read_options

#: Maximum number of box elements; the challenges' detectors have at most 400.
_ROOM = 1 << 18


@dataclass(frozen=True)
class Head:
    """A detection post-process whose outputs are those that a test asks for.

    Parameters
    ----------
    inputs
        Raw boxes, scores and anchors.
    slots, sizes
        For each output asked for, its place among the operator's four, and its number of elements in Arm NN's parser.
    """

    options: Options
    inputs: tuple[reader.Tensor, ...]
    slots: tuple[int, ...]
    sizes: tuple[int, ...]

    def outputs(self, tensor: Callable[[int], Array]) -> list[Array]:
        """Return the outputs asked for.

        `tensor`: returns the values of a tensor by its number, after the network has run. Raises CheckFailed: the
        tensors do not fit each other.
        """
        encodings, scores, anchors = (_real(tensor(one.index), one) for one in self.inputs)
        try:
            found = detect(encodings, scores, anchors, self.options)
        except StepError as error:
            raise CheckFailed(f"{error.what}: {error.got}", expected=error.expected) from error
        return [found[slot] for slot in self.slots]


def find(path: Path, outputs: Sequence[str]) -> Head | None:
    """Return the detection post-process that makes the outputs asked for; None if there is none.

    Raises CheckFailed: it allocates more detections than any real one.
    """
    try:
        graph = reader.read(path).main
        operator = next((one for one in graph.operators if one.custom == OPERATOR), None)
        if operator is None:
            return None
        options = read_options(operator.custom_options, str(path))
    except StepError:
        return None  # the runtime's own message is better
    named = {graph.tensors[index].name: index for index in graph.outputs}
    places = [named.get(name, -1) for name in outputs]
    if len(operator.inputs) < 3 or -1 in operator.inputs or not set(places) <= set(operator.outputs):
        return None
    if options.sizes[0] > _ROOM:
        raise CheckFailed(
            f"the detection post-process allocates {options.sizes[1]} detections", where=str(path),
            expected=f"at most {_ROOM // 4}",
        )  # fmt: skip
    # The parser keeps the four shapes in the operator's order and looks them up by an output's place in the graph.
    sizes = dict(zip(graph.outputs, options.sizes, strict=False))
    return Head(
        options, tuple(graph.tensors[index] for index in operator.inputs[:3]),
        tuple(operator.outputs.index(place) for place in places), tuple(sizes[place] for place in places),
    )  # fmt: skip


def _real(values: Array, of: reader.Tensor) -> Array:
    """Return the real numbers of a tensor, as armnn::Dequantize does."""
    import numpy as np

    if of.quantisation is None or values.dtype == np.float32:
        return np.asarray(values, np.float32)
    zero_point = of.quantisation.zero_point[0] if of.quantisation.zero_point else 0
    return (values.astype(np.int64) - zero_point).astype(np.float32) * np.float32(of.quantisation.scale[0])
