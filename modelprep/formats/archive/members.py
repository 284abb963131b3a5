"""Named members out of tar and zip archives, whoever made them.

What an archive is, its content says and not its name: tar, tar.gz, tar.bz2, tar.xz, zip (stored, deflate, bzip2, lzma;
zip64). Only what is asked for by name is taken, only regular files, and only to the path the caller gives: a name that
is written in an archive never becomes a path on disk.

Names are compared in one normal form: ``./x`` is ``x``, ``a//x`` is ``a/x``, and a backslash is a slash (some zip
writers use it). A member whose name is absolute, has a drive letter, a NUL or a ``..`` is never matched. Of several
members of one name the last wins, as when a tar is unpacked or appended to. A tar is read to its end, so that the
compression's own checksum over the whole file is verified before anything appears at its final name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modelprep.errors import StepError, StorageError, nearest
from modelprep.formats.archive import MAX_BYTES as MAX_BYTES
from modelprep.formats.archive import tar as tarstream
from modelprep.formats.archive import zip as zipstream
from modelprep.formats.archive.decompress import Reader
from modelprep.formats.output import refusals, temporary_beside
from modelprep.formats.sniff import looks_like_file

if TYPE_CHECKING:
    from zipfile import ZipInfo

ArchiveKind = Literal["tar", "zip"]
Progress = Callable[[int, "int | None"], None]

#: An archive with more members than this is not one of models.
MAX_MEMBERS = 200_000
#: How many names an error message shows.
_SHOWN = 12


def kind_of(archive: Path) -> ArchiveKind | None:
    """Tell from its content whether a file is a tar (compressed or not) or a zip; None when it is neither.

    Raises StepError: it is compressed, and the compressed data is damaged or truncated within the first block;
    StorageError: it cannot be read.
    """
    with _readable(archive):
        with archive.open("rb") as file:
            head = file.read(4)
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
            return "zip"
        with Reader(archive) as stream:
            block = stream.read(tarstream.BLOCK)
            empty = len(block) == tarstream.BLOCK and not any(block)
            # A damaged header with the mark is one too: reading it will say where.
            if empty or tarstream.is_header(block) or block[257:262] == b"ustar":
                return "tar"
    import zipfile

    # Not at the start: a self-extracting zip. The directory at the end makes a zip.
    return "zip" if stream.compression == "none" and zipfile.is_zipfile(archive) else None


def normal_name(name: str) -> str | None:
    r"""Return the normal form of a member's name; None when it is no relative path inside the archive.

    Examples
    --------
    >>> normal_name("./model/x.onnx"), normal_name("a\\b"), normal_name("../x"), normal_name("/x")
    ('model/x.onnx', 'a/b', None, None)
    """
    name = name.replace("\\", "/")
    if "\0" in name or name.startswith("/") or (name[1:2] == ":" and name[:1].isalpha()):
        return None
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if not parts or ".." in parts else "/".join(parts)


def members(archive: Path) -> list[tuple[str, int]]:
    """List the regular files in an archive: (normal name, size in bytes), in the archive's order, the last of a name.

    Raises StepError: not an archive, truncated, damaged, too many members; StorageError: it cannot be read.
    """
    found: dict[str, int] = {}
    with _readable(archive):
        if _demand_kind(archive) == "tar":
            with Reader(archive) as stream:
                listed = [
                    (entry.name, entry.size if entry.kind == "file" else None)
                    for entry in tarstream.entries(stream, max_members=MAX_MEMBERS)
                ]
        else:
            with zipstream.opened(archive, max_members=MAX_MEMBERS) as bundle:
                listed = [
                    (info.orig_filename, None if zipstream.oddity(info) else info.file_size)
                    for info in bundle.infolist()
                ]
    for written, size in listed:
        if (name := normal_name(written)) is not None:
            found.pop(name, None)  # of several the last one, at its own place
            if size is not None:
                found[name] = size
    return list(found.items())


def extract_member(
    archive: Path, member: str, output: Path, *, max_bytes: int = MAX_BYTES, progress: Progress | None = None
) -> int:
    """Take one file out of an archive.

    `output`: where the file goes; it appears there by rename, complete or not at all. `progress`: called with (bytes
    done, bytes in all), of the archive for a tar, of the member for a zip. Returns the file's size in bytes.

    Raises StepError: not an archive; no such member (those that exist are named); no regular file; truncated, damaged,
    encrypted, a bomb; StorageError: the archive cannot be read, or the output not written.
    """
    return extract_members(archive, {member: output}, max_bytes=max_bytes, progress=progress)[member]


def extract_members(
    archive: Path, wanted: Mapping[str, Path], *, max_bytes: int = MAX_BYTES, progress: Progress | None = None
) -> dict[str, int]:
    """Take several files out of an archive in one pass: all of them or none.

    `wanted`: path inside the archive -> where the file goes. Otherwise as for :func:`extract_member`. Returns path
    inside the archive, as it was asked for -> size in bytes.
    """
    targets: dict[str, Path] = {}
    for name, output in wanted.items():
        normal = normal_name(name)
        if normal is None:
            raise StepError(
                f"'{name}' cannot be the name of a file inside an archive", where=str(archive),
                expected="a relative path without '..'",
                hint="name the member as `members` lists it, for example model/net.onnx",
            )  # fmt: skip
        if normal in targets:
            raise StepError(f"the member '{normal}' is asked for twice", where=str(archive))
        targets[normal] = output
    with _readable(archive):
        take = _take_from_tar if _demand_kind(archive) == "tar" else _take_from_zip
        with closing(_Outputs(targets)) as outputs:
            take(archive, outputs, max_bytes, progress)
            outputs.commit()
    return {name: outputs.sizes[normal] for name in wanted if (normal := normal_name(name)) is not None}


class _Outputs:
    """The files being written: temporary names first, the final ones when everything is there."""

    def __init__(self, targets: Mapping[str, Path]) -> None:
        self.targets = targets
        self.sizes: dict[str, int] = {}
        self.odd: dict[str, str] = {}
        self.names: list[str] = []
        self._temporary = {name: temporary_beside(path) for name, path in targets.items()}

    def close(self) -> None:
        for path in self._temporary.values():
            path.unlink(missing_ok=True)

    def write(self, name: str, pieces: Iterator[bytes], told: Callable[[int], None] | None = None) -> None:
        """Write one member (again, when the name comes again); `told` is called with how many bytes are written."""
        size, target = 0, self.targets[name]
        with refusals(target):
            file = self._temporary[name].open("wb", buffering=0)
        with file:
            for piece in pieces:  # an error of writing must not pass for one of reading the archive
                left = memoryview(piece)
                with refusals(target):
                    while left:
                        left = left[file.write(left) :]
                size += len(piece)
                if told is not None:
                    told(size)
        self.sizes[name] = size
        self.odd.pop(name, None)

    def refuse(self, name: str, reason: str) -> None:
        """Note that the last member of this name up to here is no file that can be taken."""
        self.odd[name] = reason
        self.sizes.pop(name, None)

    def commit(self) -> None:
        for name, path in self.targets.items():
            with refusals(path):
                self._temporary[name].replace(path)

    def demand_all(self, archive: Path, found: Collection[str]) -> None:
        """Raise unless every wanted member is among the `found` ones and is a regular file."""
        for name in self.targets:
            if name in self.odd:
                raise StepError(
                    f"'{name}' in the archive is not a regular file", where=str(archive), expected="a regular file",
                    got=self.odd[name], hint=_listing(self.names),
                )  # fmt: skip
            if name not in found:
                raise _missing(archive, name, self.names)


# -- tar


def _take_from_tar(archive: Path, outputs: _Outputs, max_bytes: int, progress: Progress | None) -> None:
    with Reader(archive, progress=progress) as stream:
        for entry in tarstream.entries(stream, max_members=MAX_MEMBERS):
            name = normal_name(entry.name)
            if name is None:
                continue
            if entry.kind == "file":
                outputs.names.append(name)
            if name not in outputs.targets:
                continue
            if entry.kind != "file":
                outputs.refuse(name, _describe(entry))
                continue
            _demand_size(archive, name, entry.size, max_bytes)
            outputs.write(name, _exactly(stream, entry))
    outputs.demand_all(archive, outputs.sizes)


def _exactly(stream: Reader, entry: tarstream.Entry) -> Iterator[bytes]:
    done = 0
    for piece in stream.chunks(entry.size):
        done += len(piece)
        yield piece
    if done < entry.size:
        raise StepError(
            f"the archive ends within '{entry.name}': it is truncated",
            where=f"{stream.path}, byte {stream.position} of the unpacked archive", expected=f"{entry.size} bytes",
            got=f"{done} bytes", hint="fetch the archive again",
        )  # fmt: skip


def _describe(entry: tarstream.Entry) -> str:
    words = {
        "hard link": f"a hard link to '{entry.link}' (ask for that member instead)",
        "symbolic link": f"a symbolic link to '{entry.link}'", "other": "a member of an unknown type",
    }  # fmt: skip
    return words.get(entry.kind, f"a {entry.kind}")


# -- zip


def _take_from_zip(archive: Path, outputs: _Outputs, max_bytes: int, progress: Progress | None) -> None:
    with zipstream.opened(archive, max_members=MAX_MEMBERS) as bundle:
        chosen: dict[str, ZipInfo] = {}
        for info in bundle.infolist():
            name = normal_name(info.orig_filename)
            if name is None:
                continue
            if not zipstream.oddity(info):
                outputs.names.append(name)
            if name in outputs.targets:
                chosen[name] = info
        for name, info in chosen.items():
            if oddity := zipstream.oddity(info):
                outputs.refuse(name, oddity)
        outputs.demand_all(archive, chosen)  # before anything is unpacked
        total = sum(info.file_size for info in chosen.values())
        done = 0
        for name, info in chosen.items():
            _demand_size(archive, name, info.file_size, max_bytes)
            told = None if progress is None else (lambda size, before=done: progress(before + size, total))
            outputs.write(name, zipstream.pieces(archive, bundle, info), told)
            done += info.file_size


# -- common


def _demand_kind(archive: Path) -> ArchiveKind:
    kind = kind_of(archive)
    if kind is None:
        looks = looks_like_file(archive)
        hint = "if the server sent this instead of the archive, try another source or give the file with `--set`"
        if looks.startswith("gzip"):
            hint = "a single compressed file needs the step `gunzip`"
        raise StepError(
            "this is not an archive that can be unpacked", where=str(archive), looks_like=looks, hint=hint,
            expected="a tar (also gzip, bzip2 or xz) or a zip",
        )  # fmt: skip
    return kind


def _demand_size(archive: Path, name: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise StepError(
            f"'{name}' in the archive is larger than allowed", where=str(archive),
            expected=f"at most {max_bytes} bytes", got=f"{size} bytes",
            hint="raise `max_bytes` in the recipe if the size is correct",
        )  # fmt: skip


def _missing(archive: Path, name: str, names: Sequence[str]) -> StepError:
    leaf = name.rpartition("/")[2]
    same_leaf = [other for other in names if other.rpartition("/")[2] == leaf]
    guess = f"did you mean {', '.join(same_leaf[:3])}?" if same_leaf else nearest(name, list(names)[:2000])
    return StepError(
        f"there is no file '{name}' in the archive", where=str(archive),
        hint="\n".join(line for line in (guess, _listing(names)) if line),
    )  # fmt: skip


def _listing(names: Collection[str]) -> str:
    if not names:
        return "the archive holds no files at all"
    shown = sorted(set(names))
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return f"there is: {', '.join(shown[:_SHOWN])}{more}"


@contextmanager
def _readable(archive: Path) -> Iterator[None]:
    """Turn an operating-system error on the archive into an error for the user."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the archive cannot be read: {error.strerror or error}", where=str(error.filename or archive)
        ) from None
