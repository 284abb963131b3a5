"""HTTP connections as this package makes them: to addresses that the policy permits, watched, through any proxy.

One :class:`Client` makes single requests; following redirects is up to the caller, with a :class:`Chain` that knows
where the chain has been.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelprep.fetch.addresses import allowed_by_environment, host_of, kind_of, kind_of_host, parse
from modelprep.fetch.network_errors import Broken, classify
from modelprep.fetch.slots import Slot
from modelprep.fetch.watchdog import Watchdog
from modelprep.url import Url, redact_proxy
from modelprep.version import __version__

if TYPE_CHECKING:
    import requests

#: Why a private address may not be asked. The empty text: it may.
REDIRECTED = "a public server redirects there; --allow-private permits it"
FORBIDDEN = "--no-allow-private forbids it"


class Chain:
    """A request and the redirects that follow from it.

    Parameters
    ----------
    url
        Where it begins.
    pinned
        Whether a digest will tell what comes: then https may lead to http.
    """

    def __init__(self, url: Url, *, pinned: bool) -> None:
        self.url = url
        self.public = False
        self.auth: tuple[str, str] | None = None
        self._pinned = pinned

    def follow(self, response: requests.Response, session: requests.Session) -> bool:
        """Move on to where a redirect leads; False for any other answer.

        Raises
        ------
        Broken
            The policy forbids going there, or it is no URL.
        """
        from requests.utils import get_auth_from_url

        target = session.get_redirect_target(response)
        if target is None:
            return False
        try:
            onward = self.url.joined(target)
        except ValueError:
            onward = Url("")
        if not onward.scheme:
            raise Broken("redirects to what is not a URL", retry=False)
        if self.url.scheme == "https" and onward.scheme == "http" and not self._pinned:
            raise Broken("redirects from https to http, which nothing protects, and no checksum is pinned", retry=False)
        auth = self.auth or get_auth_from_url(self.url.reveal())
        stays = not session.should_strip_auth(self.url.reveal(), onward.reveal())  # type: ignore[no-untyped-call]
        self.auth = auth if any(auth) and stays else None
        self.url = onward
        return True


class Client:
    """Makes requests, each through the slot that the calling thread holds, else through one of the thread's own.

    Parameters
    ----------
    connect_timeout, stall_timeout
        Seconds until a connection must stand, and seconds that an answer's headers may take, or that may pass without
        a byte of its body.
    allow_private
        Whether private addresses may be asked; None: as ``MODELPREP_ALLOW_PRIVATE`` says, else unless a public server
        redirects there.
    """

    def __init__(self, connect_timeout: float, stall_timeout: float, *, allow_private: bool | None = None) -> None:
        self._timeouts = (connect_timeout, stall_timeout)
        self._allow_private = allowed_by_environment() if allow_private is None else allow_private
        self._local = threading.local()
        self._environment: dict[tuple[str, str], dict[str, Any]] = {}

    @contextlib.contextmanager
    def through(self, slot: Slot) -> Iterator[None]:
        """Have the requests of the calling thread go through a slot that it holds."""
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
        """The one of the slot in use."""
        return self._slot.watchdog

    def request(self, method: str, chain: Chain, headers: Mapping[str, str]) -> requests.Response:
        """Ask for the URL that a chain has come to; a redirect is given back like any answer, its body unread.

        Raises
        ------
        Broken
            There is no answer, or asking is not permitted.
        """
        session = self.session(chain)
        watchdog = self.watchdog
        watchdog.handle, watchdog.peer = None, ""
        try:
            with watchdog.limit(sum(self._timeouts)):
                settings = self._settings(chain.url)
                response = session.request(
                    method,
                    chain.url.reveal(),
                    headers=dict(headers),
                    timeout=self._timeouts,
                    allow_redirects=False,
                    **settings | ({"auth": chain.auth} if chain.auth else {}),
                )
        except Exception as error:
            if watchdog.fired:
                raise self._stalled() from error
            raise _with_proxy(classify(error), proxy_of(chain.url)) from error
        if watchdog.fired:  # headers that end with the connection count as whole otherwise
            response.close()
            raise self._stalled()
        chain.public = chain.public or _is_public(chain.url, watchdog.peer)
        return response

    def _settings(self, url: Url) -> dict[str, Any]:
        """Return what the environment says about a host: proxies, netrc, CAs; requests would look it up every time."""
        import requests
        from requests.utils import get_netrc_auth

        place = (url.scheme, url.netloc)
        if place not in self._environment:
            text = url.reveal()
            found: dict[str, Any] = dict(requests.Session().merge_environment_settings(text, {}, True, None, None))
            self._environment[place] = {**found, "auth": get_netrc_auth(text)}
        return self._environment[place]

    def _stalled(self) -> Broken:
        text = f"stalled: no answer came within {sum(self._timeouts):g} s"
        return Broken(text, retry=True, answered=False)

    def session(self, chain: Chain) -> requests.Session:
        """Return the session that may go where a chain may go."""
        why = ""
        if self._allow_private is False:
            why = FORBIDDEN
        elif self._allow_private is None and chain.public:
            why = REDIRECTED
        watchdog, sessions = self.watchdog, self._slot.sessions
        if why not in sessions:
            sessions[why] = new_session(watchdog, why)
            for other in sessions.values():
                sessions[why].cookies = other.cookies  # a redirect may set what the next request has to show
                break
        return sessions[why]


def proxy_of(url: Url) -> str:
    """Return the proxy that the environment names for a URL; empty for none."""
    from requests.utils import get_environ_proxies, select_proxy

    try:
        return select_proxy(url.reveal(), get_environ_proxies(url.reveal())) or ""
    except ValueError:
        return ""


def _with_proxy(broken: Broken, proxy: str) -> Broken:
    """Name the proxy in what went wrong before a server answered."""
    shown = redact_proxy(proxy)
    if proxy and not broken.answered and shown not in broken.text:
        broken.text += f" ({shown})" if "the proxy" in broken.text else f" (through the proxy {shown})"
    return broken


def _is_public(url: Url, peer: str) -> bool:
    """Tell whether a server that answered is on the public network; of one behind a proxy its name has to tell."""
    if proxy_of(url) or not peer:
        return kind_of_host(url.host) == "public"
    return kind_of_host(peer) == "public"


def _refused(host: str, address: str, kind: str, why: str) -> Broken | None:
    """Make the error for an address that may not be asked; None for one that may."""
    place = host if host == address else f"{host} ({address})"
    if kind == "link-local":
        text = f"refused: {place} is a link-local address, where machines keep credentials, not files"
    elif kind == "private" and why:
        text = f"refused: {place} is a private address, and {why}"
    else:
        return None
    return Broken(text, retry=False, answered=False)


def new_session(watchdog: Watchdog | None = None, why: str = "") -> requests.Session:
    """Make a session: no compression on the way; proxies, netrc and CAs of the environment.

    Parameters
    ----------
    watchdog
        Is told of each connection.
    why
        Why private addresses may not be asked; empty if they may.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from requests.utils import select_proxy

    watching = watchdog or Watchdog()

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            _use_our_connections(self.poolmanager, watching, why, direct=True)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            known = proxy in self.proxy_manager
            manager = super().proxy_manager_for(_socks_proxy(proxy), **options)
            if not known:
                _use_our_connections(manager, watching, why, direct=False)
            return manager

        def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
            if select_proxy(request.url, options.get("proxies")):
                # The proxy looks names up, so only what is an address already can be judged.
                host = host_of(request.url)
                literal = parse(host) is not None or host.rstrip(".").endswith("localhost")
                if literal and (refused := _refused(host, host, kind_of_host(host), why)):
                    raise refused
            return super().send(request, *args, **options)

        def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
            """Leave the body of a redirect unread, which requests would read, however long it is."""
            response = super().build_response(req, resp)
            if response.is_redirect:
                drained = _Drained(getattr(resp, "_original_response", None))
                resp.close()
                response.raw = drained
            return response

    session = requests.Session()
    session.trust_env = False  # Client asks the environment, once a host
    session.headers.clear()
    session.headers.update(
        {
            "User-Agent": f"modelprep/{__version__}",
            "Accept": "*/*",
            # A body that is compressed on the way has another length and other bytes than the file.
            "Accept-Encoding": "identity",
        }
    )
    session.mount("http://", Adapter())
    session.mount("https://", Adapter())
    return session


