"""gzip, bzip2 and xz as bounded, forward-only streams that never pass off a broken file as a shorter one.

The file objects of the standard library decompress too, but say little when data ends early, buffer without a bound on
the ratio, and do not know their position in the *compressed* file, which progress and messages about damage need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Literal

from modelprep.errors import StepError
from modelprep.formats.sniff import HEAD, looks_like

Compression = Literal["gzip", "bzip2", "xz", "none"]

#: A stream may grow to this many times its compressed size. Weights hardly compress at all and text to about a tenth;
#: deflate itself ends near 1030, bzip2 and xz far above.
MAX_RATIO = 250
#: The ratio is not looked at before this many bytes are out: small files of zeros are no bombs.
RATIO_FLOOR = 64 << 20
#: xz and lzma may ask for this much memory for their dictionary (the largest presets need 65 MiB).
LZMA_MEMORY = 128 << 20

_AGAIN = "fetch the file again; `modelprep cache verify` finds broken files in the cache"
_CHUNK_IN = 128 << 10
_CHUNK_OUT = 512 << 10
_MAGIC: dict[Compression, bytes] = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}


def compression_of(head: bytes) -> Compression:
    """Return the compression that the first bytes of a file show; ``none`` for any other file."""
    return next((kind for kind, magic in _MAGIC.items() if head.startswith(magic)), "none")


def bomb(where: str, ratio: int, got: str) -> StepError:
    """Return the error for data that unpack to more than `ratio` times their size."""
    return StepError(
        "the compressed data grows beyond reason (a decompression bomb?)", where=where, got=got,
        expected=f"at most {ratio} times the compressed size",
    )  # fmt: skip


class Reader(AbstractContextManager["Reader"]):
    """A forward-only stream of the unpacked bytes of a file.

    Members of a multi-member gzip (streams of bzip2 and xz) follow one another as one stream, as their own tools do it.
    Zero bytes after the last one are padding; any other bytes there are an error, since they may be a damaged
    next member, and to ignore them would make a shorter file out of it.

    `compression`: None finds it from the content; ``none`` passes the bytes through. `progress`: called with
    (compressed bytes read, size of the file in bytes). `max_ratio`, `ratio_floor`: see :data:`MAX_RATIO` and
    :data:`RATIO_FLOOR` (bytes). Attributes: `position`: unpacked bytes handed out; `consumed`: bytes of the file read.

    Raises StepError, from :meth:`read`: truncated, damaged or a bomb.
    """

    def __init__(
        self,
        path: Path,
        compression: Compression | None = None,
        *,
        progress: Callable[[int, int | None], None] | None = None,
        max_ratio: int = MAX_RATIO,
        ratio_floor: int = RATIO_FLOOR,
    ) -> None:
        self.path = path
        self._file: BinaryIO = path.open("rb")
        self.size = path.stat().st_size
        if compression is None:
            compression = compression_of(self._file.read(HEAD))
            self._file.seek(0)
        self.compression = compression
        self.position = self.consumed = self.parts = self._produced = 0
        self._progress, self._max_ratio, self._ratio_floor = progress, max_ratio, ratio_floor
        self._pending = b""  # compressed bytes not given to the codec yet
        self._buffer = memoryview(b"")  # unpacked bytes not handed out yet
        self._codec: Any = None
        self._ended = False

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, count: int) -> bytes:
        """Return `count` bytes, fewer only at the (verified) end of the stream.

        `count` is kept in memory; ask for no more than a few MiB at a time.
        """
        pieces: list[bytes] = []
        missing = count
        while missing:
            if not self._buffer and not self._fill():
                break
            piece = bytes(self._buffer[:missing])
            self._buffer = self._buffer[len(piece) :]
            missing -= len(piece)
            pieces.append(piece)
        self.position += count - missing
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def chunks(self, count: int | None = None) -> Iterator[bytes]:
        """Iterate over the next `count` bytes (all that are left when None) in pieces of bounded size."""
        left = count
        while left is None or left:
            piece = self.read(_CHUNK_OUT if left is None else min(left, _CHUNK_OUT))
            if not piece:
                return
            if left is not None:
                left -= len(piece)
            yield piece

    def drain(self) -> int:
        """Read to the end, so that the checksums there are verified; return the number of bytes skipped."""
        return sum(len(piece) for piece in self.chunks())

    # -- the compressed side

    def _more(self) -> bytes:
        data = self._file.read(_CHUNK_IN)
        self.consumed += len(data)
        if data and self._progress is not None:
            self._progress(self.consumed, self.size)
        return data

    def _fill(self) -> bool:
        """Put the next unpacked bytes into the buffer; False at the end."""
        while not self._ended:
            if self.compression == "none":
                data = self._more()
                self._ended = not data
            else:
                data = self._inflate()
            if data:
                self._produced += len(data)
                if self._produced > max(self._ratio_floor, self._max_ratio * self.consumed):
                    where = f"{self.path}, after {self.consumed} compressed bytes"
                    raise bomb(where, self._max_ratio, f"{self._produced} bytes and more to come")
                self._buffer = memoryview(data)
                return True
        return False

    def _inflate(self) -> bytes:
        if self._codec is None and not self._next_part():
            return b""
        if not self._pending and self._wants_input():
            self._pending = self._more()
            if not self._pending:
                raise self._truncated()
        data, self._pending = self._pending, b""
        try:
            unpacked: bytes = self._codec.decompress(data, _CHUNK_OUT)
        except Exception as error:  # noqa: BLE001 - zlib.error, OSError (bz2), LZMAError; looked at below
            raise self._damaged(error) from None
        if self.compression == "gzip":
            # zlib gives back what it could not use yet, the other two keep it.
            self._pending = self._codec.unconsumed_tail
        if self._codec.eof:
            self._pending = self._codec.unused_data or self._pending
            self._codec = None
        elif not unpacked and not self._pending and self._wants_input():
            self._pending = self._more()
            if not self._pending:
                raise self._truncated()
        return unpacked

    def _wants_input(self) -> bool:
        return self.compression == "gzip" or bool(self._codec.needs_input)

    def _next_part(self) -> bool:
        """Begin the next gzip member or bzip2/xz stream; False when the file has properly ended."""
        magic = _MAGIC[self.compression]
        while True:
            if self.parts:
                self._pending = self._pending.lstrip(b"\0")
            if len(self._pending) >= len(magic) or not (more := self._more()):
                break
            self._pending += more
        if not self._pending:
            if not self.parts:
                raise self._truncated()
            self._ended = True
            return False
        if not self._pending.startswith(magic):
            what, expected = f"this is not {self.compression} data", magic.hex(" ")
            if self.parts:
                what = f"there are foreign bytes after the end of the {self.compression} data"
                expected = f"the end of the file, or further {self.compression} data"
            raise StepError(
                what, where=f"{self.path}, byte {self.consumed - len(self._pending)}", expected=expected,
                got=f"{self.size - self.consumed + len(self._pending)} bytes that begin {self._pending[:8].hex(' ')}",
                looks_like=looks_like(self._pending[:HEAD]),
                hint="fetch the file again: bytes were added to it, or the next part is damaged",
            )  # fmt: skip
        self._codec = self._make_codec()
        self.parts += 1
        return True

    def _make_codec(self) -> Any:
        if self.compression == "gzip":
            import zlib

            return zlib.decompressobj(wbits=31)  # 31: gzip framing, CRC-32 and length checked
        if self.compression == "bzip2":
            import bz2

            return bz2.BZ2Decompressor()
        import lzma

        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=LZMA_MEMORY)

    def _truncated(self) -> StepError:
        return StepError(
            f"the {self.compression} data ends before its end: the file is truncated",
            where=f"{self.path}, byte {self.consumed}", expected=f"more {self.compression} data",
            got=f"the end of the file after {self.consumed} bytes ({self._produced} unpacked)",
            hint=_AGAIN,
        )  # fmt: skip

    def _damaged(self, error: Exception) -> StepError:
        if not (isinstance(error, (OSError, EOFError, ValueError)) or type(error).__name__ in {"error", "LZMAError"}):
            raise error
        return StepError(
            f"the {self.compression} data is damaged: {error}",
            where=f"{self.path}, within the {_CHUNK_IN} bytes before byte {self.consumed}",
            got=f"{self._produced} bytes were unpacked before the damage", hint=_AGAIN,
        )  # fmt: skip
