"""Parse a destination as written for scp and rsync: a home written as ``~``, an IPv6 address, a URL."""

from __future__ import annotations

import re
from urllib.parse import unquote

from modelprep import quoting
from modelprep.errors import UsageError

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL | re.IGNORECASE)
_URL_PLACE = re.compile(r"(?P<login>(?:[^@/]*@)?(?:\[[^\]]*\]|[^:/]*))(?::(?P<port>\d*))?(?:/(?P<path>.*))?", re.DOTALL)
#: A password, which no message may repeat.
_PASSWORD = re.compile(r"(?<=[^/]):[^@/]*@")
#: Two or more colons without brackets: an IPv6 address, perhaps with a path that cannot be told apart.
_BARE_IPV6 = re.compile(r"(?P<user>[^@:/]+@)?(?P<address>[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:%\w+)?)(?P<rest>.*)",
                        re.DOTALL | re.IGNORECASE)  # fmt: skip


def plain_place(text: str) -> str:
    """Write a place as ``user@host[:path]`` with a path that needs no shell to be read.

    `text`: as the user wrote it. ``~/x`` is ``x``, since paths begin in the home of the login anyway. Raises
    UsageError: it is a URL, an IPv6 address without brackets, or the home of another user.
    """
    if url := _URL.fullmatch(text):
        place = _URL_PLACE.fullmatch(url["rest"])
        hint = None
        port = place is None or not place["port"] or 0 < int(place["port"]) < 1 << 16
        if url["scheme"].lower() in ("ssh", "scp", "sftp") and place is not None and port:
            user, at, host = place["login"].rpartition("@")
            path = unquote(place["path"] or "")
            # A path that begins with ~ is the home's in these URLs (as of git and sftp).
            path = f":{path}" if path == "~" or path.startswith("~/") else f":/{path}" if path else ""
            words = [f"{user.partition(':')[0]}{at}{unquote(host)}{path}"]
            if place["port"]:
                words += ["--ssh", quoting.command("ssh", "-p", place["port"])]
            hint = f"write it as scp does: {quoting.command(*words)}"
        raise UsageError(
            "expected an ssh destination, not a URL",
            got=_PASSWORD.sub("@", text),
            expected="user@host[:path]",
            hint=hint,
        )
    if address := _BARE_IPV6.fullmatch(text):
        user = address["user"] or ""
        raise UsageError(
            "an IPv6 address needs brackets, or its end would be read as a path",
            got=text,
            expected="user@[address]:path",
            hint=f"for example {user}[{address['address'].rstrip(':')}]",
        )
    login, colon, path = _cut(text)
    if path == "~" or path.startswith("~/"):
        return f"{login}{colon}{path[1:].lstrip('/')}"
    if path.startswith("~"):
        raise UsageError(
            "the home directory of another user is not supported",
            got=text,
            expected="~/path, an absolute path, or none",
        )
    return text


def _cut(text: str) -> tuple[str, str, str]:
    """Cut a place at the colon before the path, before which a bracketed address may contain others."""
    end = text.rfind("]") + 1 if re.match(r"(?:[^@/:]*@)?\[", text) else 0
    login, colon, path = text[end:].partition(":")
    return text[:end] + login, colon, path