def _socks_proxy(proxy: str) -> str:
    """Return a SOCKS proxy's URL as urllib3 knows it: GNOME writes ``socks://``, and means version 5, names and all.

    Raises
    ------
    Broken
        The module that SOCKS needs is not installed.
    """
    if not proxy.lower().startswith("socks"):
        return proxy
    from importlib.util import find_spec

    if find_spec("socks") is None:
        from modelprep.installed import install_command

        text = f"the proxy {redact_proxy(proxy)} is a SOCKS proxy, which needs PySocks: {install_command('socks')}"
        raise Broken(text, retry=False, answered=False)
    scheme, _, rest = proxy.partition("://")
    return f"socks5h://{rest}" if scheme.lower() == "socks" else proxy


def _use_our_connections(manager: Any, watchdog: Watchdog, why: str, *, direct: bool) -> None:
    """Have a pool manager make connections that check their address (without a proxy) and tell the watchdog."""

    def ours(pool: Any) -> Any:
        connection = _connection(pool.ConnectionCls, watchdog, why, direct=direct)
        return type(pool.__name__, (pool,), {"ConnectionCls": connection})

    manager.pool_classes_by_scheme = {scheme: ours(pool) for scheme, pool in manager.pool_classes_by_scheme.items()}


def _connection(base: Any, watchdog: Watchdog, why: str, *, direct: bool) -> Any:
    class Connection(base):  # type: ignore[misc]  # of urllib3, for whichever scheme and proxy
        _handle: socket.socket | None = None
        _peer = ""

        def _new_conn(self) -> Any:
            made = _connect(self, why) if direct else super()._new_conn()
            # TLS takes the socket over; a second descriptor of it can be shut down at any time.
            self._let_go()
            self._handle = watchdog.handle = socket.socket(fileno=os.dup(made.fileno()))
            self._peer = watchdog.peer = str(self._handle.getpeername()[0]).partition("%")[0]
            return made

        def putrequest(self, *args: Any, **options: Any) -> Any:
            watchdog.handle, watchdog.peer = self._handle, self._peer  # those of a connection used before
            return super().putrequest(*args, **options)

        def close(self) -> None:
            super().close()
            self._let_go()

        def _let_go(self) -> None:
            if self._handle is not None:
                if watchdog.handle is self._handle:
                    watchdog.handle = None
                with contextlib.suppress(OSError):
                    self._handle.close()
                self._handle = None

    return Connection


