"""One request to one URL: its headers and, if needed, its first bytes; redirects are followed here.

Each redirect is a request to another host with its own rate limit; a permanent redirect is a finding, a temporary one
(to a signed URL, as for release downloads) is not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from modelprep.audit.politeness import Doors, Manners
from modelprep.fetch.addresses import allowed_by_environment
from modelprep.fetch.connections import Chain, Client
from modelprep.fetch.network_errors import MAX_REDIRECTS, Broken, classify
from modelprep.fetch.transport import CHUNK, content_length, refusal, validator_of
from modelprep.recipe.outside import is_downloaded
from modelprep.url import Url

if TYPE_CHECKING:
    import requests

_PERMANENT = (HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.PERMANENT_REDIRECT)


@dataclass(frozen=True)
class Answered:
    """An answer with a file (status 200 or 206).

    Parameters
    ----------
    url
        The address after all redirects; may hold credentials.
    moved_to
        Target of the permanent redirects that come first, redacted; empty without any.
    size
        Bytes of the whole object; None if unknown, or if a Content-Encoding changes it.
    head, whole
        The first bytes, at most as many as requested, and whether they are the whole file.
    headers
        Of all answers, the last one first; names in lower case.
    """

    url: Url
    moved_to: str
    status: int
    size: int | None
    content_type: str
    encoding: str
    etag: str
    last_modified: str
    head: bytes = field(repr=False, default=b"")
    whole: bool = False
    headers: tuple[Mapping[str, str], ...] = field(repr=False, default=())


class Exchange:
    """Sends requests, one session per thread, with the host's lock held during each request."""

    def __init__(self, manners: Manners, doors: Doors) -> None:
        self._manners = manners
        self._doors = doors
        self._client = Client(manners.connect_timeout, manners.stall_timeout)
        # Downloaded recipes may not lead to private addresses, unless the user's environment allows it.
        self._public = Client(manners.connect_timeout, manners.stall_timeout, allow_private=False)

    def ask(self, url: Url, count: int = 0) -> Answered:
        """Send HEAD, or GET for the first `count` bytes; if a server ignores Range, reading stops there.

        Raises Broken: no answer, or an answer without a file.
        """
        headers = {"Range": f"bytes=0-{count - 1}"} if count else {}
        # Nothing received is kept, so any redirect may be followed without a digest.
        chain = Chain(url, pinned=True)
        moved, permanent, passed = "", True, list[Mapping[str, str]]()
        client = self._public if is_downloaded(url.place) and allowed_by_environment() is None else self._client
        for _ in range(MAX_REDIRECTS + 1):
            with self._doors.at(chain.url.netloc):
                response = client.request("GET" if count else "HEAD", chain, headers)
                try:
                    passed.insert(0, {name.lower(): value for name, value in response.headers.items()})
                    if not chain.follow(response, client.session(chain)):
                        return self._answered(response, chain.url, moved, count, tuple(passed))
                finally:
                    response.close()
            permanent = permanent and response.status_code in _PERMANENT
            if permanent:
                moved = str(chain.url)
        raise Broken(f"redirected more than {MAX_REDIRECTS} times", retry=False)

    def _answered(
        self, response: requests.Response, url: Url, moved: str, count: int, passed: tuple[Mapping[str, str], ...]
    ) -> Answered:
        status = response.status_code
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and count:
            # An empty object has no first byte.
            size = _total(response.headers.get("Content-Range", ""))
            if size != 0:
                raise refusal(response)
            head, whole = b"", True
        elif status == HTTPStatus.OK:
            size = content_length(response.headers)
            head, whole = self._read(response, count)
            size = len(head) if whole and count else size
        elif status == HTTPStatus.PARTIAL_CONTENT and count:
            size = _total(response.headers.get("Content-Range", ""))
            head, ended = self._read(response, count)
            whole = ended and size == len(head)
        else:
            raise refusal(response)
        validator = validator_of(response.headers, size)
        return Answered(
            url=url, moved_to=moved, status=status, size=None if validator.encoding and not whole else size,
            content_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
            encoding=validator.encoding, etag=response.headers.get("ETag", "").strip()[:200],
            last_modified=response.headers.get("Last-Modified", "").strip()[:60], head=head, whole=whole,
            headers=passed,
        )  # fmt: skip

    def _read(self, response: requests.Response, count: int) -> tuple[bytes, bool]:
        """Read the first `count` bytes: (bytes, whether the body ended there)."""
        if not count:
            return b"", False
        head, deadline = b"", time.monotonic() + self._manners.stall_timeout
        length = content_length(response.headers)
        read = getattr(response.raw, "read1", None) or response.raw.read
        while len(head) < count:
            if time.monotonic() > deadline:
                raise Broken(f"stalled: {len(head)} bytes in {self._manners.stall_timeout:g} s", retry=True)
            try:
                data = read(min(CHUNK, count - len(head)), decode_content=False)
            except Exception as error:
                raise classify(error, body=True) from error
            if not data:
                if length is not None and len(head) < length:
                    raise Broken(f"the connection was cut {len(head)} bytes into {length}", retry=True)
                return head, True
            head += data
        return head, length == len(head)


def _total(content_range: str) -> int | None:
    """Parse the total size from ``bytes 0-9/1234`` or ``bytes */1234``."""
    total = content_range.rpartition("/")[2].strip()
    return int(total) if total.isascii() and total.isdigit() and len(total) < 20 else None
