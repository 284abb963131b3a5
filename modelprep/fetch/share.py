"""Google Drive's "too large to scan for viruses" page: it contains a form, and submitting it returns the file."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

from modelprep.url import Url

#: Maximum size of such a page in bytes.
PAGE_LIMIT = 256 * 1024
_HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")


class Confirm(Exception):
    """The page has a form: `url` is its target."""

    def __init__(self, url: Url) -> None:
        super().__init__("a page asks for confirmation")
        self.url = url


def asks(url: Url) -> bool:
    """Say whether the host of `url` sends such pages."""
    return url.host in _HOSTS


def confirm(url: Url, page: bytes) -> None:
    """Raise :class:`Confirm` if `page`, received from `url`, is a confirmation page with a new target."""
    if asks(url) and (onward := form_target(url, page)) is not None and onward != url and asks(onward):
        raise Confirm(onward)


def form_target(url: Url, page: bytes) -> Url | None:
    """Return the URL of the page's download form with all its hidden fields; None without such a form."""
    form = _Form()
    form.feed(page.decode("utf-8", "replace"))
    if form.action is None or not form.fields:
        return None
    target = urljoin(url.reveal(), form.action)
    return url.derived(f"{target}{'&' if urlsplit(target).query else '?'}{urlencode(form.fields)}")


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: list[tuple[str, str]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and values.get("id") in ("download-form", "downloadForm"):
            self.action, self._inside = values.get("action", ""), True
        elif tag == "input" and self._inside and values.get("type", "hidden") == "hidden" and values.get("name"):
            self.fields.append((values["name"], values.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
