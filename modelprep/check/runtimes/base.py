"""The common result of runtimes, and the error for a refused model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelprep.check.board.preprocess import Quantisation
from modelprep.errors import CheckFailed
from modelprep.formats.arrays import Array

#: The environment variable that names the interpreter of a real Arm NN.
PYARMNN = "MODELPREP_PYARMNN"
#: Variables with the interpreter of a real runtime: sent to the process that runs models with every request.
INTERPRETERS = (PYARMNN, "MODELPREP_PYCAFFE")


@dataclass(frozen=True)
class Ready:
    """A model that can be run.

    Parameters
    ----------
    runtime
        Name and version of the runtime, for reports.
    run
        From the input tensor (elements in the model's order, any shape) to the outputs asked for, in that order.
    quantisation
        Of a uint8 input.
    sizes
        Elements of each output in Arm NN's parser, if known without running.
    second
        Loads the runtime that decides if this one's scores are too close; None if there is none.
    """

    runtime: str
    run: Callable[[Array], list[Array]]
    quantisation: Quantisation | None = None
    sizes: tuple[int, ...] = ()
    second: Callable[[], Ready] | None = None


@contextmanager
def refusing(runtime: str, path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn errors of a runtime about a model into CheckFailed, with the runtime's message in one line."""
    try:
        yield
    except errors as error:
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckFailed(f"{runtime} refuses the model", where=str(path), got=text) from error
