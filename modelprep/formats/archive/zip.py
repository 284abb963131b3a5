"""The members of a zip archive: the directory by :mod:`zipfile`, the data within bounds; errors say what is wrong."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32, decompressobj
from zlib import error as error_of_zlib

from modelprep.errors import StepError
from modelprep.formats.archive.decompress import LZMA_MEMORY, MAX_RATIO, RATIO_FLOOR, bomb
from modelprep.formats.archive.tar import AGAIN, too_many

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

#: A zip's directory is read into memory: at most this much of it, bytes.
MAX_DIRECTORY = 32 << 20
_CHUNK = 512 << 10
_CHUNK_IN = 64 << 10
_STORED, _DEFLATE, _BZIP2, _LZMA = 0, 8, 12, 14
_METHODS = (_STORED, _DEFLATE, _BZIP2, _LZMA)
_LOCAL_HEADER = 30
_LZMA_HEADER = 9


class _Guarded(io.BufferedReader):
    """A zip's file that refuses to read a huge directory into memory."""

    def read(self, count: int | None = -1) -> bytes:
        # Without a count zipfile reads the tail of the file, which it has seeked to.
        most = MAX_DIRECTORY + 1
        data = super().read(most if count is None or count < 0 else min(count, most))
        if len(data) > MAX_DIRECTORY:
            raise StepError(
                "the zip archive's directory is too long", where=str(self.name), got="more",
                expected=f"at most {MAX_DIRECTORY} bytes",
            )  # fmt: skip
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and offset < 0:
            raise ValueError("an offset before the start of the file")
        return super().seek(offset, whence)


@contextmanager
def opened(archive: Path, *, max_members: int) -> Iterator[ZipFile]:
    """Open a zip and turn what :mod:`zipfile` raises within the block into a StepError."""
    import struct
    import zipfile
    import zlib

    damage = (zipfile.BadZipFile, struct.error, zlib.error, ValueError, EOFError, OverflowError, IndexError)
    with _Guarded(archive.open("rb", buffering=0)) as file:
        try:
            with zipfile.ZipFile(file) as bundle:
                if len(bundle.infolist()) > max_members:
                    raise too_many(archive, max_members, str(len(bundle.infolist())))
                yield bundle
        # NotImplementedError: a version of the format that is not known, which damage can claim.
        except (*damage, NotImplementedError) as error:
            raise StepError(
                f"the zip archive is truncated or damaged: {error or type(error).__name__}", hint=AGAIN,
                where=f"{archive} ({archive.stat().st_size} bytes)",
                expected="a directory of members at the end of the file",
            ) from None  # fmt: skip


def oddity(info: ZipInfo) -> str:
    """Return why a zip member is no regular file; an empty string if it is one."""
    import stat

    if info.is_dir():
        return "a folder"
    mode = info.external_attr >> 16
    if info.create_system == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        names = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO"}
        return names.get(stat.S_IFMT(mode), "a device or socket")
    return ""


