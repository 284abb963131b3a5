"""Decode a ``Content-Encoding`` that was not requested: some servers always compress.

The bytes are kept as received (so that the download can be resumed) and decoded afterwards, within bounds.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from modelprep.store.disk import human, storage

#: Supported encodings; the empty one is identity.
KNOWN = frozenset({"", "gzip", "x-gzip", "deflate"})
_CHUNK = 1 << 20


class BadEncoding(Exception):
    """The bytes are not in the stated encoding, or expand too much."""


def _decoder(first: bytes, encoding: str) -> zlib._Decompress:
    if encoding == "deflate" and first[:1] != b"\x78":
        return zlib.decompressobj(-zlib.MAX_WBITS)  # what many servers call "deflate"
    return zlib.decompressobj(zlib.MAX_WBITS | 32)


def decode_head(head: bytes, encoding: str, *, limit: int = 64 * 1024) -> bytes:
    """Decode the first bytes, at most `limit`; undecodable ones are returned unchanged."""
    if not encoding:
        return head
    try:
        return _decoder(head, encoding).decompress(head, limit)
    except zlib.error:
        return head


def decode_file(source: Path, target: Path, encoding: str, *, max_bytes: int) -> int:
    """Decode a whole file into another; return the written bytes.

    Raises BadEncoding if the file is not in this encoding, is truncated, or expands beyond `max_bytes`; StorageError.
    """
    written = 0
    with storage(target), source.open("rb") as encoded, target.open("xb") as plain:
        data = encoded.read(_CHUNK)
        decoder = _decoder(data, encoding)
        while data:
            try:
                piece = decoder.decompress(data, _CHUNK)
            except zlib.error as error:
                raise BadEncoding(f"its answer is not {encoding}, as it states") from error
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
