"""The order of requests: one queue per host, a few hosts at a time, threads that can be stopped."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

from modelprep.audit.exchange import Exchange
from modelprep.audit.history import History
from modelprep.audit.politeness import Doors, Manners, Stopped
from modelprep.audit.probe import probe
from modelprep.audit.subjects import Place, media_place, question, unique
from modelprep.audit.verdicts import Finding
from modelprep.errors import Interrupted, UsageError
from modelprep.fetch import urls

Progress = Callable[[int, int], None]
_Told = tuple[Place, Finding | None, BaseException | None]


def crawl(
    places: Sequence[Place],
    history: History,
    manners: Manners = Manners(),  # noqa: B008 - frozen
    progress: Progress | None = None,
) -> tuple[tuple[Place, Finding], ...]:
    """Check every place, each URL once, several hosts in parallel with one request at a time each.

    If a raw GitHub link returns a Git LFS pointer, the URL of the content is checked at the end too. `progress`: called
    with (URLs done, URLs in all), in the calling thread. Raises Interrupted: Ctrl-C; running requests are abandoned.
    """
    asked = unique([place for place in places if askable(place)])
    answers: dict[tuple[object, ...], Finding] = {}
    onward: list[Place] = []
    for batch in (asked, onward):
        # The second batch (contents of LFS pointers) is known when the first is done.
        wanted = [place for place in unique(batch) if question(place) not in answers]
        answers.update(_ask_all(wanted, history, manners, progress))
        if batch is asked:
            pointers = [p for p in places if (f := answers.get(question(p))) is not None and f.verdict == "pointer"]
            onward.extend(media for place in pointers if (media := media_place(place)) is not None)
    return tuple((place, answers.get(question(place)) or unasked(place)) for place in (*places, *onward))


def askable(place: Place) -> bool:
    """Return whether a place can be checked: http or https, with a host."""
    return urls.mirror_path(place.candidate.url) is not None


def unasked(place: Place) -> Finding:
    """Return the finding of a place without a server: a local file, or not a valid URL."""
    candidate = place.candidate
    if not candidate.is_local:
        return Finding("skipped", "not a URL that can be checked")
    try:
        size = candidate.path.stat().st_size
    except (UsageError, OSError, ValueError):
        return Finding("dead", "there is no such file")
    return Finding("alive", "a local file", size=size)


def _ask_all(
    places: Sequence[Place], history: History, manners: Manners, progress: Progress | None
) -> dict[tuple[object, ...], Finding]:
    stop = threading.Event()
    exchange = Exchange(manners, Doors(manners.pause, stop))
    lanes: dict[str, list[Place]] = {}
    for place in places:
        lanes.setdefault(place.host, []).append(place)
    # The longest queue first: it decides the total time.
    waiting = deque(sorted(lanes.values(), key=len, reverse=True))
    told: queue.SimpleQueue[_Told] = queue.SimpleQueue()

    def work() -> None:
        while not stop.is_set():
            try:
                lane = waiting.popleft()
            except IndexError:
                return
            try:
                for place in lane:
                    told.put((place, probe(exchange, manners, place, history.of(place), stop), None))
            except Stopped:
                return
            except Exception as error:  # noqa: BLE001 - raised in the calling thread
                told.put((place, None, error))

    # Daemons: a server that stops answering must not delay Ctrl-C.
    for _ in range(min(manners.hosts_at_once, len(lanes))):
        threading.Thread(target=work, daemon=True, name="audit").start()
    found: dict[tuple[object, ...], Finding] = {}
    try:
        while len(found) < len(places):
            place, finding, error = told.get()
            if finding is None:
                assert error is not None
                raise error
            found[question(place)] = finding
            if progress is not None:
                progress(len(found), len(places))
    except KeyboardInterrupt as caught:
        raise Interrupted.by(caught) from None
    finally:
        stop.set()
    return found
