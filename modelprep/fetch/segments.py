"""Download a large file from a slow server over several connections, in order.

Each connection takes the next free piece; a piece is kept in memory until all before it have been yielded, so that the
file on disk never has a hole, and an interrupted download is resumed as if there had been one connection. Only pinned
files are downloaded this way, since only the digest of the whole verifies the pieces.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from modelprep.errors import Interrupted
from modelprep.fetch.network_errors import Broken
from modelprep.fetch.slots import Slot
from modelprep.fetch.transport import Answer, Transport
from modelprep.store import Validator
from modelprep.url import Url

#: Bytes of one piece at most. A slow connection (20 MB/s) takes 0.4 s for it, which hides what a request costs.
PIECE = 8 << 20
#: The last pieces are smaller, down to an eighth, so that all connections end at the same time.
SMALLEST = 8
#: Maximum number of pieces in memory beyond one per connection.
AHEAD = 2
#: Seconds before further connections may join, and the minimum remaining time then.
WATCHED, WORTH = 0.1, 2.0
#: Seconds between looks at whether to stop.
_LOOK = 0.1


def pieces(
    transport: Transport, url: Url, answer: Answer, stop: Callable[[], bool], tell: Callable[[int], None]
) -> Iterator[bytes]:
    """Yield the body of an answer in order; if it is slow, over as many connections as are free.

    While waiting, a true `stop` raises Interrupted; `tell` receives the number of connections if there are several.
    Raises Broken if a request failed; the yielded bytes are correct.
    """
    total, at = answer.total, answer.start
    began = time.monotonic()
    for data in answer.chunks():
        yield data
        at += len(data)
        if total is None or total - at < 2 * PIECE or (passed := time.monotonic() - began) < WATCHED:
            continue
        if (total - at) * passed < WORTH * (at - answer.start):
            continue
        slots = []
        while (slot := transport.slots.spare(url.host)) is not None:
            slots.append(slot)
        if slots:
            break
    else:
        return
    answer.close()
    tell(len(slots) + 1)
    segments = _Segments(transport, url, answer.validator, at, total, stop)
    yield from segments.run(slots)
    if segments.at < total:  # the server does not support ranges, or returns wrong ones
        rest = transport.get(url, offset=segments.at, held=answer.validator)
        try:
            if rest.start != segments.at:
                raise Broken("serves another file than before", retry=True)
            yield from rest.chunks()
        finally:
            rest.close()


class _Segments:
    """The pieces of one file, and the threads that download them."""

    def __init__(
        self, transport: Transport, url: Url, held: Validator, at: int, total: int, stop: Callable[[], bool]
    ) -> None:
        #: Offset of the next byte to yield.
        self.at = at
        self._transport = transport
        self._url = url
        self._held = held
        self._total = total
        self._stop = stop
        self._next = at
        self._failed: list[tuple[int, int]] = []
        self._under_way = 0
        self._here: dict[int, bytes] = {}
        self._threads = 0
        self._window = 0
        self._ended = False
        self._error: Exception | None = None
        self._changed = threading.Condition()

    def run(self, slots: list[Slot]) -> Iterator[bytes]:
        """Yield all pieces; fewer if the server does not support ranges.

        The `slots` besides the own one are released.
        """
        own = Slot(self._url.host)
        self._threads = len(slots) + 1
        self._window = (self._threads + AHEAD) * PIECE
        for slot in (own, *slots):
            done = self._transport.slots.give_back if slot is not own else _close
            threading.Thread(target=self._work, args=(slot, done), daemon=True, name="modelprep-segment").start()
        try:
            while self.at < self._total and (data := self._wait()) is not None:
                yield data
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
        if self.at < self._total and self._error is not None:
            raise self._error

    def _wait(self) -> bytes | None:
        """Wait for the next piece in order; None if no thread will deliver it."""
        with self._changed:
            while self.at not in self._here:
                if not self._threads:
                    return None
                self._changed.wait(_LOOK)
                if self._stop():
                    raise Interrupted("stopped while fetching")
            data = self._here.pop(self.at)
            self.at += len(data)
            self._changed.notify_all()
            return data

    def _work(self, slot: Slot, done: Callable[[Slot], None]) -> None:
        try:
            while (bounds := self._take()) is not None:
                (first, last), data, error = bounds, None, None
                try:
                    data = self._transport.piece(slot, self._url, first, last, self._held)
                except Exception as caught:  # noqa: BLE001 - raised by `run`, unless another thread delivers the piece
                    error = caught
                with self._changed:
                    self._under_way -= 1
                    if data is not None:
                        self._here[first] = data
                    elif error is not None:
                        self._failed.append(bounds)
                        self._error = error
                    else:
                        self._ended = True
                    self._changed.notify_all()
                if data is None:
                    return
        finally:
            done(slot)
            with self._changed:
                self._threads -= 1
                self._changed.notify_all()

    def _take(self) -> tuple[int, int] | None:
        """Return the first and last offset of a piece that nobody has; None when there is nothing left to do."""
        with self._changed:
            while not self._ended:
                if self._failed:
                    bounds = self._failed.pop()
                elif self._next < min(self._total, self.at + self._window):
                    share = (self._total - self._next) // (2 * self._threads)
                    end = min(self._next + min(PIECE, max(PIECE // SMALLEST, share)), self._total)
                    bounds, self._next = (self._next, end - 1), end
                elif self._next >= self._total and not self._under_way:
                    return None
                else:
                    self._changed.wait(_LOOK)
                    continue
                self._under_way += 1
                return bounds
            return None


def _close(slot: Slot) -> None:
    for session in slot.sessions.values():
        session.close()
