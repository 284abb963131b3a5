"""Contents of a mirror: for every asset the one file from which an offline fetch can make it.

An asset with a plain source is stored under the first such URL, where the fetcher finds it whatever else the recipe
lists. One that only comes inside archives is stored as its archive (the cached one, else the first that can be
downloaded), which all members of that archive share. ``file:`` sources are beside their recipe and need no mirror.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from modelprep.deliver import mirror
from modelprep.deliver.mirror import Damage, MirrorFile
from modelprep.errors import CorruptBlob, Interrupted, ModelprepError, RecipeError
from modelprep.events import Event, Listener, silent
from modelprep.fetch import urls
from modelprep.fetch.sources import places_in_mirror
from modelprep.pipeline.plan.request import Plan, PlannedAsset
from modelprep.pipeline.run.errors import as_error
from modelprep.pipeline.run.report import worst
from modelprep.pipeline.run.restore import fetcher_of
from modelprep.recipe.schema import Asset, Source
from modelprep.store import Blob
from modelprep.url import Url


@dataclass(frozen=True)
class Mirrored:
    """What was done.

    Parameters
    ----------
    written, kept
        Files by path: new ones, and those that were up to date.
    left_out
        Asset -> why it is not in the mirror (restricted rights, no public source).
    failed
        Asset or demo -> what went wrong.
    bytes_written
        Bytes copied into the mirror.
    """

    folder: Path
    written: tuple[MirrorFile, ...] = ()
    kept: tuple[MirrorFile, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, ModelprepError] = field(default_factory=dict)
    bytes_written: int = 0

    def __repr__(self) -> str:
        counts = f"{len(self.written)} written, {len(self.kept)} kept, {len(self.failed)} failed"
        return f"<Mirrored {self.folder}: {counts}>"

    @property
    def exit_code(self) -> int:
        """The worst exit status of the failures, else 0."""
        return worst(error.exit_code for error in self.failed.values())


def unique_name(url: Url, sha256: str) -> str:
    """Return a unique name for BitBake's flat folder, as used by exported recipes."""
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "_", urls.basename(url)).lstrip(".") or "file"
    return f"{sha256[:12]}-{plain}"


def make_mirror(
    plan: Plan, folder: Path, *, include_restricted: bool = False, bitbake: bool = False, listen: Listener = silent
) -> Mirrored:
    """Write the files of a plan's assets into a mirror, fetching those that are not cached: :func:`modelprep.mirror`.

    A failed asset does not stop the others. `bitbake`: one flat folder with the names and stamps of BitBake's DL_DIR.
    """
    with plan.store.in_use():
        return _Making(plan, folder, include_restricted, bitbake, listen).go()


