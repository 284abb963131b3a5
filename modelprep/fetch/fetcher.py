"""Fetch assets: which sources are tried, in which order, and what is accepted.

:meth:`Fetcher.plan` decides, without the network; :meth:`Fetcher.fetch` downloads.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from threading import Event as Flag
from types import MappingProxyType
from typing import TYPE_CHECKING

from modelprep.errors import Interrupted, NeedsBringing, UsageError
from modelprep.events import Listener, silent
from modelprep.fetch import urls
from modelprep.fetch.failures import NotDownloaded, SourceFailed, Tried, Want, all_failed, by_hand, pinned, want_of
from modelprep.fetch.identity import AT_URL, FIRST, MEMBERS, digest_name, hashed, identity
from modelprep.fetch.landing import Landing, Then, Work, finish
from modelprep.fetch.members import check_members, take_member
from modelprep.fetch.partials import Landed, partial_of
from modelprep.fetch.policy import Fetched, Pin, Planned, Policy
from modelprep.fetch.progress import Task
from modelprep.fetch.sources import Candidate, candidates, check_mirrors
from modelprep.recipe.outside import is_downloaded
from modelprep.recipe.schema import Asset, Digests, Source
from modelprep.store import Blob, Store
from modelprep.url import Url

if TYPE_CHECKING:
    from modelprep.fetch.transport import Transport
    from modelprep.store.remote import RemoteCache

#: Name of the cache shared with other machines, as a source.
REMOTE = "remote cache"


class Fetcher:
    """Fetches assets into the store. Thread-safe.

    Parameters
    ----------
    store
        The store.
    policy
        The policy.
    lock
        Entries of ``modelprep.lock`` by their ``lock_key``; they pin assets that nothing else pins.
    listen
        Receives events; called from the thread that fetches.
    known
        Returns assets that a wrong file may turn out to be; called only for a wrong file.
    remote
        A cache shared with other machines, tried before all sources.
    twins
        Whether trees on the store's file system need copies of the files that they install.

    Raises
    ------
    UsageError
        The policy names a mirror folder that does not exist.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        *,
        lock: Mapping[str, Pin] = MappingProxyType({}),
        listen: Listener = silent,
        known: Callable[[], Iterable[Asset]] = tuple,
        remote: RemoteCache | None = None,
        twins: bool = False,
    ) -> None:
        check_mirrors(policy.mirrors)
        self._store = store
        self._policy = policy
        self._lock = lock
        self._listen = listen
        self._known = known
        self._remote = remote
        self._twins = twins
        self._stop = Flag()
        self.online = False  #: whether a host has answered
        self.landing = Landing(store)

    @cached_property
    def _transport(self) -> Transport:
        # HTTP libraries are not loaded if everything is cached.
        from modelprep.fetch.slots import Slots
        from modelprep.fetch.transport import Transport

        policy = self._policy
        slots = Slots(policy.per_host, policy.connections)
        return Transport(policy.connect_timeout, policy.stall_timeout, allow_private=policy.allow_private, slots=slots)

    @cached_property
    def _public_transport(self) -> Transport:
        from modelprep.fetch.transport import Transport

        return Transport(self._policy.connect_timeout, self._policy.stall_timeout, allow_private=False)

    def _transport_for(self, candidate: Candidate) -> Transport:
        """Return the transport of a candidate: downloaded recipes may not name private addresses, unless allowed."""
        from modelprep.fetch.addresses import allowed_by_environment

        own = candidate.kind == "mirror" or not is_downloaded(candidate.source.url.place)
        allowed = self._policy.allow_private is not None or allowed_by_environment() is not None
        return self._transport if own or allowed else self._public_transport

    def cancel(self) -> None:
        """Make every running fetch, in any thread, end soon with Interrupted; partial files are kept."""
        self._stop.set()

    # -- deciding ------------------------------------------------------------------------------------------------

    def plan(self, asset: Asset, names: tuple[str, ...] = (), *, resumes: bool = True) -> Planned:
        """Plan a fetch of `asset`: whether it is cached, its sources, the bytes to download. Uses no network.

        `names` are the paths where it is installed unchanged (:mod:`modelprep.fetch.plausible`). Without `resumes`, no
        partial download is looked for.
        """
        digests, size = pinned(asset, self._lock)
        here = self._find_by(digests) if digests else self._find(asset, self.want(asset))
        mirrors, archives, known = self._policy.mirrors, self._policy.archives, asset.digests or Digests(digests)
        places = partial(candidates, asset, mirrors=mirrors, archives=archives, pinned=known)
        if here is not None:
            return Planned(asset, here, places, 0, 0, names)
        resumable = self._resumable(asset, self.want(asset), places) if resumes and self._store.has_partials() else 0
        to_come, sources = size, asset.sources
        if sources and all(s.member for s in sources):
            here = self._archive_here(sources[0])
            to_come = 0 if here is not None else sources[0].size
        elif to_come is not None:
            to_come = max(0, to_come - resumable)
        return Planned(asset, None, places, to_come, resumable, names)

    def want(self, asset: Asset) -> Want:
        """Return the expected file of an asset: name, digests and size."""
        return want_of(asset, self._lock)

    def _find(self, asset: Asset, want: Want) -> Blob | None:
        if want.digests:
            return self._find_by(want.digests)
        kind = MEMBERS if asset.members else FIRST
        sha256 = self._store.alias(kind, identity(asset, want))
        return self._store.get(sha256) if sha256 is not None else None

    def _find_by(self, digests: Mapping[str, str]) -> Blob | None:
        if "sha256" in digests:
            return self._store.get(digests["sha256"])
        for algorithm, value in digests.items():
            sha256 = self._store.alias(algorithm, value)
            if sha256 is not None and (blob := self._store.get(sha256)) is not None:
                others = {a: v for a, v in digests.items() if a != algorithm}
                if not others or all(self._store.alias(a, v) == sha256 for a, v in others.items()):
                    return blob
        return None

    def _resumable(self, asset: Asset, want: Want, places: Callable[[], tuple[Candidate, ...]]) -> int:
        name = identity(asset, want)
        sizes = (
            partial_of(self._store, c.url, name).size for c in places() if not c.is_local and c.source.member is None
        )
        return max(sizes, default=0)

    def _archive_here(self, source: Source) -> Blob | None:
        if source.digests:
            return self._find_by(source.digests.values)
        sha256 = self._store.alias(AT_URL, hashed(source.url.key))
        return self._store.get(sha256) if sha256 is not None else None

    # -- doing ---------------------------------------------------------------------------------------------------

    def fetch(self, planned: Planned) -> Fetched:
        """Fetch an asset into the store, verified.

        If several threads or processes fetch the same asset, one downloads it and the others wait.

        Raises
        ------
        FetchError
            No source could be reached, or none had the file.
        DigestMismatch
            Sources delivered wrong files.
        StorageError
            The disk is full or not writable.
        NeedsBringing
            The asset has no source.
        Interrupted
            :meth:`cancel` was called.
        """
        return finish(self._store, self._work(planned))

    def begin(self, planned: Planned, then: Then) -> None:
        """Do what :meth:`fetch` does, the last part together with others; `then` hears its end from any thread."""
        self.landing.begin(self._work(planned), then, together=self._remote is None)  # to upload a blob takes time

    def _work(self, planned: Planned) -> Work:
        began = time.monotonic()
        asset = planned.asset
        want = self.want(asset)
        task = Task(self._listen, f"fetch:{asset.key}", want.name)
        if (blob := self._find(asset, want)) is not None:
            return self._from_store(asset, want, blob, began, task)
        if not asset.sources and not planned.candidates:
            raise NeedsBringing(
                f"'{asset.id}' has no public source", where=f"asset {asset.id}", hint=by_hand(asset, want)
            )
        task.tell("start", bytes=planned.bytes_to_come)
        name = identity(asset, want)
        waiting = lambda: task.tell("note", "another process is fetching it; waiting")  # noqa: E731
        try:
            with self._store.lock(name, on_wait=waiting, stop=self._stop.is_set):
                if (blob := self._find(asset, want)) is not None:
                    return self._from_store(asset, want, blob, began, task)
                if self._remote and (blob := _from_remote(self._remote, self._store, want, task)) is not None:
                    return self._from_store(asset, want, blob, began, task, REMOTE)
                fetched = yield from self._from_candidates(planned, want, name, began, task)
            if self._remote is not None:
                self._remote.save_blob(fetched.blob)
            return fetched
        except Exception as error:
            if not isinstance(error, Interrupted):  # reported once, for all tasks
                unreached = isinstance(error, NotDownloaded) and (error.offline or bool(error.hosts))
                task.tell("failed", str(error).partition("\n")[0], **({"no_network": True} if unreached else {}))
            raise

    def _from_store(self, asset: Asset, want: Want, blob: Blob, began: float, task: Task, server: str = "") -> Fetched:
        source = self._store.origin(blob.sha256) or "store"
        task.done(blob.size, "cached", source=source, server=server, bytes_fetched=0)
        digests = {**want.digests, "sha256": blob.sha256}
        seconds, first_use = time.monotonic() - began, want.first_use_of(asset)
        return Fetched(asset, blob, source, 0, seconds, digests, first_use, tried=(), server=server)

    def _from_candidates(self, planned: Planned, want: Want, name: str, began: float, task: Task) -> Work:
        asset = planned.asset
        tried, asked = list[Tried](), set[Url]()
        waiting = deque(planned.candidates)
        while waiting:
            candidate = waiting.popleft()
            if self._policy.offline and not candidate.is_local:
                tried.append(Tried(candidate.shown, "skipped (--offline)"))
                continue
            if candidate.warning:
                task.tell("warning", f"{candidate.source.url}: {candidate.warning}")
            task.tell("source", candidate.shown, source=candidate.shown, note=candidate.note)
            asked.add(candidate.url)
            try:
                if candidate.source.member is not None:
                    landed = self._from_archive(candidate, want, task)
                else:
                    twin = self._twins and bool(planned.names)
                    landed = self._transfer(candidate, want, name, task, twin=twin)
                self._check_unpinned(planned, landed, candidate, want)
            except SourceFailed as failure:
                tried.append(Tried(candidate.shown, failure.text, failure, candidate.host))
                self.online |= bool(candidate.host) and not failure.unreached
                pointer = failure.looks is not None and failure.looks.kind == "lfs pointer"
                media = candidate.lfs_content() if pointer else None
                if media is not None and media.url not in asked:
                    waiting.appendleft(media)
                continue
            self.online |= bool(candidate.host)
            blob = yield landed
            first = () if want.digests else ((MEMBERS if asset.members else FIRST, identity(asset, want)),)
            self._note(landed, blob, _origin(candidate, landed.server), *first)
            for other in planned.candidates if self._store.has_partials() else ():
                if not other.is_local and other.source.member is None:
                    partial_of(self._store, other.url, name).discard()
            source, server, transferred = candidate.shown, landed.server, landed.transferred
            task.done(blob.size, source, source=source, server=server, bytes_fetched=transferred)
            seconds, first_use = time.monotonic() - began, want.first_use_of(asset)
            failed = tuple(str(t) for t in tried)
            return Fetched(asset, blob, source, transferred, seconds, landed.digests, first_use, failed, server)
        offline, locked = self._policy.offline, asset.lock_key in self._lock and not asset.digests
        raise all_failed(asset, want, tried, offline=offline, locked=locked, known=self._known(), online=self.online)

    def _note(self, landed: Landed, blob: Blob, origin: str, *names: tuple[str, str]) -> None:
        for algorithm, value in (*landed.digests.items(), *names):
            if algorithm != "sha256":
                self._store.set_alias(algorithm, value, blob.sha256)
        self._store.set_origin(blob.sha256, origin)

    def _transfer(self, candidate: Candidate, want: Want, name: str, task: Task, *, twin: bool = False) -> Landed:
        if candidate.is_local:
            from modelprep.fetch.local import copy_in

            try:
                path = candidate.path
            except UsageError as error:
                raise SourceFailed(error.what) from error
            return copy_in(self._store, path, want, task, self._stop)
        from modelprep.fetch.download import Download

        through = self._transport_for(candidate)
        return Download(
            self._store, self._policy, through, candidate.url, want, name, task, self._stop, twin=twin
        ).run()

    def fetch_archive(self, planned: Planned) -> tuple[Source, Blob]:
        """Fetch the archive that contains an asset into the store, and check that the asset is in it.

        Returns the recipe's source of the archive (a cached one comes first) and the archive; raises as :meth:`fetch`.
        """
        asset = planned.asset
        want = self.want(asset)
        task = Task(self._listen, f"fetch:{asset.key}", want.name)
        places = [candidate for candidate in planned.candidates if candidate.source.member is not None]
        tried: list[Tried] = []
        for candidate in sorted(places, key=lambda each: self._archive_here(each.source) is None):
            if self._policy.offline and not candidate.is_local and self._archive_here(candidate.source) is None:
                tried.append(Tried(candidate.shown, "skipped (--offline)"))
                continue
            try:
                landed = self._from_archive(candidate, want, task)
            except SourceFailed as failure:
                tried.append(Tried(candidate.shown, failure.text, failure, candidate.host))
                continue
            landed.path.unlink(missing_ok=True)
            if (blob := self._archive_here(candidate.source)) is not None:
                task.done(blob.size, candidate.shown, source=candidate.shown, bytes_fetched=landed.transferred)
                return candidate.source, blob
        raise all_failed(asset, want, tried, offline=self._policy.offline, locked=False, known=self._known())

    # -- members of archives -------------------------------------------------------------------------------------

    def _from_archive(self, candidate: Candidate, want: Want, task: Task) -> Landed:
        archive, transferred, fresh = self._archive(candidate, task)
        try:
            landed = take_member(self._store, archive, candidate, want, task, self._policy.max_bytes)
        except SourceFailed:
            if fresh or candidate.source.digests:
                raise
            # An archive of an earlier run is known only by its URL; the file there may be correct by now.
            self._store.forget_alias(AT_URL, hashed(candidate.source.url.key))
            archive, transferred, _ = self._archive(candidate, task)
            landed = take_member(self._store, archive, candidate, want, task, self._policy.max_bytes)
        return Landed(landed.path, landed.digests, landed.size, transferred)

    def _archive(self, candidate: Candidate, task: Task) -> tuple[Blob, int, bool]:
        """Fetch an archive into the store: (blob, bytes transferred, whether it was transferred now)."""
        source = candidate.source
        # Its members are only as correct as the archive.
        if (blob := self._archive_here(source)) is not None and self._store.sound(blob.sha256) is not None:
            return blob, 0, False
        digests = dict(source.digests.values)
        name = digest_name(digests) or f"url-{hashed(source.url.key)}"
        with self._store.lock(name, stop=self._stop.is_set):
            if (blob := self._archive_here(source)) is not None:
                return blob, 0, False
            want = Want(urls.basename(source.url) or "archive", digests, source.size)
            if self._remote and (blob := _from_remote(self._remote, self._store, want, task)) is not None:
                return blob, 0, True
            landed = self._transfer(candidate, want, name, task)
            blob = self._store.land(landed.path, landed.digests["sha256"], landed.size)
            self._note(landed, blob, candidate.shown, (AT_URL, hashed(source.url.key)))
            if not candidate.is_local:
                partial_of(self._store, candidate.url, name).discard()
            if self._remote is not None:
                self._remote.save_blob(blob)
            return blob, landed.transferred, True

    def _check_unpinned(self, planned: Planned, landed: Landed, candidate: Candidate, want: Want) -> None:
        """Verify an archive of which only the members are pinned; check the type of unpinned files."""
        if want.digests:
            return
        if planned.asset.members:
            check_members(self._store, landed, planned.asset, candidate.shown, self._policy.max_bytes)
        else:
            from modelprep.fetch.plausible import check

            check(self._store, landed, (want.name, *planned.names), candidate.shown)


def _origin(candidate: Candidate, server: str) -> str:
    """Return the origin of a file for the store: the URL, and the host behind redirects."""
    return f"{candidate.shown} (delivered by {server})" if server not in ("", candidate.host) else candidate.shown


def _from_remote(remote: RemoteCache, store: Store, want: Want, task: Task) -> Blob | None:
    """Fetch a file from the shared cache into the store; None if its sha256 is unknown or it is not there."""
    sha256 = want.digests.get("sha256")
    if sha256 is None:
        return None
    blob = remote.blob(sha256, store, lambda done: task.progress(done, want.size))
    if blob is not None:
        store.set_origin(sha256, REMOTE)
    return blob
