"""What went wrong on the network, in words, and whether asking again makes sense."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

MAX_REDIRECTS = 10

_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})


class Broken(Exception):
    """An exchange that did not give the bytes.

    Parameters
    ----------
    text
        What happened, for people; never a URL.
    retry
        Whether the same request may succeed later.
    attempts
        How often at most in all, where that is less than the policy's.
    retry_after
        Seconds the server asks to wait, or None.
    answered
        Whether a server answered at all.
    """

    def __init__(
        self,
        text: str,
        *,
        retry: bool,
        attempts: int | None = None,
        retry_after: float | None = None,
        answered: bool = True,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.retry = retry
        self.attempts = attempts
        self.retry_after = retry_after
        self.answered = answered


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and all that it wraps, in whatever way requests and urllib3 wrap."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        more = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting.extend(e for e in more if isinstance(e, BaseException))


def classify(error: Exception, *, body: bool = False) -> Broken:
    """Say in words what a failed exchange was, and whether it is worth another try.

    Parameters
    ----------
    body
        It happened while the body came, so a server had answered.
    """
    import socket
    import ssl

    import requests
    from urllib3.exceptions import HTTPError, IncompleteRead

    if isinstance(error, Broken):
        return error
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM):
            raise cause  # nothing of the network

    def has(*kinds: type[BaseException]) -> Any:
        return next((c for c in causes if isinstance(c, kinds)), None)

    if (bad := has(ssl.SSLCertVerificationError)) is not None:
        why = getattr(bad, "verify_message", "") or "it does not verify"
        return Broken(f"the server's TLS certificate is not trusted: {why}", retry=False, answered=False)
    if has(requests.exceptions.SSLError, ssl.SSLError) and not body:
        return Broken("no TLS connection could be made", retry=True, attempts=2, answered=False)
    if (lookup := has(socket.gaierror)) is not None:
        temporary = lookup.errno == socket.EAI_AGAIN
        text = "the host's name cannot be looked up" + (" at the moment" if temporary else ": no such host")
        return Broken(text, retry=temporary, attempts=2, answered=False)
    if has(requests.exceptions.ProxyError):
        return Broken("the proxy would not connect", retry=True, attempts=2, answered=False)
    if has(requests.TooManyRedirects):
        return Broken(f"redirected more than {MAX_REDIRECTS} times", retry=False)
    if has(ConnectionRefusedError):
        return Broken("connection refused", retry=True, attempts=2, answered=False)
    if has(requests.ConnectTimeout):
        return Broken("no connection within the time allowed", retry=True, attempts=2, answered=False)
    if has(requests.ReadTimeout, TimeoutError) or "timed out" in str(error).lower():
        return Broken("stalled: nothing came any more", retry=True, answered=body)
    if has(requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
        return Broken("it, or where it redirects to, is not a usable URL", retry=False, answered=False)
    if (unreachable := has(OSError)) is not None and unreachable.errno in _UNREACHABLE:
        return Broken("the host cannot be reached", retry=True, attempts=2, answered=False)
    if has(IncompleteRead) or body:
        return Broken("the connection was cut", retry=True)
    if isinstance(error, (requests.ConnectionError, HTTPError, OSError)):
        return Broken("the connection broke before an answer came", retry=True, answered=False)
    return Broken(f"the exchange failed ({type(error).__name__})", retry=False, answered=False)
