"""Identify a file without downloading it: digests stated by servers, and files small enough to download.

Only a header that *is defined as a digest* proves that a file has changed. An S3 ``ETag`` merely happens to be the MD5
of most objects, so it can prove equality but not a difference.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence

from modelprep.fetch.digests import MultiHash, first_difference

_HEX = re.compile(r"[0-9a-f]{32,128}")
_FIELD = re.compile(r"([A-Za-z0-9-]+)=:?([A-Za-z0-9+/=]+)")
#: Names of digests in ``Repr-Digest`` (RFC 9530), ``Digest`` and ``x-goog-hash``.
_NAMES = {"sha-256": "sha256", "sha-512": "sha512", "sha": "sha1", "sha-1": "sha1", "md5": "md5"}


def stated(headers: Sequence[Mapping[str, str]], *, encoded: bool) -> Iterator[tuple[str, str, str]]:
    """Yield the digests that answers state: (algorithm, hex digest, header).

    `headers`: of all answers, the last one first; names in lower case. `encoded`: the answer has a Content-Encoding, so
    that digests of the message are not the file's.
    """
    for index, each in enumerate(headers):
        if index == 0 and not encoded:
            # Google's is of the stored object, which it may unpack while sending.
            packed = each.get("x-goog-stored-content-encoding", "identity") != "identity"
            for header in ("repr-digest", "digest", *(() if packed else ("x-goog-hash",))):
                for name, value in _FIELD.findall(each.get(header, "")):
                    if (algorithm := _NAMES.get(name.lower())) and (digest := _hex(value)):
                        yield algorithm, digest, header
            # The Content-MD5 of a part is the part's.
            if (digest := _hex(each.get("content-md5", ""))) and "content-range" not in each:
                yield "md5", digest, "content-md5"
        # Hugging Face: SHA-256 of a large file, git's blob id of a small one; in the answer that redirects.
        linked = each.get("x-linked-etag", "").strip('W/"')
        if _HEX.fullmatch(linked) and len(linked) in (40, 64):
            yield ("sha256" if len(linked) == 64 else "git"), linked, "x-linked-etag"


def compare(digests: Mapping[str, str], headers: Sequence[Mapping[str, str]], *, encoded: bool) -> tuple[str, str]:
    """Compare the digests stated by servers with the pinned ones.

    Returns (proof, difference): what proves the same file, or another file; at most one of them is not empty.
    """
    for algorithm, value, header in stated(headers, encoded=encoded):
        if algorithm in digests:
            if digests[algorithm] == value:
                return f"{algorithm} ({header})", ""
            return "", f"the server states {algorithm} {value} ({header})"
    etag = headers[0].get("etag", "").strip('"') if headers else ""
    if not encoded and "md5" in digests and etag == digests["md5"]:
        return "md5 (etag)", ""
    return "", ""


def of_whole(digests: Mapping[str, str], data: bytes) -> tuple[str, str]:
    """Compare the digests of a whole file with the pinned ones; as :func:`compare`."""
    hashes = MultiHash(digests, size=len(data))
    hashes.update(data)
    got = hashes.digests()
    difference = first_difference(digests, got)
    if difference is None:
        return f"{next(iter(digests))} of the whole file", ""
    algorithm, _, value = difference
    return "", f"it has {algorithm} {value}"


def _hex(value: str) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).hex()
    except (binascii.Error, ValueError):
        return ""
