"""One thread turns finished downloads into blobs, all waiting ones in a batch, which is synchronized together.

Meanwhile the transfers continue with the next file.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence

from modelprep.fetch.partials import Landed
from modelprep.fetch.policy import Fetched
from modelprep.store import Blob, Store

#: The work of an asset: it yields a finished file at most once, receives its blob, and returns what was fetched.
Work = Generator[Landed, Blob, Fetched]
#: Receives the outcome.
Then = Callable[["Fetched | BaseException"], None]
#: Maximum number of waiting finished files, each with the lock of its asset.
MOST = 64
#: Idle seconds after which the thread ends.
_IDLE = 20.0


def finish(store: Store, work: Work) -> Fetched:
    """Do all the work of an asset in this thread."""
    try:
        landed = next(work)
    except StopIteration as ended:
        fetched: Fetched = ended.value
        return fetched
    [how] = _land(store, [(work, landed)])
    if isinstance(how, BaseException):
        raise how
    return how


class Landing:
    """Stores finished files of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: queue.Queue[tuple[Work, Landed, Then]] = queue.Queue(MOST)
        self._mutex = threading.RLock()
        self._thread: threading.Thread | None = None

    def begin(self, work: Work, then: Then, *, together: bool) -> None:
        """Transfer a file in this thread; the other one stores it, `together` with others, and reports the outcome."""
        try:
            landed = next(work)
        except StopIteration as ended:
            then(ended.value)
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for it
            then(error)
        else:
            if together:
                self._waiting.put((work, landed, then))
                self._start()
            else:
                then(_land(self._store, [(work, landed)])[0])

    def _start(self) -> None:
        with self._mutex:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="modelprep-landing", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the system has no more threads
                    self._take(wait=False)
                else:
                    self._thread = thread  # only now: until it has started it counts as not alive

    def ensure_alive(self) -> None:
        """Raise MemoryError if the thread has died, since its work would never finish."""
        if (thread := self._thread) is not None and not thread.is_alive() and thread is self._thread:
            raise MemoryError

    def wait(self, limit: float) -> None:
        """Wait until all are done, or until `limit` (of the monotonic clock)."""
        while self._waiting.unfinished_tasks and time.monotonic() < limit:
            time.sleep(0.01)

    def _run(self) -> None:
        while self._take(wait=True):
            pass

    def _take(self, *, wait: bool) -> bool:
        try:
            batch = [self._waiting.get(wait, timeout=_IDLE)]
        except queue.Empty:
            with self._mutex:
                if idle := self._waiting.empty():
                    self._thread = None
                return not idle
        with contextlib.suppress(queue.Empty):
            while True:
                batch.append(self._waiting.get_nowait())
        for (_, _, then), how in zip(batch, _land(self._store, [each[:2] for each in batch]), strict=True):
            then(how)
            self._waiting.task_done()
        return True


def _land(store: Store, batch: Sequence[tuple[Work, Landed]]) -> list[Fetched | BaseException]:
    with store.recording():
        try:
            found: list[Blob | BaseException] = [
                *store.land_all([(landed.path, landed.digests["sha256"], landed.size) for _, landed in batch])
            ]
        except BaseException as error:  # noqa: BLE001 - every work hears of it
            found = [error] * len(batch)
        return [_end(work, blob) for (work, _), blob in zip(batch, found, strict=True)]


def _end(work: Work, blob: Blob | BaseException) -> Fetched | BaseException:
    try:
        if isinstance(blob, BaseException):
            work.throw(blob)
        else:
            work.send(blob)
    except StopIteration as ended:
        fetched: Fetched = ended.value
        return fetched
    except BaseException as error:  # noqa: BLE001 - handed to whoever waits for it
        return error
    raise AssertionError("an asset's work yields one file")
