"""``modelprep bundle``: finished demos in one archive, the same bytes from the same inputs.

It does not depend on machine, folder or date: names sorted, owners 0, one fixed date (``SOURCE_DATE_EPOCH``, or
1980-01-01, the earliest in zip), fixed modes. The archive is written under a temporary name and renamed when complete.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from modelprep import quoting
from modelprep.deliver import spdx
from modelprep.errors import MissingTool, UsageError
from modelprep.events import Event, Listener, silent
from modelprep.installed import install_command
from modelprep.store.disk import claim_temporary, storage, sweep_temporaries
from modelprep.store.memo import hash_file
from modelprep.tree.manifest import MANIFEST, SUMS, InstalledFile
from modelprep.tree.selection import TreePart, changed, run_tests

#: 1980-01-01, in seconds since 1970.
EARLIEST = 315532800
#: Name of the SPDX document in a bundle.
SPDX = "modelprep.spdx.json"
KINDS = (".tar.gz", ".tgz", ".tar.zst", ".tar", ".zip")


@dataclass(frozen=True)
class Entry:
    """One file of a bundle: from a tree (`file` at `source`), or written by us (`data`)."""

    name: str
    data: bytes = b""
    source: Path | None = None
    file: InstalledFile | None = None
    executable: bool = False

    @property
    def size(self) -> int:
        """Bytes."""
        return self.file.size if self.file is not None else len(self.data)


@dataclass(frozen=True)
class BundlePlan:
    """Contents of a bundle.

    `parts`: the included parts of trees. `entries`: the files, sorted by name; the SPDX document follows them.
    `left_out`: names of restricted files, with their licence. `moment`: the date of every entry, seconds since 1970.
    """

    parts: tuple[TreePart, ...]
    entries: tuple[Entry, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    moment: int = EARLIEST

    @property
    def size(self) -> int:
        """Bytes before compression."""
        return sum(entry.size for entry in self.entries)


@dataclass(frozen=True)
class Bundled:
    """A bundle that was written.

    Parameters
    ----------
    path
        Where it is.
    size, sha256
        Of the archive; `size` in bytes.
    files
        Number of files.
    left_out
        Names of restricted files, with their licence.
    """

    path: Path
    size: int
    sha256: str
    files: int
    left_out: Mapping[str, str] = field(default_factory=dict)


def plan_bundle(parts: Sequence[TreePart], *, moment: int | None = None) -> BundlePlan:
    """Decide the contents of a bundle.

    `parts`: from :func:`modelprep.tree.selection.select`. `moment`: the entries' date in seconds since 1970;
    ``SOURCE_DATE_EPOCH`` or :data:`EARLIEST` when left out.
    """
    moment = _moment() if moment is None else moment
    entries: list[Entry] = []
    left_out: dict[str, str] = {}
    for part in parts:
        for path, file in part.files.items():
            entries.append(Entry(f"{part.name}/{path}", source=part.folder / path, file=file))
        for file in part.left_out:
            said = next((a.licence for a in file.provenance.assets if a.restricted), "")
            left_out[f"{part.name}/{file.path}"] = said
        entries.append(Entry(f"{part.name}/{MANIFEST}", part.manifest.text().encode()))
        entries.append(Entry(f"{part.name}/{SUMS}", part.manifest.sums().encode()))
        entries.append(Entry(f"{part.name}/run-tests.sh", run_tests(part.manifest).encode(), executable=True))
    entries.append(Entry("LICENCES.txt", _licences(parts, left_out).encode()))
    return BundlePlan(tuple(parts), tuple(sorted(entries, key=lambda e: e.name)), left_out, moment)


def _moment() -> int:
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    return max(EARLIEST, int(said)) if said.isdecimal() else EARLIEST


def _spdx(plan: BundlePlan, sha1s: Mapping[str, str]) -> Entry:
    created = datetime.datetime.fromtimestamp(plan.moment, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = quoting.json(spdx.document(plan.parts, sha1s, created=created), indent=2) + "\n"
    return Entry(SPDX, text.encode())


def _licences(parts: Sequence[TreePart], left_out: Mapping[str, str]) -> str:
    lines = ["Contents, their licences, and the source of each licence.", ""]
    for part in parts:
        for path, file in sorted(part.files.items()):
            lines += licence_lines(f"{part.name}/{path}", file, urls=True)
    if left_out:
        lines += ["", "Left out, because their licences do not allow redistribution; fetch them yourself:"]
        lines += [quoting.line(f"{name}: {said or 'restricted'}") for name, said in sorted(left_out.items())]
    return "\n".join(lines) + "\n"


def licence_lines(name: str, file: InstalledFile, *, urls: bool = False) -> list[str]:
    """Write the licences of the assets that a file is made from, and where each comes from."""
    lines = [name]
    for asset in file.provenance.assets:
        said = f" ({asset.licence_source})" if asset.licence_source else ""
        lines.append(f"    from {asset.name}: {asset.licence or 'unknown licence'}{said}")
        lines += [f"        {asset.source}"] * (urls and bool(asset.source))
    return [quoting.line(each) for each in lines]


def write_bundle(plan: BundlePlan, output: Path, listen: Listener = silent) -> Bundled:
    """Write a bundle; the archive type follows from the name (:data:`KINDS`).

    Raises UsageError: unknown archive type; DigestMismatch: a file of a tree has changed since it was installed;
    MissingTool: ``.tar.zst`` without the zstandard module; StorageError: disk full or no permission; the final name is
    unchanged. `listen` receives the events of a task ``bundle:<name>``.
    """
    kind = next((kind for kind in KINDS if output.name.endswith(kind)), None)
    if kind is None:
        raise UsageError(f"unknown archive type: '{output.name}'", expected=f"a name that ends in {', '.join(KINDS)}")
    task, label, done = f"bundle:{output.name}", output.name, 0
    listen(Event("start", task=task, label=label, done=0, total=plan.size))

    def step(count: int) -> None:
        nonlocal done
        done += count
        listen(Event("progress", task=task, label=label, done=done, total=plan.size))

    with storage(output, needed=plan.size, doing="write the bundle"):
        output.parent.mkdir(parents=True, exist_ok=True)
        sweep_temporaries(output.parent)
        temporary, descriptor = claim_temporary(output)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as raw:
                with _writer(kind, raw, plan.moment) as add:
                    sha1s: dict[str, str] = {}
                    for entry in plan.entries:
                        with _open(entry, step, sha1s) as stream:
                            add(entry, stream)
                    document = _spdx(plan, sha1s)
                    add(document, io.BytesIO(document.data))
                raw.flush()
                os.fsync(raw.fileno())
            sha256, size = hash_file(temporary)
            temporary.replace(output)
        finally:
            temporary.unlink(missing_ok=True)
            os.close(descriptor)
    listen(Event("done", task=task, done=plan.size, total=plan.size))
    return Bundled(output, size, sha256, len(plan.entries) + 1, plan.left_out)


class _Checked(io.RawIOBase):
    """Reads a file of a tree and checks size and digest against its manifest at the end."""

    def __init__(self, raw: IO[bytes], path: Path, file: InstalledFile, step: Callable[[int], None]) -> None:
        self._raw, self._path, self._file, self._step = raw, path, file, step
        self._digest = hashlib.sha256()
        self.sha1 = hashlib.sha1(usedforsecurity=False)
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        count = self._raw.readinto(view)  # type: ignore[attr-defined]  # a raw file, opened below
        self._digest.update(view[:count])
        self.sha1.update(view[:count])
        self._read += count
        self._step(count)
        return int(count)

    def verify(self) -> None:
        file = self._file
        if self._read != file.size or self._digest.hexdigest() != file.sha256:
            raise changed(self._path, file)


@contextmanager
def _open(entry: Entry, step: Callable[[int], None], sha1s: dict[str, str]) -> Iterator[IO[bytes]]:
    if entry.source is None or entry.file is None:
        yield io.BytesIO(entry.data)
        step(len(entry.data))
        return
    try:
        raw = entry.source.open("rb", buffering=0)
    except FileNotFoundError:
        raise changed(entry.source, entry.file) from None
    with raw:
        if os.fstat(raw.fileno()).st_size != entry.size:
            raise changed(entry.source, entry.file)
        checked = _Checked(raw, entry.source, entry.file, step)
        yield io.BufferedReader(checked, 1 << 20)
        checked.verify()
        sha1s[entry.name] = checked.sha1.hexdigest()


@contextmanager
def _writer(kind: str, raw: IO[bytes], moment: int) -> Iterator[Callable[[Entry, IO[bytes]], None]]:
    """Open an archive; yield what adds an entry to it."""
    if kind == ".zip":
        import shutil
        import zipfile

        date = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).timetuple()[:6]
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as zipped:

            def add(entry: Entry, stream: IO[bytes]) -> None:
                info = zipfile.ZipInfo(entry.name, date)
                info.create_system = 3  # Unix, whatever this machine is: the modes below are Unix's
                info.external_attr = (0o100755 if entry.executable else 0o100644) << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                info.file_size = entry.size
                with zipped.open(info, "w", force_zip64=entry.size >= 1 << 31) as target:
                    shutil.copyfileobj(stream, target, 1 << 20)

            yield add
        return
    import tarfile

    with _compressor(kind, raw) as out, tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:

        def add(entry: Entry, stream: IO[bytes]) -> None:
            info = tarfile.TarInfo(entry.name)
            info.size, info.mtime = entry.size, moment
            info.mode = 0o755 if entry.executable else 0o644
            tar.addfile(info, stream)

        yield add


@contextmanager
def _compressor(kind: str, raw: IO[bytes]) -> Iterator[IO[bytes]]:
    if kind == ".tar":
        yield raw
    elif kind == ".tar.zst":
        try:
            import zstandard
        except ImportError as error:
            raise MissingTool("writing .tar.zst needs the zstandard module", hint=install_command("bundle")) from error
        with zstandard.ZstdCompressor(level=6).stream_writer(raw, closefd=False) as stream:
            yield stream
    else:
        import gzip

        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as stream:
            yield stream  # type: ignore[misc]  # GzipFile is a binary file in all but its declared type
