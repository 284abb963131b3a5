"""Check a converted model with the format's own checker.

onnx.checker with strict shape inference for ONNX, LiteRT's verifier for TF Lite, TensorFlow's import for a GraphDef,
and for Caffe our own set-up of the net (a real Caffe's too if `MODELPREP_PYCAFFE` names one). If a checker refuses the
original too, the conversion is not the cause.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from modelprep.check.proof.types import Conversion
from modelprep.check.runtimes.base import refusing
from modelprep.errors import CheckFailed, MissingTool, StepError
from modelprep.installed import install_command
from modelprep.steps import Exempt, find

#: Kind of proof -> the format of the result.
_FORMATS: Mapping[str, str] = {
    "caffe": "caffe", "caffe-onnx": "onnx", "caffe-twin": "caffe", "checkpoint": "graph", "graph": "graph",
    "graph-onnx": "onnx", "onnx": "onnx", "onnx-tflite": "tflite", "tflite": "tflite",
}  # fmt: skip
#: Format -> the library that checks it.
_LIBRARIES: Mapping[str, str] = {"graph": "tensorflow", "onnx": "onnx", "tflite": "ai_edge_litert"}
#: Kinds whose original is a file of the result's format, and the parameter that names it.
_ORIGINALS: Mapping[str, str] = {"onnx": "model", "tflite": "model", "graph": "graph"}


def check(conversion: Conversion) -> str:
    """Check the result of a conversion with the format's own checker.

    Returns name and version of the checker; empty if the step makes no model. Raises StepError: the checker refuses the
    result; MissingTool: there is no checker here, or it refuses the original too.
    """
    declared = find(conversion.step).proof
    if isinstance(declared, Exempt) or declared.by not in _FORMATS:
        return ""
    checker = _CHECKERS[_FORMATS[declared.by]]
    try:
        return checker(conversion.output)
    except CheckFailed as error:
        said = error.got or error.what
        slot = _ORIGINALS.get(declared.by)
        if slot is not None and _refuses(checker, Path(str(conversion.params[slot]))):
            raise MissingTool(f"{error.what.partition(' ')[0]} refuses the original too: {said}") from error
        raise StepError(
            f"the result of {conversion.step} is not valid, so it was not kept", got=said,
            where=str(conversion.params[slot]) if slot else None, hint="report this with the model",
        ) from error  # fmt: skip


def runs_a_library(conversion: Conversion) -> bool:
    """Return whether the checker of the result is an installed library, which may crash."""
    declared = find(conversion.step).proof
    if isinstance(declared, Exempt):
        return False
    module = _LIBRARIES.get(_FORMATS.get(declared.by, ""))
    return module is not None and find_spec(module) is not None


def _refuses(checker: Callable[[Path], str], path: Path) -> bool:
    try:
        checker(path)
    except (CheckFailed, StepError):
        return True
    return False


def _onnx(path: Path) -> str:
    try:
        import onnx
    except ImportError as error:
        raise MissingTool("checking an ONNX model needs onnx", hint=install_command("onnx")) from error
    with refusing("onnx.checker", path, Exception):
        # A folder holds a model and its external data.
        model = next(iter(sorted(path.glob("*.onnx"))), path) if path.is_dir() else path
        onnx.checker.check_model(str(model), full_check=True)
    return f"onnx.checker {onnx.__version__}"


def _tflite(path: Path) -> str:
    from modelprep.check.runtimes.host import litert

    return litert(path)[1]


def _graph(path: Path) -> str:
    from modelprep.check.proof import tensorflow, tensorflow_library
    from modelprep.formats.tensorflow.wrapped import unwrap

    name = tensorflow.tensorflow()
    if name is None:
        raise MissingTool("checking a TensorFlow graph needs TensorFlow", hint=install_command("tf"))
    data = path.read_bytes()
    wrapper = unwrap(data)
    if tensorflow_library.imports(data if wrapper is None else bytes(wrapper.graph)):
        return name
    del data, wrapper  # text, or TensorFlow's own message is needed
    with tensorflow.session(path, tensorflow.definition_of(path)):
        return name


def _caffe(path: Path) -> str:
    from modelprep.formats.caffe import prototxt, pycaffe
    from modelprep.formats.caffe.shapes.infer import infer
    from modelprep.formats.caffe.wire.index import index

    with refusing("our reader", path, StepError):
        net = index(path).net()
        infer(net)
    if pycaffe.VARIABLE not in os.environ:
        return "modelprep's own set-up of the net"
    import tempfile

    with tempfile.TemporaryDirectory(prefix="modelprep-check-") as folder, refusing("Caffe", path, StepError):
        pycaffe.save(prototxt.write(net), path, Path(folder) / "again.caffemodel")
    return "pycaffe"


_CHECKERS: Mapping[str, Callable[[Path], str]] = {"caffe": _caffe, "graph": _graph, "onnx": _onnx, "tflite": _tflite}
