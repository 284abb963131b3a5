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
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Literal

from modelprep.errors import ModelprepError, StepError, StorageError, nearest
from modelprep.formats import tarstream
from modelprep.formats.decompress import MAX_RATIO, RATIO_FLOOR, Reader
from modelprep.formats.looks import looks_like_file
from modelprep.formats.output import cannot_write, temporary_beside

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

    from typing_extensions import Self

ArchiveKind = Literal["tar", "zip"]
Progress = Callable[[int, "int | None"], None]

#: Largest member that is taken unless the caller says otherwise, bytes. The largest file of any shipped recipe is a
#: VGG of 575 MB.
MAX_BYTES = 8 << 30
#: An archive with more members than this is not one of models.
MAX_MEMBERS = 200_000
#: A zip's directory is read into memory: at most this much of it, bytes.
_ZIP_DIRECTORY = 32 << 20
_CHUNK = 512 << 10
#: How many names an error message shows.
_SHOWN = 12


def kind_of(archive: Path) -> ArchiveKind | None:
    """Tell from its content whether a file is a tar (compressed or not) or a zip; None when it is neither.

    Raises
    ------
    StepError
        It is compressed, and the compressed data is damaged or truncated within the first block.
    StorageError
        It cannot be read.
    """
    with _readable(archive):
        with archive.open("rb") as file:
            head = file.read(4)
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
            return "zip"
        with Reader(archive) as stream:
            block = stream.read(tarstream.BLOCK)
            if tarstream.is_header(block) or (len(block) == tarstream.BLOCK and not any(block)):
                return "tar"
            if block[257:262] == b"ustar":
                return "tar"  # a damaged one; reading it will say where
    import zipfile

    # Not at the start: a self-extracting zip. The directory at the end makes a zip.
    return "zip" if stream.compression == "none" and zipfile.is_zipfile(archive) else None


def normal_name(name: str) -> str | None:
    r"""Give the normal form of a member's name; None when it is no relative path inside the archive.

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

    Raises
    ------
    StepError
        Not an archive, truncated, damaged, too many members.
    StorageError
        It cannot be read.
    """
    found: dict[str, int] = {}
    with _readable(archive):
        if _demand_kind(archive) == "tar":
            with Reader(archive) as stream:
                for entry in tarstream.entries(stream, max_members=MAX_MEMBERS):
                    _note_member(found, entry.name, entry.size if entry.kind == "file" else None)
        else:
            with _zip(archive) as bundle:
                for info in bundle.infolist():
                    _note_member(found, info.orig_filename, None if _zip_oddity(info) else info.file_size)
    return list(found.items())


def extract_member(
    archive: Path, member: str, output: Path, *, max_bytes: int = MAX_BYTES, progress: Progress | None = None
) -> int:
    """Take one file out of an archive.

    Parameters
    ----------
    archive
        The archive; its name means nothing.
    member
        Path inside the archive.
    output
        Where the file goes. It appears there by rename, complete or not at all.
    max_bytes
        A member larger than this is refused.
    progress
        Called with (bytes done, bytes in all): of the archive for a tar, of the member for a zip.

    Returns
    -------
    int
        Size of the file in bytes.

    Raises
    ------
    StepError
        Not an archive; no such member (what is there is said); no regular file; truncated, damaged, encrypted, a bomb.
    StorageError
        The archive cannot be read, or the output not written.
    """
    return extract_members(archive, {member: output}, max_bytes=max_bytes, progress=progress)[member]


