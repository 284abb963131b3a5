"""Run a model on the host, as close to the board as possible.

Caffe through OpenCV's own reader (which needs no Caffe), TensorFlow graphs through TensorFlow if it is installed, else
through OpenCV, TensorFlow Lite through LiteRT, ONNX through onnxruntime. Debian's pyarmnn (a real Arm NN 20.08 with its
reference backend) runs TensorFlow Lite models if ``MODELPREP_PYARMNN`` names its interpreter. Each is optional.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelprep.check.board.preprocess import Quantisation
from modelprep.check.runtimes.base import PYARMNN, Ready, refusing
from modelprep.errors import CheckFailed, MissingTool, StepError
from modelprep.formats.arrays import Array
from modelprep.formats.native import hushed
from modelprep.installed import install_command


def ready(path: Path, parser: str, input_name: str, shape: Sequence[int], outputs: Sequence[str]) -> Ready:
    """Load a model into the runtime for its kind.

    `shape`: of the input tensor. Raises MissingTool: no runtime for this kind is installed; CheckFailed: the runtime
    refuses the model.
    """
    loaders = {"caffe": _caffe, "tf": _tensorflow, "tflite": _tflite, "onnx": _onnx}
    return loaders[parser](path, input_name, tuple(shape), tuple(outputs))


def missing(what: str, parser: str) -> MissingTool:
    """Return the error for a runtime that is not installed."""
    return MissingTool(f"running a {parser} model on this machine needs {what}", hint=install_command("check"))


def with_defaults(text: bytes) -> bytes:
    """Return a prototxt with Caffe's default of an LRN's alpha (1): OpenCV has another (measured with 4.14)."""
    from modelprep.formats.caffe import prototxt

    net = prototxt.read_bytes(text)
    unset = [
        layer.lrn_param
        for layer in (*net.layer, *net.layers)
        if (layer.HasField("lrn_param") or layer.type == "LRN") and not layer.lrn_param.HasField("alpha")
    ]
    for parameters in unset:
        parameters.alpha = parameters.alpha
    return prototxt.write(net).encode() if unset else text


def opencv() -> Any:
    """Return OpenCV's module if it still has its Caffe reader, else None."""
    try:
        import cv2
    except ImportError:
        return None
    # OpenCV 5 dropped its Caffe reader.
    return cv2 if hasattr(cv2.dnn, "readNetFromCaffe") else None


def opencv_for_caffe() -> Any:
    """Return OpenCV's module. Raises MissingTool: it is not installed, or has no Caffe reader."""
    if (cv2 := opencv()) is None:
        raise missing("OpenCV before version 5", "Caffe")
    return cv2


def caffe_net(structure: bytes, weights: Path) -> tuple[Any, Any]:
    """Load a Caffe net (prototxt and caffemodel) into OpenCV; return its module and the net.

    Raises MissingTool, CheckFailed: OpenCV has no Caffe reader; it refuses the net.
    """
    cv2 = opencv_for_caffe()
    with tempfile.TemporaryDirectory(prefix="modelprep-net-") as folder:
        # From files, so that OpenCV does not hold the weights twice.
        file = Path(folder) / "net.prototxt"
        file.write_bytes(with_defaults(structure))
        with refusing("OpenCV", weights, cv2.error):
            net = cv2.dnn.readNetFromCaffe(str(file), str(weights))
            plain(cv2, net)
    return cv2, net


def plain(cv2: Any, net: Any) -> None:
    """Switch OpenCV to its plain code for a net: Winograd trades the last digits for speed."""
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    if hasattr(net, "enableWinograd"):
        net.enableWinograd(False)