@dataclass
class _Making:
    plan: Plan
    folder: Path
    include_restricted: bool
    bitbake: bool
    listen: Listener

    def go(self) -> Mirrored:
        layout = "flat" if self.bitbake else "tree"
        self.index = mirror.read_index(self.folder, layout)
        mirror.check_layout(self.folder, self.index, layout)
        self.fetcher = fetcher_of(self.plan, self.listen)
        left_out: dict[str, str] = {}
        failed: dict[str, ModelprepError] = {
            demo.recipe.name: demo.problem for demo in self.plan.demos if isinstance(demo.problem, RecipeError)
        }
        kept: dict[str, MirrorFile] = {}
        missing: list[PlannedAsset] = []
        for planned in self.plan.assets.values():
            asset = planned.asset
            if asset.restricted and not self.include_restricted:
                left_out[asset.key] = f"restricted ({asset.licence.name if asset.licence else 'no licence stated'})"
            elif not asset.sources:
                left_out[asset.key] = "no public source: users supply their own file"
            elif not any(_place(source) for source in asset.sources):
                left_out[asset.key] = "is beside its recipe"
            elif file := mirror.serving(self.folder, self.index, planned.identity, self.plan.store):
                kept[file.path] = file
            else:
                missing.append(planned)
        found = self._fetch(missing, failed)
        files = [self._describe(planned, source, blob) for planned, source, blob in found]
        if self.bitbake:
            mirror.check_names([*self.index.files.values(), *files])
        written: dict[str, MirrorFile] = {}
        for file, (planned, _, blob) in zip(files, found, strict=True):
            (written if self._put_sound(planned, file, blob) else kept)[file.path] = file
        self.index = mirror.record(self.folder, layout, files)
        kept = {path: self.index.files[path] for path in kept if path not in written}
        written = {path: self.index.files[path] for path in written}
        return Mirrored(
            self.folder,
            tuple(written[path] for path in sorted(written)),
            tuple(kept[path] for path in sorted(kept)),
            left_out,
            failed,
            sum(file.size for file in written.values()),
        )

    def _fetch(
        self, missing: list[PlannedAsset], failed: dict[str, ModelprepError]
    ) -> list[tuple[PlannedAsset, Source, Blob]]:
        found = []
        pool = ThreadPoolExecutor(self.plan.request.policy.connections)
        try:
            futures = {pool.submit(self._obtain, planned.asset): planned for planned in missing}
            for future in as_completed(futures):
                planned = futures[future]
                try:
                    source, blob = future.result()
                except Interrupted:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever it is, the others continue
                    failed[planned.asset.key] = as_error(error)
                else:
                    found.append((planned, source, blob))
        except BaseException:
            self.fetcher.cancel()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return sorted(found, key=lambda each: each[0].identity)

    def _obtain(self, asset: Asset) -> tuple[Source, Blob]:
        planned = self.fetcher.plan(asset)
        bare = next((source for source in asset.sources if source.member is None and _place(source)), None)
        if bare is None:
            return self.fetcher.fetch_archive(planned)
        return bare, planned.here or self.fetcher.fetch(planned).blob

    def _describe(self, planned: PlannedAsset, source: Source, blob: Blob) -> MirrorFile:
        asset = planned.asset
        path = (urls.bitbake_name(source.url) or urls.basename(source.url)) if self.bitbake else _place(source)
        return MirrorFile(
            path=path,
            url=str(source.url),
            sha256=blob.sha256,
            size=blob.size,
            licence=asset.licence.name if asset.licence else "",
            restricted=asset.restricted,
            assets=(planned.identity,),
        )

    def _put_sound(self, planned: PlannedAsset, file: MirrorFile, blob: Blob) -> bool:
        try:
            return self._put(file, blob)
        except CorruptBlob as corrupt:
            self.listen(Event("warning", task=f"mirror:{file.path}", text=f"{corrupt.what}: downloading it again"))
            return self._put(file, self._obtain(planned.asset)[1])

    def _put(self, file: MirrorFile, blob: Blob) -> bool:
        task = f"mirror:{file.path}"

        def progress(done: int, _: int | None) -> None:
            self.listen(Event("progress", task=task, label=file.path, done=done, total=file.size))

        new = mirror.put(self.folder, file, blob, self.plan.store, progress=progress)
        if self.bitbake:
            other = unique_name(Url(file.url), file.sha256)
            mirror.alias(self.folder, file, other)
            for name in (file.path, other):
                mirror.stamp(self.folder, name)
        if new:
            self.index = mirror.record(self.folder, self.index.layout, [file])
            self.listen(Event("done", task=task, label=file.path, done=file.size, total=file.size))
        return new


@dataclass(frozen=True)
class VerifiedMirror:
    """What reading a whole mirror again found.

    Parameters
    ----------
    files
        Files in its index.
    damaged
        Files that differ from the index.
    """

    folder: Path
    files: tuple[MirrorFile, ...]
    damaged: tuple[Damage, ...]

    def __repr__(self) -> str:
        return f"<VerifiedMirror: {len(self.files)} files, {len(self.damaged)} damaged>"

    @property
    def ok(self) -> bool:
        """True if every file matches the index."""
        return not self.damaged

    @property
    def size(self) -> int:
        """Bytes, by the index."""
        return sum(file.size for file in self.files)


def verify_mirror(folder: Path, listen: Listener = silent) -> VerifiedMirror:
    """Read every byte of a mirror again and check it against its index; nothing is changed."""
    total = sum(file.size for file in mirror.read_index(folder).files.values())
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        listen(Event("progress", task="verify", label=str(folder), done=done, total=total))

    index, damaged = mirror.verify(folder, progress=progress)
    return VerifiedMirror(folder, tuple(index.files[path] for path in sorted(index.files)), damaged)


def _place(source: Source) -> str:
    places = places_in_mirror(source.url)
    return str(places[0]) if places else ""