def extract_members(
    archive: Path,
    wanted: Mapping[str, Path],
    *,
    max_bytes: int = MAX_BYTES,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Take several files out of an archive in one pass: all of them or none.

    Parameters
    ----------
    wanted
        Path inside the archive -> where the file goes. Otherwise as for :func:`extract_member`.

    Returns
    -------
    dict
        Path inside the archive, as it was asked for -> size in bytes.
    """
    targets: dict[str, Path] = {}
    for name, output in wanted.items():
        normal = normal_name(name)
        if normal is None:
            raise StepError(
                f"'{name}' cannot be the name of a file inside an archive",
                where=str(archive),
                expected="a relative path without '..'",
                hint="name the member as `members` lists it, for example model/net.onnx",
            )
        if normal in targets:
            raise StepError(f"the member '{normal}' is asked for twice", where=str(archive))
        targets[normal] = output
    with _readable(archive):
        kind = _demand_kind(archive)
        with _Outputs(targets) as outputs:
            take = _take_from_tar if kind == "tar" else _take_from_zip
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for path in self._temporary.values():
            path.unlink(missing_ok=True)

    def write(self, name: str, pieces: Iterator[bytes]) -> None:
        """Write one member (again, when the name comes again)."""
        size = 0
        path = self._temporary[name]
        try:
            with _open_to_write(path) as file:
                for piece in pieces:
                    _write(file, piece)
                    size += len(piece)
        except _WriteError as error:
            raise cannot_write(self.targets[name], error.reason) from None
        self.sizes[name] = size
        self.odd.pop(name, None)

    def refuse(self, name: str, reason: str) -> None:
        """Remember that the (so far) last member of this name is no file that can be taken."""
        self.odd[name] = reason
        self.sizes.pop(name, None)

    def commit(self) -> None:
        path = Path()
        try:
            for name, path in self.targets.items():
                self._temporary[name].replace(path)
        except OSError as error:
            raise cannot_write(path, error) from None

    def demand_all(self, archive: Path, found: Collection[str]) -> None:
        """Raise unless every wanted member is among the `found` ones and is a regular file."""
        for name in self.targets:
            if name in self.odd:
                raise StepError(
                    f"'{name}' in the archive is not a regular file",
                    where=str(archive),
                    expected="a regular file",
                    got=self.odd[name],
                    hint=_listing(self.names),
                )
            if name not in found:
                raise _missing(archive, name, self.names)


class _WriteError(Exception):
    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _open_to_write(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise _WriteError(error) from None


def _write(file: BinaryIO, piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as error:
        raise _WriteError(error) from None


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
            where=f"{stream.path}, byte {stream.position} of the unpacked archive",
            expected=f"{entry.size} bytes",
            got=f"{done} bytes",
            hint="fetch the archive again",
        )


def _describe(entry: tarstream.Entry) -> str:
    if entry.kind == "hard link":
        return f"a hard link to '{entry.link}' (ask for that member instead)"
    if entry.kind == "symbolic link":
        return f"a symbolic link to '{entry.link}'"
    return {"other": "a member of an unknown type"}.get(entry.kind, f"a {entry.kind}")


# -- zip


class _Guarded:
    """A zip's file, from which nobody can be made to read a huge directory into memory."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path

    def read(self, count: int = -1) -> bytes:
        # Without a count zipfile reads the tail of the file, which it has seeked to.
        data = self._file.read(_ZIP_DIRECTORY + 1 if count < 0 else min(count, _ZIP_DIRECTORY + 1))
        if len(data) > _ZIP_DIRECTORY:
            raise StepError(
                "the zip archive's directory is too long",
                where=str(self._path),
                expected=f"at most {_ZIP_DIRECTORY} bytes",
                got="more",
            )
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and offset < 0:
            raise ValueError("an offset before the start of the file")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()


@contextmanager
def _zip(archive: Path) -> Iterator[ZipFile]:
    import struct
    import zipfile
    import zlib

    with archive.open("rb") as file:
        try:
            with zipfile.ZipFile(_as_io(_Guarded(file, archive))) as bundle:
                if len(bundle.infolist()) > MAX_MEMBERS:
                    raise StepError(
                        "the archive has too many members",
                        where=str(archive),
                        expected=f"at most {MAX_MEMBERS}",
                        got=str(len(bundle.infolist())),
                    )
                yield bundle
        except (zipfile.BadZipFile, struct.error, zlib.error, ValueError, EOFError, OverflowError, IndexError) as error:
            size = archive.stat().st_size
            raise StepError(
                f"the zip archive is truncated or damaged: {error or type(error).__name__}",
                where=f"{archive} ({size} bytes)",
                expected="a directory of members at the end of the file",
                hint="fetch the archive again",
            ) from None


def _as_io(guarded: _Guarded) -> IO[bytes]:
    return guarded  # type: ignore[return-value]  # zipfile wants no more than these methods


def _zip_oddity(info: ZipInfo) -> str:
    """Say why a zip member is no regular file; an empty string when it is one."""
    import stat

    if info.is_dir():
        return "a folder"
    mode = info.external_attr >> 16
    if info.create_system == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        names = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO"}
        return names.get(stat.S_IFMT(mode), "a device or socket")
    return ""


def _take_from_zip(archive: Path, outputs: _Outputs, max_bytes: int, progress: Progress | None) -> None:
    with _zip(archive) as bundle:
        chosen: dict[str, ZipInfo] = {}
        for info in bundle.infolist():
            name = normal_name(info.orig_filename)
            if name is None:
                continue
            oddity = _zip_oddity(info)
            if not oddity:
                outputs.names.append(name)
            if name in outputs.targets:
                chosen[name] = info
        for name, info in chosen.items():
            if oddity := _zip_oddity(info):
                outputs.refuse(name, oddity)
        outputs.demand_all(archive, chosen)  # before anything is unpacked
        total = sum(info.file_size for info in chosen.values())
        done = 0
        for name, info in chosen.items():
            _demand_size(archive, name, info.file_size, max_bytes)
            outputs.write(name, _unzipped(archive, bundle, info, done, total, progress))
            done += info.file_size


def _unzipped(
    archive: Path, bundle: ZipFile, info: ZipInfo, before: int, total: int, progress: Progress | None
) -> Iterator[bytes]:
    where = f"{archive}, member '{info.filename}' at byte {info.header_offset}"
    if info.flag_bits & 0x1:
        raise StepError(
            "the member is encrypted, and no password is known",
            where=where,
            hint="unpack it by hand and give the file with `--set NAME=PATH`",
        )
    try:
        member = bundle.open(info)
    except (NotImplementedError, RuntimeError) as error:
        raise StepError(
            f"the member is compressed in a way that is not supported: {error}",
            where=where,
            expected="stored, deflate, bzip2 or lzma",
            got=f"method {info.compress_type}",
            hint="unpack it by hand and give the file with `--set NAME=PATH`",
        ) from None
    done = 0
    with member:
        while True:
            try:
                piece = member.read(_CHUNK)
            except ModelprepError:
                raise
            except Exception as error:  # noqa: BLE001 - only the known ones become a StepError there
                raise _broken_member(error, where, done, info.file_size) from None
            if not piece:
                break
            done += len(piece)
            if done > RATIO_FLOOR and done > MAX_RATIO * max(info.compress_size, 1):
                raise StepError(
                    "the compressed data grows beyond reason (a decompression bomb?)",
                    where=where,
                    expected=f"at most {MAX_RATIO} times the compressed size",
                    got=f"{done} bytes out of {info.compress_size}",
                )
            if progress is not None:
                progress(before + done, total)
            yield piece
    if done != info.file_size:
        raise _broken_member(EOFError("it ends early"), where, done, info.file_size)


def _broken_member(error: Exception, where: str, done: int, size: int) -> Exception:
    import lzma
    import zipfile
    import zlib

    known = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, NotImplementedError)
    if not isinstance(error, known):
        return error
    return StepError(
        f"the member is truncated or damaged: {error or type(error).__name__}",
        where=where,
        expected=f"{size} bytes with the checksum that the archive states",
        got=f"{done} bytes before the damage showed",
        hint="fetch the archive again",
    )


