"""Download one URL into the store, with retries, resume and early rejection of wrong content.

Raises :class:`SourceFailed` when this URL cannot deliver; trying other sources is the fetcher's job.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path
from threading import Event as Flag

from modelprep.errors import Interrupted, StorageError
from modelprep.fetch import encoded, segments, share
from modelprep.fetch.digests import MultiHash, all_digests, digests_of, first_difference, hash_path
from modelprep.fetch.failures import SourceFailed, Want, content_failure
from modelprep.fetch.network_errors import Broken
from modelprep.fetch.partials import Landed, boot_id, may_continue, partial_of
from modelprep.fetch.pieces import first_bytes, up_to
from modelprep.fetch.plausible import ends_itself
from modelprep.fetch.policy import Policy
from modelprep.fetch.progress import Task
from modelprep.fetch.sniff import HEAD, describe, describe_bytes, is_lfs_pointer, is_web_page
from modelprep.fetch.transport import Answer, Transport
from modelprep.formats.archive.decompress import MAX_RATIO, RATIO_FLOOR
from modelprep.store import Store, Validator
from modelprep.store.copying import WORTH_A_THREAD, BackgroundHash, Hashes
from modelprep.store.disk import ensure_free, human, storage_error, write_all
from modelprep.store.syncing import EarlyWriting
from modelprep.store.twin import Twin
from modelprep.url import Url

#: An attempt that gained this many bytes resets the count of attempts.
GAIN = 64 * 1024
#: Maximum number of attempts per URL, whatever they gain.
MOST_ATTEMPTS = 200
#: Minimum size in bytes of a file of which a second copy is written during the download.
TWIN = 64 << 20
#: Bytes that are inspected before anything is written.
SNIFF = 1024


class Download:
    """One file from one URL.

    The caller holds `lock`, which with the URL names the partial; setting `stop` stops the download. With `twin` a
    large file is written twice, since a tree will need a copy of it.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy,
        transport: Transport,
        url: Url,
        want: Want,
        lock: str,
        task: Task,
        stop: Flag,
        *,
        twin: bool = False,
    ) -> None:
        self._store = store
        self._policy = policy
        self._transport = transport
        self._url = url
        self._ask = url
        self._want = want
        self._task = task
        self._stop = stop
        self._partial = partial_of(store, url, lock)
        #: Where the bytes are, of a file that comes in one piece not in the partial.
        self._path = self._partial.path
        self._hashes: MultiHash | None = None
        self._transferred = 0
        self._resumed = False
        self._framed, self._server = True, ""
        self._ranged = False
        self._plain = False
        #: Maximum number of connections used at once; 0 if there must not be more than one.
        self._connections = 1
        self._wants_twin = twin
        self._twin: Twin | None = None

    def run(self) -> Landed:
        """Fetch it, or raise SourceFailed, StorageError or (the partial file is kept) Interrupted."""
        failures, best, restarted = 0, self._partial.size, False
        before = best
        for attempt in range(1, MOST_ATTEMPTS + 1):
            before = self._partial.size if attempt > 1 else before
            try:
                with self._transport.connected(self._url, self._stop.is_set):
                    landed = self._attempt()
            except Broken as broken:
                if self._connections > 1:  # after a failure of several connections one connection resumes
                    self._connections = 0
                    continue
                gained = (now := self._partial.size) > before
                # After any failure to resume, request the whole file once.
                self._plain = self._ranged and broken.connected and not gained
                if self._plain and not broken.retry:
                    continue
                failures += 1
                if now >= best + GAIN:
                    failures, best = 1, now
                limit = min(self._policy.attempts, broken.attempts or MOST_ATTEMPTS)
                over = not broken.retry or failures >= limit
                if (over and not self._plain) or attempt == MOST_ATTEMPTS:
                    times = f" ({attempt} attempts)" if attempt > 1 else ""
                    raise SourceFailed(f"{broken.text}{times}", unreached=broken.unreached) from broken
                self._pause(failures, broken)
                continue
            except share.Confirm as confirm:
                self._ask = confirm.url
                continue
            difference = first_difference(self._want.digests, landed.digests)
            if difference is None:
                if self._twin is not None:
                    self._store.keep_twin(landed.digests["sha256"], self._twin.path)
                return landed
            if (self._resumed or self._connections > 1) and not restarted:
                # The earlier bytes may be another object's, or the server's ranges may be wrong: download it all once
                # more over one connection before judging it.
                how = "download over several connections" if self._connections > 1 else "resumed download"
                restarted, self._resumed, self._connections = True, False, 0
                self._forget()
                self._task.tell("retry", f"the {how} has the wrong checksum; starting again from zero")
                continue
            raise self._bad(landed, difference)
        raise SourceFailed("too many attempts")

    def _attempt(self) -> Landed:
        self._path, have = self._partial.path, self._partial.size
        held = self._partial.validator if have and self._partial.url == self._url.key else None
        pinned = bool(self._want.digests)
        have = have if may_continue(held, pinned=pinned) and not self._plain else 0
        self._ranged, self._plain = have > 0, False
        if held is not None and have and held.total == have:
            self._resumed = True
            return self._finish(held)  # killed between the last byte and the rename
        answer = self._transport.get(self._ask, offset=have, held=held if have else None, pinned=pinned)
        self._framed, self._server = answer.framed, answer.server
        try:
            self._receive(answer, answer.start)
        finally:
            answer.close()
        return self._finish(answer.validator)

    def _receive(self, answer: Answer, start: int) -> None:
        pieces = self._pieces(answer)
        encoding = answer.validator.encoding
        head = b""
        if start == 0:
            if encoding not in encoded.KNOWN:
                raise SourceFailed(f"sends the file in an encoding that was not requested ({encoding[:40]})")
            total = None if encoding else answer.total
            wrong_size = None not in (total, self._want.size) and total != self._want.size
            head, pieces = first_bytes(pieces, HEAD if wrong_size else SNIFF, answer.total)
            self._transferred += len(head)
            self._judge_head(head, answer, total, pieces, wrong_size=wrong_size)
            if answer.total is not None and answer.total > self._policy.max_bytes:
                raise SourceFailed(f"{human(answer.total)} are more than the limit")
            self._hashes = MultiHash(self._want.digests, size=total if total is not None else self._want.size)
            if len(head) == answer.total:
                self._write_whole(head)
                return
            self._restart(answer)
        else:
            self._resumed = True
            self._load_hashes(start)
        to_come = answer.total - start if answer.total is not None else 0
        ensure_free(self._store.root, to_come, what=self._want.name)
        self._write(answer, pieces, head, start)

    def _pieces(self, answer: Answer) -> Iterator[bytes]:
        validator = answer.validator
        if not self._want.digests or not validator.condition or validator.encoding or not self._connections:
            return answer.chunks()

        def tell(count: int) -> None:
            self._connections = max(count, self._connections)
            self._task.tell("note", f"slow server; using {count} connections", connections=count)

        return segments.pieces(self._transport, self._ask, answer, self._stop.is_set, tell)

    def _judge_head(
        self, head: bytes, answer: Answer, total: int | None, pieces: Iterator[bytes], *, wrong_size: bool
    ) -> None:
        """Reject by the first bytes and the announced size, before anything is written or the rest is transferred."""
        plain = encoded.decode_head(head, answer.validator.encoding)
        page = is_web_page(plain) and not self._want.may_be_page
        if page and self._ask == self._url:
            rest = plain + b"".join(up_to(pieces, share.PAGE_LIMIT - len(plain))) if share.asks(self._ask) else plain
            share.confirm(self._ask, rest)
        if page or (is_lfs_pointer(plain) and len(plain) < 1024 and self._want.size != len(plain)):
            looks = describe_bytes(plain, size=total)
            raise SourceFailed(f"returned {looks} instead of the file", looks=looks)
        if wrong_size:
            looks = describe_bytes(plain, size=total, expected_size=self._want.size)
            got = human(total) if total is not None else ""
            raise SourceFailed(
                f"returned {looks} instead of the expected file",
                mismatch=not self._want.replaced_by(looks),
                looks=looks,
                got=got,
                digests=digests_of(plain) if total == len(plain) else {},
                size=total,
            )

    def _write_whole(self, data: bytes) -> None:
        """Write a file that came in one piece, of which there is nothing to resume."""
        assert self._hashes is not None
        self._path, self._resumed = self._store.new_file(), False
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                write_all(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._disk_error(error, self._path, len(data)) from error
        self._hashes.update(data)
        self._task.progress(len(data), len(data))

    def _restart(self, answer: Answer) -> None:
        self._partial.discard()
        self._resumed = False
        validator = answer.validator
        self._partial.note(
            self._url.key,
            Validator(validator.etag, validator.last_modified, answer.total, validator.encoding, boot_id()),
        )

    def _load_hashes(self, start: int) -> None:
        """Hash exactly what is on disk: use the previous attempt's state, else read it once."""
        if self._hashes is not None and self._hashes.size == start:
            return
        held = self._partial.validator
        plain_total = held.total if held is not None and not held.encoding else None
        hashes = MultiHash(self._want.digests, size=plain_total if plain_total is not None else self._want.size)
        with self._partial.path.open("rb") as file:
            while data := file.read(1 << 20):
                hashes.update(data)
        if hashes.size != start:
            raise Broken("another process changed the partial file", retry=True)
        self._hashes = hashes

    def _write(self, answer: Answer, pieces: Iterator[bytes], head: bytes, start: int) -> None:
        assert self._hashes is not None
        limit = self._want.size if self._want.size is not None and not answer.validator.encoding else None
        limit = self._policy.max_bytes if limit is None else limit
        total = answer.total if answer.total is not None else self._want.size
        size = start
        path = self._partial.path
        self._drop_twin()  # of an earlier attempt
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        except OSError as error:
            raise storage_error(error, path) from error
        hashes = self._with_twin(total) if start == 0 and not answer.validator.encoding else self._hashes
        small = total is not None and total - start < WORTH_A_THREAD
        hashing = contextlib.nullcontext(hashes) if small else BackgroundHash(hashes)
        with self._twin or contextlib.nullcontext(), os.fdopen(descriptor, "wb", buffering=0), hashing as background:
            os.ftruncate(descriptor, start)
            os.lseek(descriptor, start, os.SEEK_SET)
            piece, early = head or next(pieces, b""), EarlyWriting(descriptor, start)
            while piece:
                if size + len(piece) > limit:
                    self._too_long(size + len(piece))
                try:
                    write_all(descriptor, piece)
                except OSError as error:
                    raise self._disk_error(error, path, (total or size + len(piece)) - size) from error
                background.update(piece)
                size += len(piece)
                early.upto(size)
                if piece is not head:
                    self._transferred += len(piece)
                self._task.progress(size, total)
                if self._stop.is_set():
                    raise Interrupted(f"stopped while fetching {self._want.name}")
                piece = next(pieces, b"")

    def _with_twin(self, total: int | None) -> Hashes:
        """Return the hashes, which also write a second copy if it is needed."""
        assert self._hashes is not None
        if self._wants_twin and (total or 0) >= TWIN:
            with contextlib.suppress(OSError, StorageError):
                self._twin = Twin(self._hashes, self._store.new_file())
        return self._twin or self._hashes

    def _drop_twin(self) -> None:
        if self._twin is not None:
            self._twin.drop()
            self._twin = None

    def _too_long(self, size: int) -> None:
        looks = describe(self._partial.path)
        self._forget()
        text = f"more than the expected {human(self._want.size)}" if self._want.size else f"over {human(size)}"
        raise SourceFailed(
            f"returned {text}", mismatch=self._want.size is not None, looks=looks, got=f"over {human(size)}"
        )

    def _disk_error(self, error: OSError, path: Path, needed: int) -> Exception:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            # The partial file is useless on a full disk, and other downloads may need the space.
            failure = storage_error(error, path, needed=needed)
            self._forget()
            return failure
        return storage_error(error, path, needed=needed)

    def _finish(self, validator: Validator) -> Landed:
        size = self._path.stat().st_size
        self._load_hashes(size)
        assert self._hashes is not None
        digests = self._hashes.digests()
        if validator.encoding:
            return self._decoded(validator.encoding, digests, size)
        if set(self._want.digests) - set(digests):  # git's blob id of an unknown size
            digests, _ = hash_path(self._path, self._want.digests)
        if self._want.size is not None and size < self._want.size and not self._framed:
            self._forget()
            raise Broken(f"the connection ended {size} bytes into {self._want.size}", retry=True)
        if not self._framed and not self._want.digests and not ends_itself(self._path):
            self._forget()
            raise SourceFailed("sent no length, so a file without a checksum may be incomplete")
        return Landed(self._path, digests, size, self._transferred, self._server)

    def _decoded(self, encoding: str, digests: dict[str, str], size: int) -> Landed:
        """Decode a Content-Encoding that was not requested, unless it is the file's own compression."""
        own = self._want.name.lower().endswith((".gz", ".tgz"))
        as_sent = first_difference(self._want.digests, digests) is None if self._want.digests else own
        if as_sent:
            return Landed(self._path, digests, size, self._transferred, self._server)
        plain = self._store.new_file()
        cap = self._want.size
        if cap is None:
            cap = min(self._policy.max_bytes, max(RATIO_FLOOR, MAX_RATIO * size))
        try:
            encoded.decode_file(self._path, plain, encoding, max_bytes=cap)
        except encoded.BadEncoding as error:
            self._forget()
            raise SourceFailed(str(error)) from error
        self._forget()
        digests, size = hash_path(plain, self._want.digests)
        return Landed(plain, digests, size, self._transferred, self._server)

    def _bad(self, landed: Landed, difference: tuple[str, str, str]) -> SourceFailed:
        algorithm, wanted, _ = difference
        looks = describe(landed.path, expected_size=self._want.size)
        digests = all_digests(landed.path, landed.digests)
        failed = content_failure(self._want, looks, landed.size, difference, digests)
        note = {
            "what": "a download with the wrong content",
            "url": str(self._url),
            "name": self._want.name,
            "expected": f"{algorithm} {wanted}",
            "got": failed.got,
            "looks_like": str(looks),
        }
        self._store.quarantine(landed.path, note)
        self._forget()
        return failed

    def _forget(self) -> None:
        self._hashes = None
        self._drop_twin()
        self._partial.discard()
        self._path.unlink(missing_ok=True)

    def _pause(self, failures: int, broken: Broken) -> None:
        seconds = min(self._policy.backoff * 2 ** (failures - 1), self._policy.longest_pause)
        seconds *= random.uniform(0.75, 1.25)
        if broken.retry_after is not None:
            if broken.retry_after > self._policy.longest_pause:
                raise SourceFailed(f"{broken.text}; the server asks to wait {broken.retry_after:.0f} s") from broken
            seconds = max(seconds, broken.retry_after) if broken.retry_after else seconds
        more = {"no_network": True} if broken.unreached else {}
        text = f"{broken.text}; retrying in {seconds:.1f} s"
        self._task.tell("retry", text, seconds=round(seconds, 2), **more)
        if self._stop.wait(seconds):
            raise Interrupted(f"stopped while fetching {self._want.name}")
