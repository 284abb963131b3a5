"""Check one URL: by HEAD if the headers suffice, else by the first bytes."""

from __future__ import annotations

import threading
from dataclasses import replace

from modelprep.audit import evidence
from modelprep.audit.exchange import Answered, Exchange
from modelprep.audit.history import Remembered
from modelprep.audit.politeness import Manners, Stopped
from modelprep.audit.subjects import Place
from modelprep.audit.verdicts import Finding, Verdict
from modelprep.fetch import encoded, share
from modelprep.fetch.failures import Want
from modelprep.fetch.network_errors import Broken
from modelprep.fetch.sniff import describe_bytes, is_lfs_pointer, is_web_page
from modelprep.store.disk import human
from modelprep.url import Url

#: Files up to this size in bytes are downloaded, to compute their digest.
SMALL = 64 * 1024
#: First bytes of larger files, for their type.
SNIFF = 4096
#: Content types that are trusted for files of another kind.
_OF_FILES = ("application/octet-stream", "binary/octet-stream", "application/x-", "application/zip", "image/")


def probe(
    exchange: Exchange, manners: Manners, place: Place, before: Remembered | None, stop: threading.Event
) -> Finding:
    """Check one URL, with retries if they make sense, and return the verdict.

    `before`: its history. `stop`: set to end the audit. Raises Stopped: `stop` was set.
    """
    pause = manners.backoff
    for attempt in range(1, manners.attempts + 1):
        try:
            return _judge(exchange, place, before)
        except Broken as broken:
            last = attempt >= min(manners.attempts, broken.attempts or manners.attempts) or not broken.retry
            wait = max(pause, broken.retry_after or 0.0)
            if last or wait > max(pause, manners.longest_pause):
                return _failure(broken, attempt)
        if stop.wait(wait):
            raise Stopped
        pause *= 2
    raise AssertionError("attempts is at least one")


def _failure(broken: Broken, attempts: int) -> Finding:
    times = f" ({attempts} attempts)" if attempts > 1 else ""
    status = _status_of(broken)
    text = f"{broken.text}{times}"
    if "certificate" in broken.text and not broken.answered:
        return Finding("certificate", text)
    if status == 429 or (status == 503 and broken.retry_after is not None):
        return Finding("unclear", text, status=status)
    return Finding("dead", text, status=status, unreached=broken.unreached)


def _status_of(broken: Broken) -> int | None:
    word = broken.text.removeprefix("answered ")[:3]
    return int(word) if broken.text.startswith("answered ") and word.isascii() and word.isdigit() else None


def _judge(exchange: Exchange, place: Place, before: Remembered | None) -> Finding:
    """Ask once. Raises Broken: the URL does not serve the file."""
    url, want = place.candidate.url, place.want
    answer = _ask_headers(exchange, url)
    difference = ""
    if answer is not None:
        proof, difference = evidence.compare(want.digests, answer.headers, encoded=bool(answer.encoding))
        # Look at the received bytes, even if the headers say already that it is another file.
        if not difference and _headers_suffice(answer, want, proof):
            return _alive(answer, proof or "size", before)
    size = want.size if want.size is not None else answer.size if answer is not None else None
    count = SMALL if want.digests and size is not None and size <= SMALL else SNIFF
    answer = exchange.ask(url, count)
    if share.asks(answer.url) and is_web_page(_plain(answer)):
        # A page that asks for confirmation of a large download: follow its form.
        page = exchange.ask(answer.url, share.PAGE_LIMIT)
        onward = share.form_target(page.url, page.head)
        if onward is not None and onward != url and share.asks(onward):
            answer = exchange.ask(onward, count)
    return _by_bytes(answer, want, before, difference)


def _ask_headers(exchange: Exchange, url: Url) -> Answered | None:
    """Send HEAD; return None if its refusal says nothing about the file.

    Servers and signed URLs refuse HEAD with almost any status: only statuses about the whole server, or of a file that
    is gone permanently, count.
    """
    try:
        return exchange.ask(url)
    except Broken as broken:
        # A broken or stalled connection may be a server without HEAD; an unreachable host is not tried again.
        unreachable = not broken.answered and (broken.attempts is not None or not broken.retry)
        if unreachable or _status_of(broken) in (410, 429):
            raise
        return None


def _headers_suffice(answer: Answered, want: Want, proof: str) -> bool:
    """Return whether the headers alone prove that the file exists."""
    agrees = want.size is not None and answer.size == want.size
    if not (proof or agrees) or answer.encoding or not answer.content_type.startswith(_OF_FILES):
        return False
    # The digest of a small file can be computed.
    return bool(proof) or not (want.digests and want.size is not None and want.size <= SMALL)


def _plain(answer: Answered) -> bytes:
    return encoded.decode_head(answer.head, answer.encoding)


def _by_bytes(answer: Answered, want: Want, before: Remembered | None, told: str) -> Finding:
    """Judge by the first bytes, the size and the server's headers.

    `told`: the difference by the headers of a HEAD, which for a part of a file may be missing or the part's.
    """
    plain = _plain(answer)
    size = len(plain) if answer.whole and not answer.encoding else answer.size
    looks = describe_bytes(plain, size=size, expected_size=want.size)

    if answer.whole and want.digests and not answer.encoding:
        proof, difference = evidence.of_whole(want.digests, plain)
    else:
        proof, difference = evidence.compare(want.digests, answer.headers, encoded=bool(answer.encoding))
    if proof:
        return _alive(answer, proof, before, size=size)
    if is_lfs_pointer(plain) and want.size != size:
        same = " of the very file" if looks.lfs_oid == want.digests.get("sha256", "-") else ""
        other = "sha256" in want.digests and not same
        text = f"serves {looks}{same or (', of another file than pinned' if other else '')}"
        return _finding(answer, "pointer", text, size=size, lfs_oid=looks.lfs_oid)
    wrong_size = want.size is not None and size is not None and size != want.size
    page = is_web_page(plain) and not want.may_be_page
    if page or ((wrong_size or want.size is None) and want.replaced_by(looks)):
        return _finding(answer, "page", f"serves {looks}", size=size)
    if wrong_size and not answer.encoding:
        assert want.size is not None
        return _finding(answer, "size", f"serves {looks}; {human(want.size)} are pinned", size=size)
    if difference := difference or told:
        return _finding(answer, "changed", f"serves another file: {difference}", size=size)
    agrees = "size" if want.size is not None and size == want.size else ""
    return _alive(answer, agrees, before, size=size, looks=str(looks))


def _finding(
    answer: Answered, verdict: Verdict, detail: str, *, size: int | None, proof: str = "", lfs_oid: str = ""
) -> Finding:
    return Finding(
        verdict, detail, answer.moved_to, size, answer.etag, answer.last_modified, proof, answer.status, lfs_oid
    )


def _alive(
    answer: Answered, proof: str, before: Remembered | None, *, size: int | None = None, looks: str = ""
) -> Finding:
    """Return the finding for what seems to be the file; without a pin, compare it with the last audit."""
    size = size if size is not None else answer.size
    detail = f"serves {looks}" if looks and not proof else ""
    made = _finding(answer, "moved" if answer.moved_to else "alive", detail, size=size, proof=proof)
    if before is None or (proof and proof != "size"):
        return made
    difference = before.difference(size=size, etag=answer.etag, last_modified=answer.last_modified)
    if not difference:
        return made
    since = f"since {before.worked_on} {difference}"
    if proof:
        # The size is right, and servers change their validators when files move between disks: only a hint.
        return replace(made, detail=since)
    return replace(made, verdict="changed", detail=since)