def _caffe(path: Path, input_name: str, shape: tuple[int, ...], outputs: tuple[str, ...]) -> Ready:
    from modelprep.formats.caffe import prototxt
    from modelprep.formats.caffe.wire.index import index

    with refusing("our Caffe reader", path, StepError):
        net_message = index(path).net()
    top = _set_shape(net_message, input_name, shape)
    makers = {blob: layer.name for layer in net_message.layer for blob in layer.top}
    cv2, net = caffe_net(prototxt.write(net_message).encode(), path)
    import numpy as np

    def run(values: Array) -> list[Array]:
        with refusing("OpenCV", path, cv2.error):
            net.setInput(values.reshape(shape).astype(np.float32), top)
            return [np.array(net.forward(makers.get(name, name))) for name in outputs]

    return Ready(f"OpenCV {cv2.__version__}", run)


def _set_shape(net: Any, input_name: str, shape: tuple[int, ...]) -> str:
    """Set the input's shape to the one that the test feeds (the board does the same); return the input blob's name."""
    for layer in net.layer:
        if layer.type == "Input" and layer.name == input_name:
            del layer.input_param.shape[:]
            layer.input_param.shape.add().dim.extend(shape)
            return str(layer.top[0])
    if net.input:
        del net.input_shape[:]
        del net.input_dim[:]
        net.input_shape.add().dim.extend(shape)
        return str(net.input[0])
    return input_name


def _tensorflow(path: Path, input_name: str, shape: tuple[int, ...], outputs: tuple[str, ...]) -> Ready:
    from modelprep.formats.tensorflow.graphdef import encode_graph
    from modelprep.formats.tensorflow.read import read_graph

    with refusing("our GraphDef reader", path, StepError):
        data = b"".join(bytes(piece) for piece in encode_graph(read_graph(path)))
    try:
        with hushed():
            import tensorflow  # noqa: F401
    except ImportError:
        return _by_opencv(path, data, input_name, shape, outputs)
    return _by_tensorflow(path, data, input_name, shape, outputs)


def _by_tensorflow(path: Path, data: bytes, input_name: str, shape: tuple[int, ...], outputs: tuple[str, ...]) -> Ready:
    import numpy as np

    tf = tensorflow()
    graph, definition = tf.Graph(), tf.compat.v1.GraphDef()
    with refusing("TensorFlow", path, ValueError, KeyError, tf.errors.OpError):
        definition.ParseFromString(data)
        with graph.as_default():
            tf.import_graph_def(definition, name="")
        fed = graph.get_tensor_by_name(f"{input_name}:0")
        fetched = [graph.get_tensor_by_name(f"{name}:0") for name in outputs]
    with hushed():
        session = tf.compat.v1.Session(graph=graph)

    def evaluated(given: Array) -> list[Array]:
        with refusing("TensorFlow", path, ValueError, tf.errors.OpError):
            return [np.asarray(value) for value in session.run(fetched, {fed: given})]

    *first, last = _feedable(fed, shape)

    def run(values: Array) -> list[Array]:
        values = values.astype(np.float32)
        for one in first:
            with suppress(CheckFailed):
                return evaluated(values.reshape(one))
        return evaluated(values.reshape(last))

    return Ready(f"TensorFlow {tf.__version__}", run)


