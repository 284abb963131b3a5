"""The other engine: a real Caffe, run in a separate process.

In its own process because pycaffe brings an old protobuf, and because TensorFlow and Caffe crash each other.
Found through ``MODELPREP_PYCAFFE`` (a Python interpreter that can ``import caffe``), else ``conda run -n caffe``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from modelprep.errors import MissingTool, StepError

VARIABLE = "MODELPREP_PYCAFFE"

# The quiet level silences glog's info lines; what is fatal still reaches stderr.
_PROGRAM = """
import os, sys
os.environ.setdefault("GLOG_minloglevel", "2")
import caffe
caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST).save(sys.argv[3])
"""

# Inputs by name, one .npz for each run; the named blobs of run I go to answers as "I:name".
_RUN = """
import os, sys
os.environ.setdefault("GLOG_minloglevel", "2")
import numpy, caffe
net = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)
answers = {}
for number, path in enumerate(sys.argv[5:]):
    given = numpy.load(path)
    for name in given.files:
        net.blobs[name].reshape(*given[name].shape)
        net.blobs[name].data[...] = given[name]
    net.forward()
    for place, name in enumerate(sys.argv[4].split("\\n")):
        answers["%d:%d" % (number, place)] = net.blobs[name].data.copy()
with open(sys.argv[3], "wb") as file:
    numpy.savez(file, **answers)
"""


def interpreter() -> list[str]:
    """Return the command that runs a Python with pycaffe.

    Raises MissingTool: neither the variable is set nor conda installed.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        if shutil.which(chosen) is None:
            raise MissingTool(f"{VARIABLE} names no program", got=chosen, expected="a Python interpreter")
        return [chosen]
    conda = shutil.which("conda") or shutil.which("mamba") or shutil.which("micromamba")
    if conda is not None:
        return [conda, "run", "-n", "caffe", "python"]
    raise MissingTool(
        "the engine 'pycaffe' needs a Python with Caffe",
        expected=f"{VARIABLE}=/path/to/python, or a conda environment called 'caffe'",
        hint="conda env create -f conda/pycaffe.yml (see docs/pycaffe.md), or use engine: native, which needs nothing",
    )


def save(prototxt: str, weights: Path, output: Path, *, seconds: float = 1800.0) -> None:
    """Load a net with pycaffe and save it: ``caffe.Net(prototxt, weights, TEST).save(output)``.

    `weights`, `output`: the caffemodels to read and to write. Raises StepError: Caffe refused the net or the weights,
    with its last lines; MissingTool: no interpreter, or one without Caffe.
    """
    _call(_PROGRAM, prototxt.encode("utf-8", "surrogateescape"), weights, output, (), seconds)


def run(
    prototxt: bytes, weights: Path, inputs: Sequence[Path], blobs: Sequence[str], answers: Path, *,
    seconds: float = 1800.0,
) -> None:  # fmt: skip
    """Run a net with pycaffe, once for each file of inputs.

    `inputs`: ``.npz`` files: float32 arrays by the blob's name. `answers`: the ``.npz`` to write: arrays ``RUN:PLACE``,
    both counted from 0. Raises StepError, MissingTool: as :func:`save`.
    """
    _call(_RUN, prototxt, weights, answers, ("\n".join(blobs), *map(str, inputs)), seconds)


def _call(program: str, prototxt: bytes, weights: Path, output: Path, arguments: Sequence[str], seconds: float) -> None:
    command = interpreter()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    with tempfile.TemporaryDirectory(prefix="modelprep-pycaffe-") as folder:
        structure = Path(folder) / "net.prototxt"
        structure.write_bytes(prototxt)
        try:
            done = subprocess.run(
                [*command, "-c", program, str(structure), str(weights.absolute()), str(output.absolute()), *arguments],
                capture_output=True, timeout=seconds, env=environment, cwd=folder, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            output.unlink(missing_ok=True)
            raise StepError(f"pycaffe did not finish within {seconds:.0f} seconds", where=command[0]) from error
        except OSError as error:
            raise MissingTool(f"cannot run pycaffe: {error.strerror}", where=command[0]) from error
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    if done.returncode != 0 or not output.is_file():
        output.unlink(missing_ok=True)
        if any("No module named" in line and "caffe" in line for line in said):
            raise MissingTool(
                "this Python has no Caffe", where=" ".join(command), got=said[-1], hint="see docs/pycaffe.md"
            )
        if done.returncode == 0:
            raise StepError(
                "pycaffe ended with status 0 and wrote nothing",
                where=" ".join(command),
                expected=f"{VARIABLE}: a Python interpreter that can import caffe",
                hint="see docs/pycaffe.md",
            )
        telling = [line for line in said if line.startswith(("F", "E")) or "Error" in line or "rror:" in line] or said
        raise StepError(
            "pycaffe could not load the net with these weights",
            where=" ".join(command),
            got=" | ".join(telling[-3:]) or f"exit status {done.returncode}",
        )
