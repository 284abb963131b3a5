"""HTTP connections: only to addresses that the policy permits, with a watchdog, through any proxy.

One :class:`Client` makes single requests; the caller follows redirects, with a :class:`Chain` that records them.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from modelprep.fetch.addresses import allowed_by_environment, kind_of_host
from modelprep.fetch.network_errors import Broken, classify
from modelprep.fetch.sessions import new_session
from modelprep.fetch.slots import Slot
from modelprep.fetch.watchdog import Watchdog
from modelprep.url import Url, redact_proxy

if TYPE_CHECKING:
    import requests

#: Why a private address may not be contacted; empty if it may.
REDIRECTED = "a public server redirects there; --allow-private permits it"
FORBIDDEN = "--no-allow-private forbids it"
_PROXY_SCHEMES = ("http", "https", "socks", "socks4", "socks4a", "socks5", "socks5h")


class Chain:
    """A request and the redirects that follow from it. If a digest verifies the file, https may redirect to http."""

    def __init__(self, url: Url, *, pinned: bool) -> None:
        self.url = url
        self.public = False
        self.auth: tuple[str, str] | None = None
        self._pinned = pinned

    def follow(self, response: requests.Response, session: requests.Session) -> bool:
        """Follow a redirect; False for any other answer; Broken if the policy forbids the URL or it is not valid."""
        from requests.utils import get_auth_from_url

        target = session.get_redirect_target(response)
        if target is None:
            return False
        try:
            onward = self.url.joined(target)
        except ValueError:
            onward = Url("")
        if not onward.scheme:
            raise Broken("redirects to an invalid URL", retry=False)
        if self.url.scheme == "https" and onward.scheme == "http" and not self._pinned:
            raise Broken("redirects from https to unprotected http, and no checksum is pinned", retry=False)
        auth = self.auth or get_auth_from_url(self.url.reveal())
        stays = not session.should_strip_auth(self.url.reveal(), onward.reveal())  # type: ignore[no-untyped-call]
        self.auth = auth if any(auth) and stays else None
        self.url = onward
        return True


class Client:
    """Makes requests, each through the slot that the calling thread holds, else through the thread's own slot.

    Connect timeout and read timeout (headers, and between bytes of the body) in seconds. `allow_private` None: as
    ``MODELPREP_ALLOW_PRIVATE`` says, else private addresses are allowed unless a public server redirects there.
    """

    def __init__(self, connect_timeout: float, stall_timeout: float, *, allow_private: bool | None = None) -> None:
        self._timeouts = (connect_timeout, stall_timeout)
        self._allow_private = allowed_by_environment() if allow_private is None else allow_private
        self._local = threading.local()
        self._environment: dict[tuple[str, str], _Settings] = {}

    @contextlib.contextmanager
    def through(self, slot: Slot) -> Iterator[None]:
        """Send the requests of the calling thread through a slot that it holds."""
        before = self._slot
        self._local.slot = slot
        try:
            yield
        finally:
            self._local.slot = before

    @property
    def _slot(self) -> Slot:
        if not hasattr(self._local, "slot"):
            self._local.slot = Slot()
        slot: Slot = self._local.slot
        return slot

    @property
    def watchdog(self) -> Watchdog:
        """The watchdog of the slot in use."""
        return self._slot.watchdog

    def request(self, method: str, chain: Chain, headers: Mapping[str, str]) -> requests.Response:
        """Request the current URL of a chain; a redirect is returned like any answer, its body unread.

        Raises Broken without an answer, or if the policy forbids the request.
        """
        session = self.session(chain)
        watchdog = self.watchdog
        watchdog.handle, watchdog.peer = None, ""
        try:
            with watchdog.limit(sum(self._timeouts)):
                response = self._send(session, method, chain, headers)
        except Exception as error:
            if watchdog.fired:
                raise self._stalled() from error
            raise _with_proxy(classify(error), self._proxy_of(chain.url)) from error
        if watchdog.fired:  # headers that end with the connection would count as complete
            response.close()
            raise self._stalled()
        chain.public = chain.public or self._is_public(chain.url, watchdog.peer)
        return response

    def _send(
        self, session: requests.Session, method: str, chain: Chain, headers: Mapping[str, str]
    ) -> requests.Response:
        """Send what a session would, prepared once a place: that is most of what a request costs."""
        import requests
        from requests.cookies import extract_cookies_to_jar

        text, settings = chain.url.reveal(), self._settings(chain.url)
        if chain.auth or len(session.cookies):
            auth = chain.auth or settings.auth
            request = session.prepare_request(requests.Request(method, text, headers, auth=auth))
        else:
            if method not in settings.prepared:
                first = requests.Request(method, text, auth=settings.auth)
                settings.prepared[method] = session.prepare_request(first)
            request = copy.copy(settings.prepared[method])
            request.prepare_url(text, None)
            request.headers = request.headers.copy()
            request.headers.update(headers)
        adapter = session.get_adapter(request.url or "")
        response = adapter.send(request, timeout=self._timeouts, **settings.sending)
        if "Set-Cookie" in response.headers:
            extract_cookies_to_jar(session.cookies, request, response.raw)  # type: ignore[no-untyped-call]
        return response

    def _settings(self, url: Url) -> _Settings:
        """Return the environment's settings for a host: proxies, netrc, CAs; requests would look them up every time."""
        place = (url.scheme, url.parts.netloc)
        if place not in self._environment:
            self._environment[place] = _Settings(url)
        return self._environment[place]

    def _proxy_of(self, url: Url) -> str:
        """Return the proxy that the environment names for a URL; empty for none."""
        from requests.utils import select_proxy

        try:
            return select_proxy(url.reveal(), self._settings(url).sending["proxies"]) or ""
        except ValueError:
            return ""

    def _is_public(self, url: Url, peer: str) -> bool:
        """Say whether a server that answered is on the public network; behind a proxy its name decides."""
        return _kind_of_host(url.host if self._proxy_of(url) or not peer else peer) == "public"

    def _stalled(self) -> Broken:
        text = f"stalled: no answer within {sum(self._timeouts):g} s"
        return Broken(text, retry=True, answered=False)

    def session(self, chain: Chain) -> requests.Session:
        """Return the session with a chain's permissions."""
        why = ""
        if self._allow_private is False:
            why = FORBIDDEN
        elif self._allow_private is None and chain.public:
            why = REDIRECTED
        watchdog, sessions = self.watchdog, self._slot.sessions
        if why not in sessions:
            sessions[why] = new_session(watchdog, why)
            for other in sessions.values():
                sessions[why].cookies = other.cookies  # a redirect may set cookies that the next request needs
                break
        return sessions[why]