def _feedable(fed: Any, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes to try: Arm NN takes [1, 784, 1, 1] for what the graph multiplies as a matrix of [1, 784]."""
    if fed.shape.rank is not None:
        own = (shape[0], *fed.shape[1:].as_list())
        return [own if all(size is not None for size in own) else shape]
    flat = shape
    while len(flat) > 2 and flat[-1] == 1:
        flat = flat[:-1]
    return [flat] if flat == shape else [flat, shape]


def tensorflow() -> Any:
    """Import TensorFlow, quietly."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with hushed():
        import tensorflow as tf

        tf.config.list_physical_devices()  # whatever it has to say of the machine, it says here
    return tf


def _by_opencv(path: Path, data: bytes, input_name: str, shape: tuple[int, ...], outputs: tuple[str, ...]) -> Ready:
    cv2 = opencv()
    if cv2 is None:
        raise missing(f"TensorFlow ({install_command('tf')}) or OpenCV before version 5", "TensorFlow")
    import numpy as np

    with refusing("OpenCV", path, cv2.error):
        net = cv2.dnn.readNetFromTensorflow(np.frombuffer(data, np.uint8))

    def run(values: Array) -> list[Array]:
        blob = values.astype(np.float32).reshape(shape)
        if len(shape) == 4 and shape[-1] in (1, 3) and shape[1] > 4:
            blob = np.ascontiguousarray(blob.transpose(0, 3, 1, 2))  # OpenCV takes every network as NCHW
        elif shape[2:] == (1, 1):
            blob = blob.reshape(shape[:2])
        with refusing("OpenCV", path, cv2.error):
            net.setInput(blob, input_name)
            return [np.array(net.forward(name)) for name in outputs]

    return Ready(f"OpenCV {cv2.__version__}", run)


def litert(path: Path, *, keep: bool = False) -> tuple[Any, str]:
    """Load a TF Lite model into LiteRT; return its interpreter, and LiteRT's name and version.

    `keep`: keep the values of all tensors. Raises MissingTool: LiteRT is not installed; CheckFailed: it refuses the
    model.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise missing("LiteRT", "TensorFlow Lite") from error
    from importlib.metadata import version

    options: dict[str, Any] = {}
    if keep:  # without delegates, which hide their inner tensors
        plain_operators = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        options = {"experimental_op_resolver_type": plain_operators, "experimental_preserve_all_tensors": True}
    with refusing("LiteRT", path, ValueError, RuntimeError), hushed():
        runtime = Interpreter(str(path), **options)
        runtime.allocate_tensors()
    return runtime, f"LiteRT {version('ai-edge-litert')}"


def _tflite(path: Path, input_name: str, shape: tuple[int, ...], outputs: tuple[str, ...]) -> Ready:
    if interpreter := os.environ.get(PYARMNN):
        from modelprep.check.runtimes import pyarmnn

        return pyarmnn.load(interpreter, path, input_name, shape, outputs)
    import numpy as np

    from modelprep.check.board import ssd_head

    head = ssd_head.find(path, outputs)
    runtime, name = litert(path, keep=head is not None)
    given = {detail["name"]: detail for detail in runtime.get_input_details()}
    made = {detail["name"]: detail for detail in runtime.get_output_details()}
    if input_name not in given or any(name not in made for name in outputs):
        raise CheckFailed("the model has no such input or output", where=str(path),
                          expected=", ".join([input_name, *outputs]), got=", ".join([*given, *made]))  # fmt: skip
    detail = given[input_name]
    scale, zero_point = detail["quantization"]

    def run(values: Array) -> list[Array]:
        fed = values.astype(detail["dtype"]).reshape(detail["shape"])
        runtime.set_tensor(detail["index"], np.ascontiguousarray(fed))
        with refusing("LiteRT", path, ValueError, RuntimeError):
            runtime.invoke()
        if head is not None:
            return head.outputs(runtime.get_tensor)
        return [np.array(runtime.get_tensor(made[name]["index"])) for name in outputs]

    quantisation = Quantisation(float(scale), int(zero_point)) if detail["dtype"] == np.uint8 else None
    if head is not None:
        return Ready(f"{name}, Arm NN's detection post-process", run, quantisation, head.sizes)
    return Ready(name, run, quantisation)


def onnx_session(path: Path, *, optimise: bool = True) -> tuple[Any, str]:
    """Load an ONNX model into onnxruntime; return its session, and onnxruntime's name and version.

    `optimise`: fuse and fold operators; without it equal models compute the same bits in any order of operators.
    Raises MissingTool: onnxruntime is not installed; CheckFailed: it refuses the model.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise missing("onnxruntime", "ONNX") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with refusing("onnxruntime", path, Exception):
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session, f"onnxruntime {onnxruntime.__version__}"


def _onnx(path: Path, input_name: str, shape: tuple[int, ...], outputs: tuple[str, ...]) -> Ready:
    import numpy as np

    session, name = onnx_session(path)

    def run(values: Array) -> list[Array]:
        with refusing("onnxruntime", path, Exception):
            found = session.run(list(outputs), {input_name: values.astype(np.float32).reshape(shape)})
        return [np.asarray(value) for value in found]

    return Ready(name, run)
