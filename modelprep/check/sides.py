"""The two sides of a proof, step by step: the original and the converted model, each in a runtime of its own kind.

The original is read by the runtime itself (OpenCV reads prototxt and weights as they were downloaded), never by our
readers, so that a mistake of ours cannot be on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelprep.check import runtimes
from modelprep.check.proof import Conversion, Side
from modelprep.errors import CheckFailed, MissingTool

if TYPE_CHECKING:
    from numpy.typing import NDArray

Sides = tuple[Side, Side, tuple[str, ...]]


def _values(shape: Sequence[int], number: int, *, low: float = 0.0, high: float = 1.0) -> NDArray[Any]:
    import numpy as np

    return np.random.default_rng([20190228, number]).uniform(low, high, tuple(shape)).astype(np.float32)


def _bake(conversion: Conversion) -> Sides:
    if conversion.params.get("set"):
        raise CheckFailed("the recipe changes fields of the net (set), so other numbers are wanted")
    cv2 = runtimes.opencv()
    if cv2 is None:
        raise MissingTool("running a Caffe model needs OpenCV before version 5", hint=runtimes.INSTALL)
    from modelprep.formats.caffe import messages, prototxt, wire_index

    net = messages.new("NetParameter")
    net.ParseFromString(wire_index.index(conversion.output).structure())
    layer = next((layer for layer in net.layer if layer.type == "Input" and layer.input_param.shape), None)
    if layer is None:
        raise CheckFailed("the baked net says no shape of its input")
    shape = conversion.shape or tuple(int(dim) for dim in layer.input_param.shape[0].dim)
    after = _network(cv2, prototxt.write(net).encode(), conversion.output)
    before = _network(cv2, Path(conversion.params["prototxt"]).read_bytes(), Path(conversion.params["weights"]))
    # What nothing takes up at the end of the baked net is its output; layers keep their names.
    names = list(after.getUnconnectedOutLayersNames())

    def side(one: Any) -> Side:
        def run(number: int) -> list[NDArray[Any]]:
            import numpy as np

            try:
                # What is left of a picture when its mean is off.
                one.setInput(_values(shape, number, low=-120, high=140))
                return [np.array(one.forward(name)) for name in names]
            except cv2.error as error:
                raise runtimes.refused("OpenCV", conversion.output, error) from error

        return run

    name = f"OpenCV {cv2.__version__}"
    return side(before), side(after), (name, name)


def _network(cv2: Any, text: bytes, weights: Path) -> Any:
    import numpy as np

    try:
        net = cv2.dnn.readNetFromCaffe(np.frombuffer(text, np.uint8), np.fromfile(weights, np.uint8))
    except cv2.error as error:
        raise runtimes.refused("OpenCV", weights, error) from error
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    # Winograd trades the last digits for speed, and chooses by the layer's surroundings.
    if hasattr(net, "enableWinograd"):
        net.enableWinograd(False)
    return net


def _graph(conversion: Conversion) -> Sides:
    from modelprep.formats.tensorflow.graphdef import input_name, read_graph

    result = read_graph(conversion.output)
    used = {input_name(reference) for node in result.nodes for reference in node.inputs}
    given = [node for node in result.nodes if node.op == "Placeholder"]
    quiet = ("Placeholder", "Const", "NoOp", "Assert")
    names = [node.name for node in result.nodes if node.name not in used and node.op not in quiet]
    if not given or not names:
        raise CheckFailed("the graph has no placeholder or nothing that comes out of it")
    shapes: dict[str, tuple[int, ...]] = {}
    for node in given:
        own = node.shape("shape")
        if not own and not conversion.shape:
            raise CheckFailed(f"the graph does not say the shape of '{node.name}'")
        shapes[node.name] = tuple(max(size, 1) for size in own) if own else conversion.shape
    back_in = _backwards(conversion.params.get("inputs"))
    back_out = _backwards(conversion.params.get("outputs"))

    def side(path: Path, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> tuple[Side, str]:
        run, name = runtimes.graph_session(
            path, [inputs.get(one, one) for one in shapes], [outputs.get(one, one) for one in names]
        )
        return (lambda number: run([_values(shape, number) for shape in shapes.values()])), name

    before, first = side(Path(conversion.params["graph"]), back_in, back_out)
    after, second = side(conversion.output, {}, {})
    return before, after, (first, second)


def _backwards(renamed: object) -> dict[str, str]:
    if not isinstance(renamed, Mapping):
        return {}
    return {str(new): str(old).partition(":")[0] for old, new in renamed.items()}


def _onnx(conversion: Conversion) -> Sides:
    original = Path(conversion.params["model"])
    if conversion.params.get("external"):
        raise CheckFailed("the original's weights lie in files of their own")
    (before, name), (after, _) = runtimes.onnx_session(original), runtimes.onnx_session(conversion.output)
    # Initialisers that are listed among the inputs are none that has to be fed.
    shapes = [
        tuple(size if isinstance(size, int) and size > 0 else 1 for size in value.shape) for value in after.get_inputs()
    ]
    if any(value.type != "tensor(float)" for value in after.get_inputs()):
        raise CheckFailed("an input is not of floats")

    def side(session: Any, path: Path) -> Side:
        names = [value.name for value in session.get_inputs()]

        def run(number: int) -> list[NDArray[Any]]:
            fed = {name: _values(shape, number) for name, shape in zip(names, shapes, strict=True)}
            try:
                return list(session.run(None, fed))
            except Exception as error:
                raise runtimes.refused("onnxruntime", path, error) from error

        return run

    if len(before.get_inputs()) != len(shapes):
        raise CheckFailed("original and result do not have the same number of inputs")
    return side(before, original), side(after, conversion.output), (name, name)


def _tflite(conversion: Conversion) -> Sides:
    original = Path(conversion.params["model"])

    def side(path: Path) -> tuple[Side, str]:
        runtime, name = runtimes.litert(path)

        def run(number: int) -> list[NDArray[Any]]:
            import numpy as np

            for detail in runtime.get_input_details():
                whole = np.issubdtype(detail["dtype"], np.integer)
                values = _values(detail["shape"], number, high=255.0 if whole else 1.0)
                runtime.set_tensor(detail["index"], values.astype(detail["dtype"]))
            runtime.invoke()
            return [np.array(runtime.get_tensor(detail["index"])) for detail in runtime.get_output_details()]

        return run, name

    (before, first), (after, second) = side(original), side(conversion.output)
    return before, after, (first, second)


#: Step -> how its two sides are run. A freeze has no runnable original here: its checkpoint is no model by itself.
MAKERS: Mapping[str, Callable[[Conversion], Sides]] = {
    "caffe.bake": _bake,
    "tf.legalise": _graph,
    "tf.rename_io": _graph,
    "tf.convert": _graph,
    "onnx.fix": _onnx,
    "onnx.rename_io": _onnx,
    "tflite.rename_io": _tflite,
}
