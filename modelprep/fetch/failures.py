"""The failure of one source, and the error message when all have failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from modelprep.errors import DigestMismatch, FetchError, ModelprepError
from modelprep.fetch import urls
from modelprep.fetch.by_hand import FOLDER, download, is_archive
from modelprep.fetch.network_errors import Unreached, no_network
from modelprep.fetch.policy import Pin
from modelprep.quoting import command
from modelprep.recipe.schema import Asset
from modelprep.store.disk import human
from modelprep.structs import dataclass

if TYPE_CHECKING:
    from modelprep.fetch.sniff import Looks


class SourceFailed(Exception):
    """One source did not deliver the file, for the cause `text` (without a URL).

    `mismatch`: the received file is another one. `looks` is what the bytes look like, `got` their digest and size in
    words, `digests` and `size` the same for comparison, as far as known. `unreached`: why the host was not reached;
    empty if it was, or for a local file.
    """

    def __init__(
        self,
        text: str,
        *,
        mismatch: bool = False,
        looks: Looks | None = None,
        got: str = "",
        digests: Mapping[str, str] = MappingProxyType({}),
        size: int | None = None,
        unreached: Unreached = "",
    ) -> None:
        super().__init__(text)
        self.text = text
        self.mismatch = mismatch
        self.looks = looks
        self.got = got
        self.digests = digests
        self.size = size
        self.unreached = unreached


@dataclass(frozen=True)
class Want:
    """The file expected from one URL: its name, its digests (none: any file), its size in bytes or None."""

    name: str
    digests: Mapping[str, str]
    size: int | None

    def first_use_of(self, asset: Asset) -> bool:
        """Whether the lock file is to keep the sha256: nothing pins the asset, or a weak digest alone does."""
        return "sha256" not in self.digests and (
            asset.digests.weak() is not None or not (self.digests or asset.members)
        )

    @property
    def may_be_page(self) -> bool:
        """Whether an HTML page could be the file itself."""
        return self.name.lower().endswith((".html", ".htm", ".xhtml"))

    def replaced_by(self, looks: Looks) -> bool:
        """Whether the received bytes are an error page or the like, rather than another file."""
        suffix = {"xml": ".xml", "json": ".json"}.get(looks.kind)
        if suffix is not None and self.name.lower().endswith(suffix):
            return False
        return looks.is_page and not (looks.kind == "web page" and self.may_be_page)

    @property
    def checksum(self) -> str:
        """The strongest digest with its algorithm; empty if there is none."""
        return next((f"{algorithm} {value}" for algorithm, value in _by_strength(self.digests)), "")

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.name, human(self.size) if self.size is not None else "", self.checksum)))


def _by_strength(digests: Mapping[str, str]) -> list[tuple[str, str]]:
    from modelprep.recipe.schema import ALGORITHMS

    return [(a, digests[a]) for a in ALGORITHMS if a in digests]


@dataclass(frozen=True)
class Tried:
    """One source that was tried: its text, how it failed (None: it was not tried), its host if it has one."""

    shown: str
    text: str
    failure: SourceFailed | None = None
    host: str = ""

    def __str__(self) -> str:
        return f"{self.shown}: {self.text}"


def name_of(asset: Asset) -> str:
    """Return the file's own name, as far as it is known."""
    if asset.filename:
        return asset.filename
    for source in asset.sources:
        name = source.member.rpartition("/")[2] if source.member else urls.basename(source.url)
        if name:
            return name
    return asset.key


def pinned(asset: Asset, pins: Mapping[str, Pin]) -> tuple[Mapping[str, str], int | None]:
    """Return the digests and the size that an asset must have; `pins` of the lock file."""
    pin = pins.get(asset.lock_key) if pins else None
    if pin is not None and (asset.digests.weak() or not (asset.digests or asset.members)):
        return {**asset.digests.values, "sha256": pin.sha256}, pin.size
    return asset.digests.values, asset.size


def want_of(asset: Asset, pins: Mapping[str, Pin]) -> Want:
    """Return the expected file of an asset: name, digests and size; `pins` are those of the lock file."""
    return Want(name_of(asset), *pinned(asset, pins))


def unreached_hosts(tried: Iterable[Tried]) -> dict[str, Unreached]:
    """Return why each host was not reached; empty if one of them was, or if none was tried."""
    asked = [(each.host, each.failure.unreached) for each in tried if each.host and each.failure is not None]
    return dict(asked) if all(how for _, how in asked) else {}


