"""A ``Content-Encoding`` that nobody asked for: some servers compress whatever they are told.

What was sent is kept as sent (so that it can be continued and compared) and decoded afterwards, within bounds.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from modelprep.store.disk import human, storage

#: Encodings that are understood; the empty one is none.
KNOWN = frozenset({"", "gzip", "x-gzip", "deflate"})
_CHUNK = 1 << 20


class BadEncoding(Exception):
    """The bytes are not in the encoding that the server said, or become too many."""


def _decoder(first: bytes, encoding: str) -> zlib._Decompress:
    if encoding == "deflate" and first[:1] != b"\x78":
        return zlib.decompressobj(-zlib.MAX_WBITS)  # what many servers mean by "deflate"
    return zlib.decompressobj(zlib.MAX_WBITS | 32)


def decode_head(head: bytes, encoding: str, *, limit: int = 64 * 1024) -> bytes:
    """Decode as much of the first bytes as there is, `limit` bytes at most; undecodable ones are given as they are."""
    if not encoding:
        return head
    try:
        return _decoder(head, encoding).decompress(head, limit)
    except zlib.error:
        return head


def decode_file(source: Path, target: Path, encoding: str, *, max_bytes: int) -> int:
    """Decode a whole file into another.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    BadEncoding
        It is not so encoded, is truncated, or grows over `max_bytes`.
    StorageError
        The disk would not take it.
    """
    written = 0
    with storage(target), source.open("rb") as encoded, target.open("xb") as plain:
        data = encoded.read(_CHUNK)
        decoder = _decoder(data, encoding)
        while data:
            try:
                piece = decoder.decompress(data, _CHUNK)
            except zlib.error as error:
                raise BadEncoding(f"said its answer is {encoding}, and it is not") from error
            written += len(piece)
            if written > max_bytes:
                raise BadEncoding(f"its {encoding} answer unpacks to more than {human(max_bytes)}")
            plain.write(piece)
            if decoder.eof:
                data = decoder.unused_data or encoded.read(_CHUNK)
                if data:  # gzip members may follow one another
                    decoder = _decoder(data, encoding)
            else:
                data = decoder.unconsumed_tail or encoded.read(_CHUNK)
        if not decoder.eof:
            tail = decoder.flush()
            written += len(tail)
            plain.write(tail)
        if not decoder.eof or written > max_bytes:
            raise BadEncoding(f"its {encoding} answer is cut off, or unpacks to more than {human(max_bytes)}")
    return written
