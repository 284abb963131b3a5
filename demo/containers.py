"""gzip, tar.gz and zip files whose bytes depend on their content alone: no clock, no user, no compressor's mood.

zlib and zlib-ng write different bytes for the same level, so everything is *stored*: a valid stream that nobody has to
compress. The stand-in is small enough for that.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping

_BLOCK = 65535


def gz(data: bytes) -> bytes:
    """Wrap data as gzip (RFC 1952) with stored deflate blocks (RFC 1951, 3.2.4)."""
    out = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + _stored(data)
    return bytes(out + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))


def zlib_stored(data: bytes) -> bytes:
    """Wrap data as zlib (RFC 1950) with stored blocks."""
    return b"\x78\x01" + _stored(data) + struct.pack(">I", zlib.adler32(data))


def _stored(data: bytes) -> bytes:
    out = bytearray()
    for start in range(0, max(len(data), 1), _BLOCK):
        block = data[start : start + _BLOCK]
        last = start + _BLOCK >= len(data)
        out += struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
    return bytes(out)


def tar(files: Mapping[str, bytes], *, prefix: str = "") -> bytes:
    """Write a tar; `prefix` ("./") goes before each name, and each folder has its entry, as in the archives we copy."""
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        folders: set[str] = set()
        for name, data in files.items():
            folder = name.rpartition("/")[0]
            if folder and folder not in folders:
                folders.add(folder)
                entry = tarfile.TarInfo(f"{prefix}{folder}")
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            entry = tarfile.TarInfo(f"{prefix}{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def tar_gz(files: Mapping[str, bytes], *, prefix: str = "") -> bytes:
    """Write a tar.gz."""
    return gz(tar(files, prefix=prefix))


def tar_xz(files: Mapping[str, bytes]) -> bytes:
    """Write a tar.xz."""
    import lzma

    return lzma.compress(tar(files))


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Write a zip of stored members dated 1980-01-01."""
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return out.getvalue()