def by_hand(asset: Asset, want: Want) -> str:
    """Write the commands of a manual download: a line that downloads the file, and the option that names it."""
    option = ("--mirror", FOLDER) if is_archive(asset) else ("--set", f"{asset.id}={want.name}")
    again = (
        command("modelprep", "fetch", asset.recipe, *option)
        if asset.recipe
        else f"add {command(*option)} to `modelprep fetch` with your targets"
    )
    return f"for a manual download:\n{download(asset, want.name)}\n{again}"


def all_failed(
    asset: Asset,
    want: Want,
    tried: Sequence[Tried],
    *,
    offline: bool,
    locked: bool,
    known: Iterable[Asset] = (),
    online: bool = False,
) -> ModelprepError:
    """Make the error from every source's failure.

    A :class:`DigestMismatch` if a wrong file was received, else a :class:`FetchError`. `known` are assets that a wrong
    file may turn out to be; `online`: a host has answered in this run.
    """
    failures = [t.failure for t in tried if t.failure is not None]
    wrong = next((f for f in failures if f.mismatch), None)
    arrived = wrong or next((f for f in failures if f.looks is not None), None)
    hint = by_hand(asset, want)
    if offline and not failures:
        hint = f"run again without --offline, or name a mirror that has it with --mirror;\n{hint}"
    if locked and wrong is not None:
        hint = (
            f"the file has changed since the first fetch; if you trust the new one, remove '{asset.lock_key}' from "
            f"modelprep.lock and fetch again;\n{hint}"
        )
    kind: type[ModelprepError] = DigestMismatch if wrong is not None else NotDownloaded
    file = f"{want.name} (asset {asset.key})"
    what = f"could not download {file}: {_cause(tried, offline=offline, online=online)}"
    if wrong is not None:
        what = f"the downloaded file is not the expected {file}"
    known_to_fail = [each for each in tried if each.failure is not None and not each.failure.unreached]
    hosts = unreached_hosts(tried)
    made = kind(
        what,
        where=f"asset {asset.id}",
        expected=str(want) + (f" (pinned by {asset.pinned_by})" if asset.pinned_by else ""),
        got=(arrived.got or None) if arrived is not None else None,
        looks_like=_looks_like(asset, arrived, known),
        hint=hint,
        tried=[str(t) for t in tried],
        brief=[str(t) for t in known_to_fail] if hosts or offline else None,
    )
    if isinstance(made, NotDownloaded):
        made.hosts, made.offline = hosts, offline
    return made


class NotDownloaded(FetchError):
    """An asset could not be downloaded from any source, and no wrong file was received."""

    #: Why each host was not reached, if that is the cause.
    hosts: Mapping[str, Unreached] = MappingProxyType({})
    #: Whether sources were skipped because of ``--offline``.
    offline: bool = False


def _cause(tried: Sequence[Tried], *, offline: bool, online: bool) -> str:
    if hosts := unreached_hosts(tried):
        return no_network(hosts, online=online)
    if offline:
        return "it is not cached, and --offline allows no download"
    return tried[0].text if len(tried) == 1 else f"none of {len(tried)} sources has it"


def _looks_like(asset: Asset, arrived: SourceFailed | None, known: Iterable[Asset]) -> str | None:
    if arrived is None or arrived.looks is None:
        return None
    from modelprep.recipe.known import recognise

    file = recognise(arrived.digests, arrived.size, asset, known) if arrived.mismatch else ""
    return f"{arrived.looks}; {file}" if file else str(arrived.looks)


def content_failure(
    want: Want, looks: Looks, size: int, difference: tuple[str, str, str], digests: Mapping[str, str], member: str = ""
) -> SourceFailed:
    """Make the failure for a complete but wrong file, or for a wrong `member` of an archive.

    `difference` is of :func:`first_difference`.
    """
    algorithm, _, digest = difference
    got = f"{algorithm} {digest}, {human(size)}"
    if not member and want.replaced_by(looks) and size != want.size:
        return SourceFailed(f"returned {looks} instead of the file", looks=looks, got=got)
    text = f"its member {member} is" if member else "returned"
    text += f" another file: {algorithm} {digest}"
    return SourceFailed(text, mismatch=True, looks=looks, got=got, digests=digests, size=size)
