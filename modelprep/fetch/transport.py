"""One HTTP exchange: a GET of a file or of its rest.

Every failure is a :class:`Broken`, which says whether to retry. Proxies, netrc and CA bundles come from requests' own
environment.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from modelprep.fetch.connections import Chain, Client
from modelprep.fetch.network_errors import MAX_REDIRECTS, Broken, classify
from modelprep.fetch.slots import Slot, Slots
from modelprep.fetch.watchdog import Watchdog
from modelprep.store import Validator
from modelprep.url import Url

if TYPE_CHECKING:
    import requests

#: Maximum bytes per read: large, as each piece is passed between two threads.
CHUNK = 1 << 20
#: Fewer bytes than this within one stall timeout count as a stall.
TRICKLE = 1024
#: Maximum duration of a chain of redirects, as a multiple of the stall timeout.
MOST_STALLS = 3
#: Statuses after which a retry may succeed.
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")


@dataclass
class Answer:
    """A server's answer whose body has not been read yet.

    All sizes in bytes, None if not stated: `start` is the offset of the body within the object (0 unless resumed),
    `total` the size of the whole object (encoded, if `validator.encoding` is set), `length` that of the body. `framed`:
    a truncated body can be detected (by a length, or chunks).
    """

    start: int
    total: int | None
    validator: Validator
    stall_timeout: float
    response: requests.Response = field(repr=False)
    watchdog: Watchdog = field(repr=False)
    length: int | None = None
    framed: bool = True

    @property
    def server(self) -> str:
        """The host that answers after all redirects, with a non-default port."""
        return Url(self.response.url).netloc

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces of at most 1 MiB, undecoded; Broken if it is cut or stalls."""
        raw = self.response.raw
        read = getattr(raw, "read1", None) or raw.read
        received = marked = 0
        since = time.monotonic()
        while True:
            try:
                with self.watchdog.limit(self.stall_timeout):
                    data = read(CHUNK, decode_content=False)
            except Exception as error:
                raise self._stalled() if self.watchdog.fired else classify(error, body=True) from error
            if self.watchdog.fired:
                raise self._stalled()
            if not data:
                break
            received += len(data)
            yield data
            if (now := time.monotonic()) - since >= self.stall_timeout:
                if received - marked < TRICKLE:
                    raise self._stalled()
                since, marked = now, received
        if self.length is not None and received < self.length:
            raise Broken(f"the connection was cut {received} bytes into {self.length}", retry=True)

    def _stalled(self) -> Broken:
        return Broken(f"stalled: almost no data for {self.stall_timeout:g} s", retry=True)

    def close(self) -> None:
        """Close the connection."""
        self.response.close()