def pieces(archive: Path, bundle: ZipFile, info: ZipInfo) -> Iterator[bytes]:
    """Yield a member's bytes piece by piece.

    :mod:`zipfile` unpacks bzip2 and lzma without a bound on what comes out of one read, so the decoders are fed here:
    no more than a piece is in memory, and never more than the stated size comes out.
    """
    where = f"{archive}, member '{info.filename}' at byte {info.header_offset}"
    by_hand = "unpack it by hand and give the file with `--set NAME=PATH`"
    if info.flag_bits & 0x1:
        raise StepError("the member is encrypted, and no password is known", where=where, hint=by_hand)
    if info.compress_type not in _METHODS or info.flag_bits & 0x20:
        raise StepError(
            "the member is compressed in a way that is not supported", where=where,
            expected="stored, deflate, bzip2 or lzma",
            got=f"method {info.compress_type}" + (", compressed patched data" if info.flag_bits & 0x20 else ""),
            hint=by_hand,
        )  # fmt: skip
    done = crc = 0
    try:
        for piece in _unpacked(bundle, info):
            done += len(piece)
            if done > info.file_size:
                raise ValueError("it is longer than the archive states")
            if done > RATIO_FLOOR and done > MAX_RATIO * max(info.compress_size, 1):
                raise bomb(where, MAX_RATIO, f"{done} bytes out of {info.compress_size}")
            crc = crc32(piece, crc)
            yield piece
        if done != info.file_size:
            raise EOFError("it ends early")
        if crc != info.CRC:
            raise ValueError(f"its checksum is {crc:08x}, the archive states {info.CRC:08x}")
    except Exception as error:
        known = isinstance(error, (ValueError, EOFError, OSError, error_of_zlib))
        if not known and type(error).__name__ != "LZMAError":  # lzma is imported for a member that needs it
            raise
        raise StepError(
            f"the member is truncated or damaged: {error or type(error).__name__}", where=where, hint=AGAIN,
            expected=f"{info.file_size} bytes with the checksum that the archive states",
            got=f"{done} bytes before the damage showed",
        ) from None  # fmt: skip


def _unpacked(bundle: ZipFile, info: ZipInfo) -> Iterator[bytes]:
    """Yield a member's unpacked bytes in pieces of bounded size; EOFError where the data ends before its end."""
    stored = _stored(bundle, info)
    decoder: Any
    if info.compress_type == _STORED:
        yield from stored
        return
    if info.compress_type == _LZMA:
        head = next(stored, b"")
        if len(head) < _LZMA_HEADER:
            raise EOFError("it ends early")
        decoder, stored = _lzma_decoder(head, info.file_size), chain([head[_LZMA_HEADER:]], stored)
    elif info.compress_type == _BZIP2:
        from bz2 import BZ2Decompressor

        decoder = BZ2Decompressor()
    else:
        decoder = decompressobj(-15)  # a raw stream
    for fed in stored:
        while True:
            piece = decoder.decompress(fed, _CHUNK)
            # zlib hands back what it has not used yet, the others keep it.
            fed = getattr(decoder, "unconsumed_tail", b"")
            if piece:
                yield piece
            if decoder.eof:
                return
            if not fed and (len(piece) < _CHUNK if info.compress_type == _DEFLATE else decoder.needs_input):
                break
    raise EOFError("it ends early")


def _stored(bundle: ZipFile, info: ZipInfo) -> Iterator[bytes]:
    """Yield a member's bytes as they are in the archive, after the header before them."""
    file = bundle.fp
    assert file is not None
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or not header.startswith(b"PK\x03\x04"):
        raise ValueError("there is no header before its data")
    names, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    name = file.read(names).decode("utf-8" if header[7] & 0x08 else "cp437")
    if name != info.orig_filename:
        raise ValueError(f"the header before its data names '{name}'")
    place, left = info.header_offset + _LOCAL_HEADER + names + extra, info.compress_size
    while left:
        file.seek(place)  # of several members that are read in turns, each at its own place
        data = file.read(min(left, _CHUNK_IN))
        if not data:
            raise EOFError("the archive ends within it")
        place += len(data)
        left -= len(data)
        yield data


def _lzma_decoder(head: bytes, size: int) -> Any:
    """Make a decoder for `size` bytes of LZMA, from what a zip puts before them.

    Source: APPNOTE.TXT 5.8.8: version, size of the properties, properties.
    """
    import lzma

    packed, dictionary = head[4], int.from_bytes(head[5:9], "little")
    if int.from_bytes(head[2:4], "little") != 5 or packed >= 9 * 5 * 5:
        raise ValueError("its lzma properties make no sense")
    # Nothing refers further back than the data is long.
    dictionary = max(4096, min(dictionary, size))
    if dictionary > LZMA_MEMORY:
        raise ValueError(f"its lzma dictionary takes {dictionary} bytes, {LZMA_MEMORY} are allowed")
    rest, lc = divmod(packed, 9)
    pb, lp = divmod(rest, 5)
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": lc, "lp": lp, "pb": pb}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
