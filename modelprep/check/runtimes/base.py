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
#: All that name the interpreter of a real runtime: a process that runs models is told of them with every question.
INTERPRETERS = (PYARMNN, "MODELPREP_PYCAFFE")


@dataclass(frozen=True)
class Ready:
    """A model that can be run.

    Parameters
    ----------
    runtime
        Its name and version, for reports.
    run
        Takes the input tensor (its elements in the model's order; the shape is the runtime's business) and gives the
        outputs asked for, in that order.
    quantisation
        Of the input, where that is uint8.
    sizes
        Elements of each output asked for, as Arm NN's parser makes them, where that is known without running.
    second
        Loads the runtime to ask where this one's scores are too near each other; None if there is none.
    """

    runtime: str
    run: Callable[[Array], list[Array]]
    quantisation: Quantisation | None = None
    sizes: tuple[int, ...] = ()
    second: Callable[[], Ready] | None = None


@contextmanager
def refusing(runtime: str, path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn what a runtime raises over a model into :func:`refused`."""
    try:
        yield
    except errors as error:
        raise refused(runtime, path, error) from error


def refused(runtime: str, path: Path, error: Exception) -> CheckFailed:
    """Return the error for a model that a runtime does not take, with the runtime's own words in one line."""
    text = " ".join(str(error).split())
    return CheckFailed(f"{runtime} refuses the model", where=str(path), got=text[:300] or type(error).__name__)
