"""A file mapped into memory for reading, with errors that name it."""

from __future__ import annotations

import mmap
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from modelprep.errors import StepError, StorageError


def forget(view: bytes | memoryview) -> None:
    """Release the memory of the whole mapped file that a view is of (see :meth:`MappedFile.forget`)."""
    if isinstance(view, memoryview) and isinstance(view.obj, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        view.obj.madvise(mmap.MADV_DONTNEED)


class MappedFile(AbstractContextManager["MappedFile"]):
    """A file's bytes, read when they are looked at.

    The mapping lives as long as this, or a view into it, does.

    `name`: what messages call it; its path when empty (blobs of a store are named by digest). `what`: what it is, for
    messages: ``TF Lite file``.

    Raises StorageError: the file cannot be opened; StepError: it is empty.
    """

    def __init__(self, path: Path, name: str = "", *, what: str = "file") -> None:
        self.path = path
        self.name = name or str(path)
        try:
            with path.open("rb") as file:
                self.size = file.seek(0, 2)
                if not self.size:
                    raise StepError(f"the {what} is empty", where=self.name, hint="fetch it again")
                #: The mapping itself, which patterns can search.
                self.mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise StorageError(f"cannot read the {what}: {error.strerror or error}", where=self.name) from None
        self.view = memoryview(self.mapping)

    def forget(self) -> None:
        """Tell the system that the pages read are not needed again, so that they do not count as this process's.

        Views stay valid: the bytes are read from the file again when they are looked at.
        """
        forget(self.view)

    def close(self) -> None:
        """Unmap, or leave that to the garbage collector where views still exist."""
        self.view.release()
        with suppress(BufferError):
            self.mapping.close()

    def __exit__(self, *_: object) -> None:
        self.close()
