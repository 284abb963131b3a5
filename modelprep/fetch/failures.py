"""How one source failed, and how that becomes the error that a user reads when all have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from modelprep.errors import DigestMismatch, FetchError, ModelprepError
from modelprep.fetch import urls
from modelprep.quoting import command, operand, sh
from modelprep.recipe.schema import Asset
from modelprep.store.disk import human

if TYPE_CHECKING:
    from modelprep.fetch.sniff import Looks


class SourceFailed(Exception):
    """One source did not give the file.

    Parameters
    ----------
    text
        The outcome in a few words, without any URL.
    mismatch
        A file came, and it is another one.
    looks
        What came looks like, when something did.
    got
        Digest and size of what came, when all of it did.
    digests, size
        The same for whoever compares: digests by algorithm where all of it came, bytes where they are known.
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
    ) -> None:
        super().__init__(text)
        self.text = text
        self.mismatch = mismatch
        self.looks = looks
        self.got = got
        self.digests = digests
        self.size = size


@dataclass(frozen=True)
class Want:
    """The file that is wanted from one URL.

    Parameters
    ----------
    name
        Its own name, for people and for what a page would be called.
    digests
        What it must have; empty takes it as it is.
    size
        Bytes, None when not known.
    """

    name: str
    digests: Mapping[str, str]
    size: int | None

    @property
    def may_be_page(self) -> bool:
        """Whether an HTML page could be the file itself."""
        return self.name.lower().endswith((".html", ".htm", ".xhtml"))

    def replaced_by(self, looks: Looks) -> bool:
        """Whether what came is something that servers send *in place of* a file, rather than another file."""
        suffix = {"xml": ".xml", "json": ".json"}.get(looks.kind)
        if suffix is not None and self.name.lower().endswith(suffix):
            return False
        return looks.is_page and not (looks.kind == "web page" and self.may_be_page)

    def __str__(self) -> str:
        size = f", {human(self.size)}" if self.size is not None else ""
        digest = next((f", {k} {v}" for k, v in _by_strength(self.digests)), "")
        return f"{self.name}{size}{digest}"


def _by_strength(digests: Mapping[str, str]) -> list[tuple[str, str]]:
    from modelprep.recipe.schema import ALGORITHMS

    return [(a, digests[a]) for a in ALGORITHMS if a in digests]


@dataclass(frozen=True)
class Tried:
    """One source that was tried: what to show of it, and how it failed (None: it was not asked)."""

    shown: str
    text: str
    failure: SourceFailed | None = None

    def __str__(self) -> str:
        return f"{self.shown}: {self.text}"


def name_of(asset: Asset) -> str:
    """Give the file's own name, as good as it is known."""
    if asset.filename:
        return asset.filename
    for source in asset.sources:
        name = source.member.rpartition("/")[2] if source.member else urls.basename(source.url)
        if name:
            return name
    return asset.key


def by_hand(asset: Asset, want: Want) -> str:
    """Write the commands that end the matter by hand: a curl line and the ``--set``."""
    steps = []
    source = next((s for s in asset.sources if not s.member), asset.sources[0] if asset.sources else None)
    if source is not None:
        url = urls.direct_forms(source.url)[0][0]
        shown = f"<URL from {url.place or 'the recipe'}>" if url.secret else str(url)
        kept = (urls.basename(source.url) or "download") if source.member else want.name
        steps.append(command("curl", "-fL", "-C", "-", "-o", operand(kept), shown))
        if source.member:
            steps.append(f"take {source.member} out of it, as {want.name}")
    else:
        steps.append(f"find {want.name} elsewhere")
    steps.append(f"modelprep fetch ... --set {sh(f'{asset.id}={want.name}')}")
    return "get it by hand, in a browser or with these, and name the file:\n" + "\n".join(steps)


def all_failed(
    asset: Asset,
    want: Want,
    tried: Sequence[Tried],
    *,
    offline: bool,
    locked: bool,
    known: Iterable[Asset] = (),
) -> ModelprepError:
    """Make the error out of every source's failure.

    A :class:`DigestMismatch` when a file came and was another one, else a :class:`FetchError`.

    Parameters
    ----------
    known
        Assets that a file may turn out to be; looked at only when a wrong one came.
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
    kind: type[ModelprepError] = DigestMismatch if wrong is not None else FetchError
    what = (
        f"what the sources of '{asset.key}' gave is not the file that is wanted"
        if wrong is not None
        else f"'{asset.key}' could not be fetched"
    )
    return kind(
        what,
        where=f"asset {asset.id}",
        expected=str(want) + (f" (pinned by {asset.pinned_by})" if asset.pinned_by else ""),
        got=(arrived.got or None) if arrived is not None else None,
        looks_like=_looks_like(asset, arrived, known),
        hint=hint,
        tried=[str(t) for t in tried],
    )


def _looks_like(asset: Asset, arrived: SourceFailed | None, known: Iterable[Asset]) -> str | None:
    if arrived is None or arrived.looks is None:
        return None
    from modelprep.recipe.known import recognise

    file = recognise(arrived.digests, arrived.size, asset, known) if arrived.mismatch else ""
    return f"{arrived.looks}; {file}" if file else str(arrived.looks)


def content_failure(
    want: Want, looks: Looks, size: int, difference: tuple[str, str, str], digests: Mapping[str, str]
) -> SourceFailed:
    """Say that a whole file came and is another one; `difference` is of :func:`first_difference`."""
    algorithm, _, got = difference
    if want.replaced_by(looks) and size != want.size:
        return SourceFailed(f"gave {looks} instead of the file", looks=looks, got=f"{algorithm} {got}, {human(size)}")
    return SourceFailed(
        f"gave another file: {algorithm} {got}",
        mismatch=True,
        looks=looks,
        got=f"{algorithm} {got}, {human(size)}",
        digests=digests,
        size=size,
    )


def member_failure(
    want: Want, looks: Looks, size: int, difference: tuple[str, str, str], digests: Mapping[str, str]
) -> SourceFailed:
    """Say that a member of an archive is another file than the one wanted."""
    algorithm, _, got = difference
    return SourceFailed(
        f"its member {want.name} is another file: {algorithm} {got}",
        mismatch=True,
        looks=looks,
        got=f"{algorithm} {got}, {human(size)}",
        digests=digests,
        size=size,
    )
