"""The type of NumPy's arrays for annotations; NumPy itself is imported only in the functions that compute with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
else:
    Array = Any
