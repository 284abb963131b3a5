"""Debian's pyarmnn as a runtime: a real Arm NN (20.08) with its reference backend and TF Lite parser.

It needs its own interpreter, set by ``MODELPREP_PYARMNN``; each input is one call.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from modelprep.check.board.preprocess import Quantisation
from modelprep.check.runtimes.base import Ready, refusing
from modelprep.errors import CheckFailed, MissingTool, StepError
from modelprep.formats.arrays import Array

#: Runs in pyarmnn's own interpreter: model, input, output names on the command line; tensors as .npy files.
_PYARMNN = """
import sys
import numpy as np
import pyarmnn as ann
model, source, target, into, *names = sys.argv[1:]
parser = ann.ITfLiteParser()
network = parser.CreateNetworkFromBinaryFile(model)
runtime = ann.IRuntime(ann.CreationOptions())
optimised, _ = ann.Optimize(network, [ann.BackendId("CpuRef")], runtime.GetDeviceSpec(), ann.OptimizerOptions())
number, _ = runtime.LoadNetwork(optimised)
inputs = ann.make_input_tensors([parser.GetNetworkInputBindingInfo(0, into)], [np.load(source)])
outputs = ann.make_output_tensors([parser.GetNetworkOutputBindingInfo(0, name) for name in names])
runtime.EnqueueWorkload(number, inputs, outputs)
np.savez(target, *ann.workload_tensors_to_ndarray(outputs))
"""


def load(interpreter: str, path: Path, input_name: str, shape: tuple[int, ...], outputs: tuple[str, ...]) -> Ready:
    """Return a TF Lite model that runs in Arm NN.

    `interpreter`: the Python that has pyarmnn (Debian's own: ``/usr/bin/python3`` with ``python3-pyarmnn``). Raises
    CheckFailed: the model has no such input, or our reader refuses it.
    """
    import tempfile

    import numpy as np

    from modelprep.formats.tflite import model as reader

    with refusing("our TF Lite reader", path, StepError):
        graph = reader.read(path).main
    tensor = next((graph.tensors[i] for i in graph.inputs if graph.tensors[i].name == input_name), None)
    if tensor is None:
        raise CheckFailed("the model has no such input", where=str(path), expected=input_name)
    dtype = np.uint8 if tensor.dtype == "UINT8" else np.float32

    def run(values: Array) -> list[Array]:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.npy"), Path(folder, "out.npz")
            np.save(source, values.astype(dtype).reshape(shape))
            command = [interpreter, "-c", _PYARMNN, str(path), str(source), str(target), input_name, *outputs]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
            except OSError as error:
                what = "the interpreter of MODELPREP_PYARMNN does not run"
                raise MissingTool(what, where=interpreter, got=str(error)) from error
            if done.returncode:
                said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
                raise CheckFailed("pyarmnn refuses the model", where=str(path), got=said[-1] if said else None)
            with np.load(target) as results:
                return [results[name] for name in results.files]

    quantisation = None
    if dtype is np.uint8 and (own := tensor.quantisation) is not None:
        quantisation = Quantisation(own.scale[0], own.zero_point[0])
    return Ready("pyarmnn (Arm NN, CpuRef)", run, quantisation)
