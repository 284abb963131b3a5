"""A URL that keeps its secrets: what is printed, stored or written as JSON is redacted.

A query is public if it is part of the packaged catalogue or if every parameter is on a list of those that name a file
or a way to send it; the values of any other query are secret, and so is user info. Only :meth:`Url.reveal` returns the
raw text; only the HTTP request and the functions that parse URLs call it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

REDACTED = "REDACTED"
#: Query parameters that name a file, a version of it or how to send it, and are never credentials.
PUBLIC_PARAMETERS = frozenset(
    {
        "alt", "attachment", "at", "branch", "cid", "commit", "confirm", "disposition", "dl", "download", "export",
        "ext", "f", "file", "file_id", "file_name", "fileid", "filename", "fname", "format", "h", "hb", "id", "inline",
        "isallowed", "lang", "mirror", "name", "path", "p", "raw", "ref", "ref_type", "release", "resid", "rev",
        "revision", "sequence", "size", "tag", "type", "use_mirror", "usp", "v", "ver", "version", "viasf", "view",
    }
)  # fmt: skip
#: Secrets of URLs in this process: `scrub` removes them from texts of other programs and libraries.
_held: set[str] = set()
#: A shorter secret is not searched for in texts: it would match everywhere.
_SHORTEST = 6
_IN_TEXT = re.compile(r"(?i)\b(?:https?|ftp|socks[45]?h?)://[^\s'\"<>()\[\]{}\\^`|]+")


def _parts(raw: str) -> SplitResult:
    try:
        parts = urlsplit(raw)
        _ = parts.hostname, parts.port
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


class Url:
    """One URL.

    Parameters
    ----------
    raw
        As it is requested.
    public
        True if its query is known to be public (the URL is part of the packaged catalogue).
    place
        Where it is written (``FILE:LINE``), for commands that refer to it without showing it.
    """

    __slots__ = ("_parts", "_raw", "_shown", "place", "public")

    def __init__(self, raw: str, *, public: bool = False, place: str = "") -> None:
        self._raw = raw
        self.public = public
        self.place = place
        self._parts: SplitResult | None = None
        self._shown = ""
        if "?" in raw or "@" in raw:
            _held.update(self._secrets())

    def reveal(self) -> str:
        """Return the raw text, for a request or for parsing: never for a message or a file."""
        return self._raw

    def derived(self, raw: str) -> Url:
        """Return another form of the same URL (the direct form of a share link): as public as this one."""
        return Url(raw, public=self.public, place=self.place)

    def joined(self, location: str) -> Url:
        """Return the URL that a redirect from here leads to; its query is not known to be public."""
        return Url(urljoin(self._raw, location), place=self.place)

    @property
    def parts(self) -> SplitResult:
        """The parsed URL, including its secrets; empty parts if it cannot be parsed."""
        if self._parts is None:
            self._parts = _parts(self._raw)
        return self._parts

    @property
    def scheme(self) -> str:
        """``http``, ``https`` or ``file``, in lower case."""
        return self.parts.scheme

    @property
    def host(self) -> str:
        """The host in lower case, without a port; empty if there is none."""
        return (self.parts.hostname or "").lower()

    @property
    def netloc(self) -> str:
        """Host and port in lower case, without user info."""
        return self.parts.netloc.rpartition("@")[2].lower()

    @property
    def path(self) -> str:
        """The path, percent-encoded."""
        return self.parts.path

    @property
    def is_local(self) -> bool:
        """True for a ``file:`` URL."""
        return self._raw.lower().startswith("file:")

    @property
    def secret(self) -> bool:
        """True if a part must not be shown: user info, or a query that is not public."""
        return (
            ("?" in self._raw or "@" in self._raw)
            and not self.is_local
            and ("@" in self.parts.netloc or not self._query_is_public())
        )

    @property
    def query_digest(self) -> str:
        """Stand-in for a secret query in names: the first 16 hexadecimal digits of its SHA-256; empty if public."""
        if "?" not in self._raw or self.is_local or self._query_is_public():
            return ""
        return hashlib.sha256(self.parts.query.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    @property
    def key(self) -> str:
        """A text that identifies the URL without its secrets, for the store and for keys."""
        shown = str(self)
        return f"{shown.partition('?')[0]}?{digest}" if (digest := self.query_digest) else shown

    def _query_is_public(self) -> bool:
        return self.public or all(
            name in PUBLIC_PARAMETERS and "//" not in unquote(value)  # a URL in a URL may have other secrets
            for name, value in parameters(self.parts.query)
        )

    def _secrets(self) -> set[str]:
        if self.is_local:
            return set()
        parts = self.parts
        found = {part for part in parts.netloc.rpartition("@")[0].split(":", 1) if part}
        if not self._query_is_public():
            found.update(value for _, value in parameters(parts.query))
        found |= {unquote(text) for text in found}
        return {text for text in found if len(text) >= _SHORTEST}

    def __str__(self) -> str:
        self._shown = self._shown or self._redacted()
        return self._shown

    def _redacted(self) -> str:
        if self.is_local or _is_plain(self._raw):
            return self._raw
        parts = self.parts
        if not parts.scheme or not parts.netloc:
            return "(not a URL)"
        user, at, host = parts.netloc.rpartition("@")
        path = re.sub(r"//[^/?#@]+@", f"//{REDACTED}@", parts.path)
        query = parts.query if self._query_is_public() else "&".join(_without_values(parts.query))
        return f"{parts.scheme}://{REDACTED + at if user or at else ''}{host}{path}{'?' + query if query else ''}"

    def __repr__(self) -> str:
        return f"Url({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return self._raw == (other._raw if isinstance(other, Url) else other)

    def __hash__(self) -> int:
        return hash(self._raw)

    def __bool__(self) -> bool:
        return bool(self._raw)


def _is_plain(raw: str) -> bool:
    """Return whether a URL consists of scheme, host and path in plain letters: nothing in it needs a change."""
    scheme, _, rest = raw.partition("://")
    plain = scheme in ("https", "http") and rest.isascii() and rest.isprintable() and rest[:1] not in ("", "/")
    return plain and not any(mark in rest for mark in "?#@:[]\\ ")


def parameters(query: str) -> Iterable[tuple[str, str]]:
    """Yield the parameters of a query: name in lower case, decoded, and value as written (it may be a lone token)."""
    for piece in re.split("[&;]", query):
        name, equals, value = piece.partition("=")
        if piece:
            yield (unquote(name).strip().lower(), value) if equals else ("", piece)


def _without_values(query: str) -> Iterable[str]:
    for piece in re.split("[&;]", query):
        name, equals, _ = piece.partition("=")
        if piece:
            yield f"{name}={REDACTED}" if equals else REDACTED


def redact(text: str) -> str:
    """Return a redacted form of a URL, whose query is not known to be public."""
    return str(Url(text))


def scrub(text: str) -> str:
    """Remove the secrets of URLs, also of each :class:`Url` and of proxies, from text of other programs."""
    text = _IN_TEXT.sub(lambda match: redact(match[0]), text)
    proxies = [value for name, value in os.environ.items() if name.lower().endswith("_proxy")]
    held = _held.union(*(_user_info(value) for value in proxies))
    for secret in sorted(held, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return text


def redact_proxy(text: str) -> str:
    """Return a redacted form of a proxy's address, with or without a scheme."""
    address, at, host = text.rpartition("@")
    return f"{address[: address.find('://') + 3] if '://' in address else ''}{REDACTED}@{host}" if at else text


def _user_info(proxy: str) -> set[str]:
    user_info = proxy.rpartition("@")[0].rpartition("://")[2]
    _, _, password = user_info.partition(":")
    return {text for text in (password, unquote(password)) if len(text) >= _SHORTEST}