def _connect(connection: Any, why: str) -> socket.socket:
    """Look the host of a urllib3 connection up and connect to the first permitted address that answers."""
    from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NewConnectionError

    host = connection._dns_host.strip("[]")  # noqa: SLF001 - what urllib3's own method looks up
    try:
        found = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise LocationParseError(host) from error
    except OSError as error:
        raise NewConnectionError(connection, "the name cannot be looked up") from error
    refused: Broken | None = None
    failed: OSError = OSError("getaddrinfo gave no address")
    for family, kind, protocol, _, address in found:
        literal = str(address[0]).partition("%")[0]
        if (no := _refused(host, literal, kind_of(ipaddress.ip_address(literal)), why)) is not None:
            refused = no
            continue
        made = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                made.setsockopt(*option)
            if isinstance(connection.timeout, (int, float)):
                made.settimeout(connection.timeout)
            if connection.source_address:
                made.bind(connection.source_address)
            made.connect(address)
        except OSError as error:
            made.close()
            failed = error
        else:
            return made
    if refused is not None:
        raise refused
    if isinstance(failed, TimeoutError):
        raise ConnectTimeoutError(connection, "no connection in time") from failed
    raise NewConnectionError(connection, "no connection") from failed


class _Drained:
    """An empty body that still knows the headers, from which cookies are taken."""

    def __init__(self, original: Any) -> None:
        self._original_response = original  # the name under which requests looks for it

    def read(self, *_: Any, **__: Any) -> bytes:
        """Return nothing."""
        return b""

    def stream(self, *_: Any, **__: Any) -> Any:
        """Return no pieces."""
        return iter(())

    def close(self) -> None:
        """Do nothing: the connection is closed already."""

    release_conn = close