# -- common


def _note_member(found: dict[str, int], written: str, size: int | None) -> None:
    name = normal_name(written)
    if name is None:
        return
    found.pop(name, None)  # of several the last one, at its own place
    if size is not None:
        found[name] = size


def _demand_kind(archive: Path) -> ArchiveKind:
    kind = kind_of(archive)
    if kind is None:
        looks = looks_like_file(archive)
        raise StepError(
            "this is not an archive that can be unpacked",
            where=str(archive),
            expected="a tar (also gzip, bzip2 or xz) or a zip",
            looks_like=looks,
            hint="a single compressed file wants the step `gunzip`"
            if looks.startswith("gzip")
            else "if the server sent this in place of the archive, try another source or give the file with `--set`",
        )
    return kind


def _demand_size(archive: Path, name: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise StepError(
            f"'{name}' in the archive is larger than allowed",
            where=str(archive),
            expected=f"at most {max_bytes} bytes",
            got=f"{size} bytes",
            hint="raise `max_bytes` in the recipe if that is right",
        )


def _missing(archive: Path, name: str, names: Sequence[str]) -> StepError:
    leaf = name.rpartition("/")[2]
    same_leaf = [other for other in names if other.rpartition("/")[2] == leaf]
    guess = f"did you mean {', '.join(same_leaf[:3])}?" if same_leaf else nearest(name, list(names)[:2000])
    return StepError(
        f"there is no file '{name}' in the archive",
        where=str(archive),
        hint="\n".join(line for line in (guess, _listing(names)) if line),
    )


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
