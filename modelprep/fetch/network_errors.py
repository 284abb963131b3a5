"""Network failures in words, and whether to retry."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

MAX_REDIRECTS = 10
#: Why a host was not reached: its name was not found, no connection was made, or it was refused (by the host or a
#: firewall); empty if it was reached.
Unreached = Literal["", "unresolved", "unreachable", "refused"]

_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})


class Broken(Exception):
    """A failed request, for the cause `text` (never a URL).

    `retry`: the same request may succeed later, in at most `attempts` attempts if that is less than the policy's;
    `retry_after` are the seconds that the server asks to wait, or None. `answered`: a server answered at all;
    `connected`: a connection was made, so that the server may have refused the request; `unreached`: why the host was
    not reached, which may be due to this machine's network; empty for other failures.
    """

    def __init__(
        self,
        text: str,
        *,
        retry: bool,
        attempts: int | None = None,
        retry_after: float | None = None,
        answered: bool = True,
        connected: bool = True,
        unreached: Unreached = "",
    ) -> None:
        super().__init__(text)
        self.text = text
        self.retry = retry
        self.attempts = attempts
        self.retry_after = retry_after
        self.answered = answered
        self.connected = connected
        self.unreached: Unreached = unreached


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it wraps, as requests and urllib3 wrap them."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        more = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting.extend(e for e in more if isinstance(e, BaseException))


def _unconnected(text: str, *, retry: bool, attempts: int | None = None, unreached: Unreached = "") -> Broken:
    return Broken(text, retry=retry, attempts=attempts, answered=False, connected=False, unreached=unreached)


def _bad_ca_bundle() -> str:
    """Return the problem with the CA bundle of the environment; empty if there is none."""
    import ssl

    name = next((each for each in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if os.environ.get(each)), "")
    if not name:
        return ""
    path = Path(os.environ[name])
    if not path.exists():
        return f"there is no CA bundle at {path} (set by {name})"
    try:
        if path.is_file():
            ssl.create_default_context(cafile=str(path))
    except (OSError, ValueError) as error:
        if getattr(error, "errno", 0) == errno.ENOMEM or getattr(error, "reason", "") is None:
            raise MemoryError from error  # OpenSSL reports an unknown error, without a reason
        return f"{path} (set by {name}) is not a CA bundle (certificates in PEM format)"
    return ""


def classify(error: Exception, *, body: bool = False) -> Broken:
    """Describe a failed request, and whether to retry it.

    Parameters
    ----------
    body
        The failure occurred in the body, so a server had answered.
    """
    import socket
    import ssl

    import requests
    from urllib3.exceptions import HTTPError, IncompleteRead

    if isinstance(error, Broken):
        return error
    if (bundle := _bad_ca_bundle()) and not body:
        return _unconnected(bundle, retry=False)
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM):
            raise cause  # not a network error

    def has(*kinds: type[BaseException]) -> Any:
        return next((c for c in causes if isinstance(c, kinds)), None)

    if (bad := has(ssl.SSLCertVerificationError)) is not None:
        why = getattr(bad, "verify_message", "") or "verification failed"
        return _unconnected(f"the server's TLS certificate is not trusted: {why}", retry=False)
    if has(requests.exceptions.SSLError, ssl.SSLError) and not body:
        return _unconnected("the TLS connection failed", retry=True, attempts=2)
    if (lookup := has(socket.gaierror)) is not None:
        temporary = lookup.errno == socket.EAI_AGAIN
        text = "the host's name cannot be looked up" + (" at the moment" if temporary else ": no such host")
        return _unconnected(text, retry=temporary, attempts=2, unreached="unresolved")
    if has(requests.exceptions.ProxyError) or any(type(cause).__module__ == "socks" for cause in causes):
        return _unconnected("the proxy refused to connect", retry=True, attempts=2, unreached="unreachable")
    if has(requests.TooManyRedirects):
        return Broken(f"redirected more than {MAX_REDIRECTS} times", retry=False)
    if has(ConnectionRefusedError):
        return _unconnected("connection refused", retry=True, attempts=2, unreached="refused")
    if has(requests.ConnectTimeout):
        return _unconnected("no connection within the time allowed", retry=True, attempts=2, unreached="unreachable")
    if has(requests.ReadTimeout, TimeoutError) or "timed out" in str(error).lower():
        return Broken("stalled: no more data", retry=True, answered=body)
    if has(requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
        return _unconnected("the URL, or where it redirects to, is not usable", retry=False)
    if (unreachable := has(OSError)) is not None and unreachable.errno in _UNREACHABLE:
        return _unconnected("the host cannot be reached", retry=True, attempts=2, unreached="unreachable")
    if has(IncompleteRead) or body:
        return Broken("the connection was cut", retry=True)
    if isinstance(error, (requests.ConnectionError, HTTPError, OSError)):
        return Broken("the connection was closed before an answer", retry=True, answered=False)
    return Broken(f"the exchange failed ({type(error).__name__})", retry=False, answered=False)


def no_network(hosts: Mapping[str, Unreached], *, online: bool = False) -> str:
    """Say in a few words that no host was reached.

    Parameters
    ----------
    hosts
        Why each was not reached; at least one.
    online
        Another host has answered, so there is a network.

    >>> no_network({"a.org": "unresolved", "b.org": "unresolved"}), no_network({"a.org": "unreachable"})
    ('no network (0 of 2 hosts resolved)', 'no network, or a.org is down (no connection)')
    """
    if len(hosts) == 1:
        ((host, how),) = hosts.items()
        if how == "refused":
            return f"{host} refuses connections"
        said = f"{host} is {'gone (name not resolved)' if how == 'unresolved' else 'down (no connection)'}"
        return said if online else f"no network, or {said}"
    done = "resolved" if set(hosts.values()) == {"unresolved"} else "reached"
    return f"none of {len(hosts)} hosts {done}" if online else f"no network (0 of {len(hosts)} hosts {done})"