class _Settings:
    """What the environment says about the place of a URL, and requests that were prepared for it.

    `sending` (proxies, CAs) is for the adapter, `auth` is from netrc. `prepared`: method -> a request to the place,
    whatever its path, without cookies and further headers.
    """

    def __init__(self, url: Url) -> None:
        import requests
        from requests.utils import get_netrc_auth

        text = url.reveal()
        self.sending: dict[str, Any] = dict(requests.Session().merge_environment_settings(text, {}, True, None, None))
        self.auth = get_netrc_auth(text)
        self.prepared: dict[str, requests.PreparedRequest] = {}


#: The kind of an address is determined once, not at every request.
_kind_of_host = lru_cache(maxsize=256)(kind_of_host)


def _with_proxy(broken: Broken, proxy: str) -> Broken:
    """Name the proxy in a failure before a server answered; one that is no URL of a proxy is the cause itself."""
    if not proxy or broken.answered:
        return broken
    shown = redact_proxy(proxy)
    if not _usable(proxy):
        return Broken(f"the proxy in the environment, {shown}, is not a usable URL", retry=False, answered=False)
    if shown not in broken.text:
        broken.text += f" ({shown})" if "the proxy" in broken.text else f" (through the proxy {shown})"
    return broken


def _usable(proxy: str) -> bool:
    from requests.utils import prepend_scheme_if_needed
    from urllib3.util import parse_url

    try:
        parsed = parse_url(prepend_scheme_if_needed(proxy, "http"))  # type: ignore[no-untyped-call]
        return parsed.scheme in _PROXY_SCHEMES and bool((parsed.host or "").encode("idna"))
    except ValueError:  # of urllib3 and of the codec alike
        return False
