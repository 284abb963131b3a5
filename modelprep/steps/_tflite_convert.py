"""TensorFlow's own converter to TF Lite, and both models run on the same inputs; in the process that has TensorFlow."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelprep.errors import StepError
from modelprep.steps import _calibration
from modelprep.steps._quantise_script import columns, run
from modelprep.steps._tf_source import opened


def work(request: Mapping[str, Any]) -> dict[str, object]:
    """Convert ``model`` to ``output``, and save what original and result compute to ``answers`` (an npz file).

    `request`: as for :func:`modelprep.steps._tf_source.opened`, with ``mode``, ``input_type``, ``output_type``,
    ``samples`` (an npy file, or None), ``output`` and ``answers``. Raises StepError: TensorFlow cannot load or convert
    the model, or an input does not fit it.
    """
    import logging

    import tensorflow as tf

    tf.get_logger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="tflite-", dir=Path(request["output"]).parent) as folder:
        try:
            function, owner = opened(request, Path(folder))
            fed = _fed(function, request)
            made = _converted(function, owner, fed, request)
            before, after = _run(function, made, fed)
        except StepError:
            raise
        except Exception as error:  # noqa: BLE001 - TensorFlow and Keras raise of every kind, all about the model
            raise StepError("TensorFlow cannot convert this model to TF Lite", where=request["model"],
                            got=_said(error, folder)) from None  # fmt: skip
    Path(request["output"]).write_bytes(made)
    import numpy as np

    np.savez(request["answers"], **{f"{side}{n}": each for side, found in (("b", before), ("a", after))
                                    for n, each in enumerate(found)})  # fmt: skip
    return {"tool": f"tensorflow {tf.__version__}", "bytes": len(made)}


def _said(error: Exception, folder: str) -> str:
    """Return the line of an error that names the cause: an operator that TF Lite lacks, else the first."""
    lines = [line.strip() for line in str(error).replace(f"{folder}/", "").splitlines() if line.strip()]
    named = [line.rpartition("error: ")[2] for line in lines if "error: " in line]
    return f"{type(error).__name__}: {(named or lines or ['no reason given'])[0][:400]}"


def _fed(function: Any, request: Mapping[str, Any]) -> list[list[Any]]:
    """Return the inputs of original and result, one list per call: the calibration set, else seeded values."""
    import numpy as np

    slots = [_calibration.Input(each.name, tuple(each.shape), each.dtype.name) for each in _inputs_of(function)]
    given = None
    if request["samples"] is not None:
        with np.load(request["samples"]) as found:
            given = {name: found[f"x{n}"] for n, name in enumerate(request["sample_names"])}
    return [list(one) for one in zip(*_calibration.fitted(given, slots, request["model"]), strict=True)]


def _inputs_of(function: Any) -> list[Any]:
    captured = {id(each) for each in function.graph.internal_captures}
    return [each for each in function.inputs if id(each) not in captured]


def _converted(function: Any, owner: Any, fed: list[list[Any]], request: Mapping[str, Any]) -> bytes:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    # The converter itself misses variables of Keras 3, which are not the function's own.
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], owner)
    mode = request["mode"]
    if mode != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif mode == "int8":
        converter.representative_dataset = lambda: iter(fed)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if all(each.dtype == tf.float32 for each in _inputs_of(function)):  # others keep the type that they have
            converter.inference_input_type = getattr(tf, request["input_type"])
        converter.inference_output_type = getattr(tf, request["output_type"])
    return bytes(converter.convert())


def _run(function: Any, made: bytes, fed: list[list[Any]]) -> tuple[list[Any], list[Any]]:
    """Run both on all inputs; return one array of real values per output, whose first axis counts the inputs."""
    import numpy as np
    import tensorflow as tf

    before = [[np.asarray(each) for each in tf.nest.flatten(function(*map(tf.constant, one)))] for one in fed]
    runtime = tf.lite.Interpreter(model_content=made, num_threads=1)
    takes = _ordered(runtime.get_input_details(), _inputs_of(function))
    gives = _ordered(runtime.get_output_details(), function.outputs)
    return columns(before), run(runtime, fed, takes, gives)


def _ordered(details: list[Any], tensors: list[Any]) -> list[Any]:
    """Return a TF Lite model's inputs or outputs in the function's order, which the converter does not keep.

    They have the function's names, or ``PartitionedCall:1`` for its second output.
    """
    by_name = {detail["name"].partition(":")[0].removeprefix("serving_default_"): detail for detail in details}
    names = [tensor.name.partition(":")[0] for tensor in tensors]
    if sorted(by_name) == sorted(names):
        return [by_name[name] for name in names]
    numbers = [re.search(r":(\d+)$", detail["name"]) for detail in details]
    places = [int(found[1]) if found else 0 for found in numbers]
    return [details[n] for n in sorted(range(len(details)), key=places.__getitem__)]
