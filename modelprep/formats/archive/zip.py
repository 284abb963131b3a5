"""The members of a zip archive: :mod:`zipfile` with bounds, and with errors that say what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from modelprep.errors import ModelprepError, StepError
from modelprep.formats.archive.decompress import MAX_RATIO, RATIO_FLOOR

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

#: A zip's directory is read into memory: at most this much of it, bytes.
MAX_DIRECTORY = 32 << 20
_CHUNK = 512 << 10


class _Guarded:
    """A zip's file, from which nobody can be made to read a huge directory into memory."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path

    def read(self, count: int = -1) -> bytes:
        # Without a count zipfile reads the tail of the file, which it has seeked to.
        data = self._file.read(MAX_DIRECTORY + 1 if count < 0 else min(count, MAX_DIRECTORY + 1))
        if len(data) > MAX_DIRECTORY:
            raise StepError(
                "the zip archive's directory is too long",
                where=str(self._path),
                expected=f"at most {MAX_DIRECTORY} bytes",
                got="more",
            )
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and offset < 0:
            raise ValueError("an offset before the start of the file")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()


@contextmanager
def opened(archive: Path, *, max_members: int) -> Iterator[ZipFile]:
    """Open a zip and turn what :mod:`zipfile` raises within the block into a StepError.

    Parameters
    ----------
    max_members
        A zip with more members than this is refused.
    """
    import struct
    import zipfile
    import zlib

    with archive.open("rb") as file:
        try:
            with zipfile.ZipFile(_as_io(_Guarded(file, archive))) as bundle:
                if len(bundle.infolist()) > max_members:
                    raise StepError(
                        "the archive has too many members",
                        where=str(archive),
                        expected=f"at most {max_members}",
                        got=str(len(bundle.infolist())),
                    )
                yield bundle
        except (
            zipfile.BadZipFile,
            struct.error,
            zlib.error,
            ValueError,
            EOFError,
            OverflowError,
            IndexError,
            NotImplementedError,  # a version of the format that is not known, which damage can claim
        ) as error:
            size = archive.stat().st_size
            raise StepError(
                f"the zip archive is truncated or damaged: {error or type(error).__name__}",
                where=f"{archive} ({size} bytes)",
                expected="a directory of members at the end of the file",
                hint="fetch the archive again",
            ) from None


def _as_io(guarded: _Guarded) -> IO[bytes]:
    return guarded  # type: ignore[return-value]  # zipfile wants no more than these methods


def oddity(info: ZipInfo) -> str:
    """Say why a zip member is no regular file; an empty string when it is one."""
    import stat

    if info.is_dir():
        return "a folder"
    mode = info.external_attr >> 16
    if info.create_system == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        names = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO"}
        return names.get(stat.S_IFMT(mode), "a device or socket")
    return ""


def pieces(
    archive: Path, bundle: ZipFile, info: ZipInfo, progress: Callable[[int], None] | None = None
) -> Iterator[bytes]:
    """Give a member's bytes piece by piece; `progress` is called with how many are out.

    Raises
    ------
    StepError
        Encrypted, an unknown method, damaged, shorter than stated, a bomb.
    """
    where = f"{archive}, member '{info.filename}' at byte {info.header_offset}"
    if info.flag_bits & 0x1:
        raise StepError(
            "the member is encrypted, and no password is known",
            where=where,
            hint="unpack it by hand and give the file with `--set NAME=PATH`",
        )
    try:
        member = bundle.open(info)
    except (NotImplementedError, RuntimeError) as error:
        raise StepError(
            f"the member is compressed in a way that is not supported: {error}",
            where=where,
            expected="stored, deflate, bzip2 or lzma",
            got=f"method {info.compress_type}",
            hint="unpack it by hand and give the file with `--set NAME=PATH`",
        ) from None
    done = 0
    with member:
        while True:
            try:
                piece = member.read(_CHUNK)
            except ModelprepError:
                raise
            except Exception as error:  # noqa: BLE001 - only the known ones become a StepError there
                raise _broken_member(error, where, done, info.file_size) from None
            if not piece:
                break
            done += len(piece)
            if done > RATIO_FLOOR and done > MAX_RATIO * max(info.compress_size, 1):
                raise StepError(
                    "the compressed data grows beyond reason (a decompression bomb?)",
                    where=where,
                    expected=f"at most {MAX_RATIO} times the compressed size",
                    got=f"{done} bytes out of {info.compress_size}",
                )
            if progress is not None:
                progress(done)
            yield piece
    if done != info.file_size:
        raise _broken_member(EOFError("it ends early"), where, done, info.file_size)


def _broken_member(error: Exception, where: str, done: int, size: int) -> Exception:
    import lzma
    import zipfile
    import zlib

    known = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, NotImplementedError)
    if not isinstance(error, known):
        return error
    return StepError(
        f"the member is truncated or damaged: {error or type(error).__name__}",
        where=where,
        expected=f"{size} bytes with the checksum that the archive states",
        got=f"{done} bytes before the damage showed",
        hint="fetch the archive again",
    )
