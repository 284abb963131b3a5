"""What both checkpoint versions share: tensors, their slices, how they are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelprep.errors import StepError, nearest
from modelprep.formats.mapped import MappedFile
from modelprep.formats.protowire import Buffer
from modelprep.formats.tensorflow.slices import Slice, copy_box
from modelprep.formats.tensorflow.tensor import DTYPES, STRING, Tensor, dtype_name, element_count

if TYPE_CHECKING:
    from typing_extensions import Self

#: A tensor of more elements than this is no weight but a damaged or hostile shape.
MAX_ELEMENTS = 1 << 40


@dataclass(frozen=True)
class Stored:
    """What a checkpoint says of one tensor.

    `dtype`: number in the enum DataType. `shape`: of the whole tensor. `slices`: the parts it is stored as; empty if it
    is stored whole.
    """

    dtype: int
    shape: tuple[int, ...]
    slices: tuple[Slice, ...] = ()


class Checkpoint(ABC):
    """The tensors of a checkpoint."""

    #: ``V1`` or ``V2``.
    version: str
    #: For messages.
    name: str

    def __init__(self, name: str, files: Sequence[MappedFile]) -> None:
        self.name = name
        self._files = list(files)
        self.stored: dict[str, Stored] = {}

    def read(self, name: str, part: Slice | None = None) -> Tensor:
        """Read a tensor, or one part of it, and verify its bytes.

        Raises StepError: there is no such tensor, its bytes are damaged or missing, or the part reaches outside of it.
        """
        stored = self.stored.get(name)
        if stored is None:
            names = sorted(self.stored)
            raise StepError(
                f"the checkpoint holds no tensor '{name}'", where=self.name, got=f"{len(names)} tensors",
                hint=nearest(name, names) or f"it holds {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}",
            )  # fmt: skip
        dtype = DTYPES.get(stored.dtype)
        if dtype is None:
            raise StepError(f"tensor '{name}' has an element type that no constant can hold", where=self.name,
                            got=dtype_name(stored.dtype))  # fmt: skip
        if any(size < 0 for size in stored.shape) or element_count(stored.shape) > MAX_ELEMENTS:
            raise StepError(f"tensor '{name}' has an impossible shape", where=self.name, got=str(list(stored.shape)))
        pieces = stored.slices or (Slice.whole(len(stored.shape)),)
        try:
            wanted = (part or Slice.whole(len(stored.shape))).normal(stored.shape)
            for piece in pieces:
                if piece.normal(stored.shape) == wanted:
                    return self._read(name, stored, piece)
        except ValueError as error:
            raise StepError(f"tensor '{name}' has no such part", where=self.name, got=str(error)) from None
        return self._assemble(name, stored, wanted, pieces)

    def _assemble(self, name: str, stored: Stored, wanted: Slice, parts: tuple[Slice, ...]) -> Tensor:
        dtype = DTYPES[stored.dtype]
        if dtype.number == STRING:
            raise StepError(f"tensor '{name}' holds strings in parts, which cannot be joined", where=self.name)
        box = wanted.within(stored.shape)
        whole = bytearray(element_count(box[1]) * dtype.size)
        copied = 0
        for piece in parts:
            piece_box = piece.within(stored.shape)
            if all(max(a, b) < min(a + m, b + n) for a, m, b, n in zip(*box, *piece_box, strict=True)):
                data = self._read(name, stored, piece).data
                copied += copy_box(whole, box, data, piece_box, dtype.size)
        if copied != element_count(box[1]):
            raise StepError(
                f"the parts of tensor '{name}' do not make up the whole",
                where=self.name,
                expected=f"{element_count(box[1])} elements",
                got=f"{copied} elements in parts {', '.join(map(str, parts))}",
            )
        return Tensor(dtype, box[1], memoryview(whole))

    @abstractmethod
    def _read(self, name: str, stored: Stored, part: Slice) -> Tensor:
        """Read a part that is stored exactly so."""

    def forget(self) -> None:
        """Release the memory of what has been read (see :meth:`MappedFile.forget`)."""
        for file in self._files:
            file.forget()

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parsed(kind: str, data: Buffer, what: str, where: str) -> Any:
    """Parse a message of a checkpoint; raises StepError if it is damaged."""
    from google.protobuf.message import DecodeError

    from modelprep.formats.tensorflow.messages import message

    try:
        return message(kind).FromString(bytes(data))
    except DecodeError as error:
        raise StepError(f"{what} is damaged", where=where, got=str(error)) from None
