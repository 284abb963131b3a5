"""Resolve ``--recipes`` to a folder: archives are downloaded if needed and unpacked into the store."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from modelprep import quoting
from modelprep.errors import DigestMismatch, FetchError, StepError
from modelprep.events import Listener, silent
from modelprep.fetch import Fetcher, Policy
from modelprep.fetch.identity import FIRST, identity
from modelprep.recipe.lockfile import Pin, format_lock, read_lock
from modelprep.recipe.outside import DOWNLOADED, UNPACKED, RecipeUrl, recipe_url
from modelprep.recipe.schema import Asset, Digests, Source
from modelprep.store import Store
from modelprep.store.disk import storage, write_atomic
from modelprep.store.memo import hash_file
from modelprep.structs import dataclass
from modelprep.url import Url, redact

#: Limits of an archive of recipes: its bytes, bytes per file and in total, number of files.
LARGEST_ARCHIVE, LARGEST_FILE, LARGEST_ALL, MOST_FILES = 64 << 20, 32 << 20, 256 << 20, 20_000


@dataclass(frozen=True)
class Surroundings:
    """Store (None: the default) and network for opening recipes, as for a fetch.

    `lockfile` pins the recipes (None: no lock file, so a URL needs its checksum); `locked` refuses to add a pin.
    """

    cache: Path | None = None
    mirrors: tuple[str, ...] = ()
    offline: bool = False
    allow_private: bool | None = None
    lockfile: Path | None = None
    locked: bool = False


@dataclass(frozen=True)
class RecipeFolder:
    """A folder of recipes, its name as given, without secrets, and URL and checksum of its archive, if any."""

    path: Path
    named: str
    url: str = ""
    sha256: str = ""


def open_source(text: str, around: Surroundings, listen: Listener = silent) -> RecipeFolder:
    """Return the folder of a value of ``--recipes``.

    Raises `UsageError` for what is not a folder, an archive or a URL, `FetchError` for a URL without checksum and pin,
    and what downloading, checking and unpacking raise.
    """
    if (url := recipe_url(text)) is not None:
        return _downloaded(url, around, listen)
    path = Path(text).expanduser()
    if path.is_file():
        sha256, _ = hash_file(path)
        folder = unpack(path, Store.open(around.cache).root / UNPACKED / sha256)
        return RecipeFolder(folder, str(path), sha256=sha256)
    return RecipeFolder(path, str(path))


def _downloaded(url: RecipeUrl, around: Surroundings, listen: Listener) -> RecipeFolder:
    pins = read_lock(around.lockfile) if around.lockfile is not None else {}
    pin = pins.get(url.lock_key)
    if pin is not None and url.sha256 not in ("", pin.sha256):
        raise DigestMismatch(
            "the lock file pins another version of these recipes",
            where=str(around.lockfile),
            expected=f"sha256 {pin.sha256}",
            got=f"sha256 {url.sha256}",
            hint=quoting.command(
                "modelprep", "recipe", "update", "--recipes", f"{redact(url.url)}#sha256={url.sha256}"
            ),
        )
    if pin is None and not url.sha256 and (around.lockfile is None or around.locked):
        raise FetchError(
            "these recipes have no checksum, and no lock file pins them",
            where=redact(url.url),
            expected=f"{redact(url.url)}#sha256=DIGEST",
            hint="add the checksum, or let `modelprep fetch` pin them on first use",
        )
    if pin is None and url.sha256 and around.locked:
        raise FetchError(
            "the lock file does not pin these recipes, and --locked refuses to add a pin", where=redact(url.url)
        )
    here = pin.first_seen_from if pin is not None else url.url
    folder, made = fetch_recipes(here, pin.sha256 if pin is not None else url.sha256, around, listen)
    if pin is None and around.lockfile is not None:
        pin_recipes(around.lockfile, {url.lock_key: made})
    return RecipeFolder(folder, redact(url.url), redact(here), made.sha256)


def fetch_recipes(
    url: str, sha256: str, around: Surroundings, listen: Listener = silent, *, again: bool = False
) -> tuple[Path, Pin]:
    """Download an archive of recipes, unless it is cached, and unpack it into the store.

    `sha256` is empty on first use; `again` downloads an unpinned archive even if it is cached.
    """
    store = Store.open(around.cache)
    home = store.root / DOWNLOADED
    pinned = Digests({"sha256": sha256} if sha256 else {})
    asset = Asset(id="recipes", sources=(Source(Url(url)),), digests=pinned, pin="published" if sha256 else "first-use")
    if sha256 and (home / sha256).is_dir():
        blob = store.get(sha256)
        return _root(home / sha256), Pin(sha256, blob.size if blob is not None else 0, url)
    policy = Policy(
        mirrors=around.mirrors, offline=around.offline, archives=False, allow_private=around.allow_private,
        max_bytes=LARGEST_ARCHIVE,
    )  # fmt: skip
    fetcher = Fetcher(store, policy, listen=listen)
    if again and not sha256:
        store.forget_alias(FIRST, identity(asset, fetcher.want(asset)))
    name = PurePosixPath(url).name
    try:
        blob = fetcher.fetch(fetcher.plan(asset, (name,))).blob
    except (FetchError, DigestMismatch) as error:
        # No asset of a demo: the archive is named with another option than the command at the end of the hint.
        lines = (error.hint or "").split("\n")[:-1]
        raise error.but(hint="\n".join([*lines, f"then name the file: {quoting.command('--recipes', name)}"])) from None
    if blob.size > LARGEST_ARCHIVE:
        raise _too_large(Path(url), f"{blob.size} bytes")
    return unpack(blob.path, home / blob.sha256), Pin(blob.sha256, blob.size, url)


def pin_recipes(lockfile: Path, pins: Mapping[str, Pin]) -> None:
    """Add pins of recipes to a lock file."""
    write_atomic(lockfile, format_lock({**read_lock(lockfile), **pins}).encode())


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive of recipes, completely or not at all, and return its folder of recipes.

    Only regular files with names inside the folder are unpacked; names that begin with a dot are left out.
    """
    if folder.is_dir():
        return _root(folder)
    from modelprep.formats.archive import members

    found = {name: size for name, size in members.members(archive) if not _hidden(name)}
    if len(found) > MOST_FILES or sum(found.values()) > LARGEST_ALL:
        raise _too_large(archive, f"{len(found)} files of {sum(found.values())} bytes")
    if not found:
        raise StepError("the archive contains no recipes", where=str(archive))
    import tempfile

    with storage(folder, doing="unpack the recipes"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        temporary.chmod(0o755)
        try:
            for name in found:
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            members.extract_members(archive, {name: temporary / name for name in found}, max_bytes=LARGEST_FILE)
            with suppress(OSError):  # another process was faster
                temporary.rename(folder)
        finally:
            import shutil

            shutil.rmtree(temporary, ignore_errors=True)
    return _root(folder)


def _too_large(archive: Path, got: str) -> StepError:
    expected = f"at most {MOST_FILES} files of {LARGEST_ALL >> 20} MiB, in an archive of {LARGEST_ARCHIVE >> 20} MiB"
    return StepError("too large for an archive of recipes", where=str(archive), expected=expected, got=got)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def _root(folder: Path) -> Path:
    """Find the recipes in an unpacked archive: below the top folder that git hosts add, in ``recipes/``."""
    entries = sorted(folder.iterdir())
    around = entries[0] if len(entries) == 1 and entries[0].is_dir() else folder
    for base in (folder, around):
        if (base / "recipes").is_dir():
            return base / "recipes"
    # A folder that directly contains recipes is a group, not a top folder.
    return folder if any(around.glob("*.y*ml")) else around