class Transport:
    """Makes requests and follows redirects; thread-safe. Timeouts in seconds, as for its client."""

    def __init__(
        self,
        connect_timeout: float,
        stall_timeout: float,
        *,
        allow_private: bool | None = None,
        slots: Slots | None = None,
    ) -> None:
        self._stall_timeout = stall_timeout
        self._client = Client(connect_timeout, stall_timeout, allow_private=allow_private)
        self.slots = slots or Slots()

    @contextlib.contextmanager
    def connected(self, url: Url, stop: Callable[[], bool]) -> Iterator[None]:
        """Wait for a connection to the host of a URL and hold it for the block; Interrupted if `stop` returns true."""
        with self.slots.hold(url.host, stop) as slot, self._client.through(slot):
            yield

    def piece(self, slot: Slot, url: Url, first: int, last: int, held: Validator) -> bytes | None:
        """Request the bytes `first` to `last` of the pinned object that `held` describes, through a slot.

        None if the server does not return exactly this range of that object; Broken if the request failed.
        """
        with self._client.through(slot):
            answer = self._ask(url, first, held, pinned=True, last=last)
            if answer is None:
                return None
            try:
                if answer.start != first or answer.length != last - first + 1 or answer.validator.encoding:
                    return None
                return b"".join(answer.chunks())
            finally:
                answer.close()

    def get(self, url: Url, *, offset: int = 0, held: Validator | None = None, pinned: bool = True) -> Answer:
        """Request `url`, or the rest after the first `offset` bytes of the object that `held` describes.

        The answer to a request with an offset is either the rest of the same object (`Answer.start` is the offset) or
        the whole current object (`Answer.start` is 0). `pinned`: a digest will verify the file. Raises Broken without
        an answer, or for one without bytes of the file.
        """
        if offset and held is not None and held.condition:
            answer = self._ask(url, offset, held, pinned=pinned)
            if answer is not None:
                return answer
        whole = self._ask(url, 0, None, pinned=pinned)
        assert whole is not None
        return whole

    def _ask(
        self, url: Url, offset: int, held: Validator | None, *, pinned: bool, last: int | None = None
    ) -> Answer | None:
        headers = {}
        if held is not None:
            headers = {"Range": f"bytes={offset}-{'' if last is None else last}", "If-Range": held.condition}
        response = self._follow(Chain(url, pinned=pinned), headers)
        try:
            if held is None:
                return self._whole(response)
            return self._rest(response, offset, held)
        except BaseException:
            response.close()
            raise

    def _follow(self, chain: Chain, headers: Mapping[str, str]) -> requests.Response:
        deadline = time.monotonic() + MOST_STALLS * self._stall_timeout
        for _ in range(MAX_REDIRECTS + 1):
            response = self._client.request("GET", chain, headers)
            try:
                if not chain.follow(response, self._client.session(chain)):
                    return response
            except BaseException:
                response.close()
                raise
            response.close()
            if time.monotonic() > deadline:
                raise Broken("stalled: the redirects take too long", retry=True)
        raise Broken(f"redirected more than {MAX_REDIRECTS} times", retry=False)

    def _whole(self, response: requests.Response) -> Answer:
        if response.status_code != HTTPStatus.OK:
            raise refusal(response)
        headers, length = response.headers, content_length(response.headers)
        framed = length is not None or headers.get("Transfer-Encoding", "").lower() == "chunked"
        return self._answer(response, 0, length, validator_of(headers, length), length, framed=framed)

    def _answer(
        self,
        response: requests.Response,
        start: int,
        total: int | None,
        validator: Validator,
        length: int | None,
        *,
        framed: bool = True,
    ) -> Answer:
        watchdog = self._client.watchdog
        return Answer(start, total, validator, self._stall_timeout, response, watchdog, length, framed)

    def _rest(self, response: requests.Response, offset: int, held: Validator) -> Answer | None:
        """Handle the answer to a resume; None (connection closed) if the whole file must be requested again."""
        if response.status_code == HTTPStatus.OK:
            length = content_length(response.headers)
            if held.total in (None, length):
                return self._whole(response)  # the server does not support ranges
            response.close()  # another object, or the rest of this one with the wrong status
            return None
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            response.close()
            return None
        if response.status_code != HTTPStatus.PARTIAL_CONTENT:
            raise refusal(response)
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        first, last = (int(match[1]), int(match[2])) if match else (-1, -1)
        total = int(match[3]) if match and match[3] != "*" else held.total
        now = validator_of(response.headers, total)
        # Some servers honour Range but ignore If-Range, so the answer itself has to prove that it is the same object.
        same = now.condition == held.condition and now.encoding == held.encoding
        if first != offset or last < first or not same or (held.total is not None and total != held.total):
            response.close()
            return None
        length = last - first + 1
        announced = content_length(response.headers)
        if (announced is not None and announced != length) or (total is not None and last >= total):
            response.close()
            return None
        return self._answer(response, offset, total, now, length)


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the length of the body in bytes; None if missing or invalid."""
    text = headers.get("Content-Length", "").strip()
    if headers.get("Transfer-Encoding", "").lower() == "chunked" or not text.isascii() or not text.isdigit():
        return None
    return int(text) if len(text) < 20 else None


def validator_of(headers: Mapping[str, str], total: int | None) -> Validator:
    """Return the validator of an answer; `total` is the object's size in bytes."""
    etag = headers.get("ETag", "").strip()
    strong = etag if len(etag) > 2 and etag.startswith('"') and etag.endswith('"') else ""
    modified = headers.get("Last-Modified", "").strip()
    encoding = headers.get("Content-Encoding", "").strip().lower()
    return Validator(
        etag=strong,
        last_modified=modified if not strong and _settled(modified, headers.get("Date", "")) else "",
        total=total,
        encoding="" if encoding == "identity" else encoding,
    )


def _settled(modified: str, date: str) -> bool:
    """Say whether a modification time proves identity: not within the same second (RFC 9110, 8.8.2.2)."""
    then, now = http_date(modified), http_date(date)
    return then is not None and (now is None or (now - then).total_seconds() >= 1)


def http_date(text: str) -> datetime | None:
    """Parse an HTTP date; None for anything else."""
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)


def retry_after(text: str, *, now: datetime | None = None) -> float | None:
    """Parse ``Retry-After``, seconds or a date, as seconds from now; None if invalid."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), 1e15)
    when = http_date(text)
    if when is None:
        return None
    return max(0.0, (when - (now or datetime.now(timezone.utc))).total_seconds())


def refusal(response: requests.Response) -> Broken:
    """Make the failure for an answer without a file."""
    status = response.status_code
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    wait = retry_after(response.headers.get("Retry-After", "")) if status in (429, 503) else None
    return Broken(f"answered {status} {phrase}".rstrip(), retry=status in RETRIED, retry_after=wait)
