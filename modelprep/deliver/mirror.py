"""A static mirror: files under ``<host>/<path>`` (or flat, for BitBake) and an index with their checksums.

Files with the right digest are left alone; others are written by rename. The index (``modelprep-mirror.json``) records
URL, sha256, size, licence and assets of every file; it is written after each file, so that an interrupted run can be
resumed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from modelprep.errors import StorageError, UsageError
from modelprep.regular import opened
from modelprep.store import Blob, Store
from modelprep.store.copying import copy_hashed
from modelprep.store.disk import CHUNK, claim_temporary, set_mode, storage, sweep_temporaries, sync_folder, write_atomic
from modelprep.store.memo import Progress
from modelprep.store.results import is_sha256
from modelprep.tree.places import tree_lock

INDEX = "modelprep-mirror.json"
SCHEMA = 1
_LARGEST = 64 << 20


@dataclass(frozen=True)
class MirrorFile:
    """One file of a mirror.

    Parameters
    ----------
    path
        Below the mirror, with slashes.
    url
        URL of the file.
    sha256, size
        Of the bytes; `size` in bytes.
    licence
        As the recipe states it; those of several assets are joined with ``; ``.
    restricted
        True if the licence does not allow redistribution.
    assets
        Identities of its assets (:func:`modelprep.pipeline.plan.keys.asset_identity`), sorted.
    """

    path: str
    url: str
    sha256: str
    size: int
    licence: str = ""
    restricted: bool = False
    assets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Index:
    """The files of a mirror, by path; `layout` is ``tree`` (``<host>/<path>``) or ``flat`` (BitBake's DL_DIR)."""

    layout: str = "tree"
    files: Mapping[str, MirrorFile] = field(default_factory=dict)

    def text(self) -> str:
        """Return the text of the index: sorted, indented by two, a last newline."""
        files = [asdict(self.files[path]) for path in sorted(self.files)]
        value = {"schema": SCHEMA, "layout": self.layout, "files": files}
        return json.dumps(value, indent=2, ensure_ascii=True) + "\n"


def read_index(folder: Path, layout: str = "tree") -> Index:
    """Read the index of a mirror; empty if there is none.

    Raises StorageError: the index cannot be read or is not valid.
    """
    path = folder / INDEX
    with storage(path, doing="read the mirror's index"):
        try:
            with opened(path) as file:
                data = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return Index(layout)
    try:
        if len(data) > _LARGEST:
            raise ValueError("too large for an index")
        value = json.loads(data)
        if value["schema"] != SCHEMA or value["layout"] not in ("tree", "flat"):
            raise ValueError(f"schema {value['schema']}, layout {value['layout']}")
        files = [_file(entry) for entry in value["files"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StorageError(
            "the mirror's index is not valid",
            where=str(path),
            got=f"{type(error).__name__}: {error}",
            hint="move it away and mirror again: correct files are kept",
        ) from None
    return Index(value["layout"], {file.path: file for file in files})


def _file(entry: Mapping[str, Any]) -> MirrorFile:
    file = MirrorFile(**{**entry, "assets": tuple(entry["assets"])})
    parts = file.path.split("/")
    texts = (*vars(file).values(), *file.assets)
    sound = all(isinstance(text, (str, int, tuple)) for text in texts) and is_sha256(file.sha256)
    if {"", ".", ".."} & set(parts) or "\0" in file.path or not isinstance(file.size, int) or not sound:
        raise ValueError(f"an entry is not well formed: {file.path!r}")
    return file


def serving(folder: Path, index: Index, identity: str, store: Store) -> MirrorFile | None:
    """Return the mirrored file of an asset if it is intact, else None."""
    for file in index.files.values():
        if identity in file.assets and _stands(folder / file.path, file.sha256, file.size, store):
            return file
    return None


def _stands(path: Path, sha256: str, size: int, store: Store) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with storage(path, doing="read the mirror's file"):
        return path.stat().st_size == size and store.digest_of(path)[0] == sha256


def check_names(files: Iterable[MirrorFile]) -> None:
    """Refuse two files of one name with different bytes.

    Raises UsageError: two files have the same name in BitBake's flat folder.
    """
    known: dict[str, MirrorFile] = {}
    for file in files:
        other = known.setdefault(file.path, file)
        if other.sha256 != file.sha256:
            raise UsageError(
                f"two files with different bytes are both called '{file.path}'",
                where=file.url,
                expected=f"sha256 {other.sha256} ({other.url})",
                got=f"sha256 {file.sha256}",
                hint="mirror their targets into two folders, or without --bitbake; "
                "recipes of 'modelprep export yocto' give every file a unique name",
            )


def put(folder: Path, file: MirrorFile, blob: Blob, store: Store, *, progress: Progress | None = None) -> bool:
    """Put a file into a mirror; False if it is there already.

    Raises StorageError: disk full, no permission, a file in the way of a folder; the final name is unchanged;
    CorruptBlob: the store's file is corrupt; it is quarantined.
    """
    target = folder / PurePosixPath(file.path)
    if _stands(target, file.sha256, file.size, store):
        return False
    with storage(target, needed=file.size, doing="write the mirror"):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary, descriptor = claim_temporary(target)
        try:
            store.copy(blob, temporary, progress=progress, claimed=True)
            set_mode(temporary, 0o644)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
            os.close(descriptor)
        sync_folder(target.parent)
    store.remember(target, file.sha256)
    return True


def alias(folder: Path, file: MirrorFile, other: str) -> None:
    """Link a flat mirror's file under a second name: a hard link, or a copy where the file system has none."""
    source, target = folder / file.path, folder / other
    with storage(target, needed=file.size, doing="write the mirror"):
        if target.is_file() and target.samefile(source):
            return
        temporary, descriptor = claim_temporary(target)
        try:
            try:
                temporary.unlink()
                os.link(source, temporary)
            except OSError:
                copy_hashed(source, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
            os.close(descriptor)


def stamp(folder: Path, name: str) -> None:
    """Write the ``.done`` stamp that lets BitBake accept a download; with an empty one BitBake checks the checksum."""
    path = folder / f"{name}.done"
    if not path.exists():
        write_atomic(path, b"")


def record(folder: Path, layout: str, files: Iterable[MirrorFile]) -> Index:
    """Merge files into the index, which another process may have changed meanwhile.

    Returns the index as written. An entry of the same path and digest keeps its licences and assets; one of the same
    path and another digest is replaced. Nothing is written if nothing changed. Raises StorageError: the index cannot be
    read or written; UsageError: the folder has become a mirror of the other layout.
    """
    with tree_lock(folder):
        index = read_index(folder, layout)
        check_layout(folder, index, layout)
        known = dict(index.files)
        for file in files:
            known[file.path] = _joined(known.get(file.path), file)
        for each in {folder, *((folder / path).parent for path in known)}:
            sweep_temporaries(each)
        index = Index(layout, known)
        text = index.text().encode()
        path = folder / INDEX
        with storage(path, doing="read the mirror's index"):
            same = path.is_file() and path.read_bytes() == text
        if not same:
            write_atomic(path, text)
    return index


def check_layout(folder: Path, index: Index, layout: str) -> None:
    """Refuse a mirror of the other layout. Raises UsageError: it is one."""
    if index.layout != layout:
        raise UsageError(
            "this folder is a mirror of the other layout",
            where=str(folder),
            expected="laid out as before: " + ("with --bitbake" if layout == "tree" else "without --bitbake"),
        )


def _joined(known: MirrorFile | None, file: MirrorFile) -> MirrorFile:
    if known is None or known.sha256 != file.sha256:
        return file
    licences = dict.fromkeys(filter(None, [*known.licence.split("; "), *file.licence.split("; ")]))
    return replace(
        file,
        licence="; ".join(sorted(licences)),
        restricted=known.restricted or file.restricted,
        assets=tuple(sorted({*known.assets, *file.assets})),
    )


@dataclass(frozen=True)
class Damage:
    """A file of a mirror that differs from the index: `what` is ``missing``, ``size`` or ``digest``."""

    path: str
    url: str
    what: str
    got: str = ""


def verify(folder: Path, *, progress: Callable[[int], None] = lambda _: None) -> tuple[Index, tuple[Damage, ...]]:
    """Read every byte of a mirror again and check it against the index.

    Raises UsageError: the folder is not a mirror made by modelprep; StorageError: a file cannot be read.
    """
    if not (folder / INDEX).is_file():
        raise UsageError(
            "not a mirror made by modelprep", where=str(folder), expected=INDEX, hint="modelprep mirror TARGET... DIR"
        )
    index = read_index(folder)
    damages = []
    for file in (index.files[path] for path in sorted(index.files)):
        path = folder / PurePosixPath(file.path)
        if path.is_symlink() or not path.is_file():
            damages.append(Damage(file.path, file.url, "missing"))
            continue
        digest, size = hashlib.sha256(), 0
        with storage(path, doing="read the mirror's file"), path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                progress(len(chunk))
        if size != file.size:
            damages.append(Damage(file.path, file.url, "size", f"{size} bytes, not {file.size}"))
        elif digest.hexdigest() != file.sha256:
            damages.append(Damage(file.path, file.url, "digest", f"sha256 {digest.hexdigest()}"))
    return index, tuple(damages)
