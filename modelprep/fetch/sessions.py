"""Sessions of requests with our own connections: only to permitted addresses, with a watchdog."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from typing import TYPE_CHECKING, Any

from modelprep.fetch.addresses import host_of, kind_of, kind_of_host, parse
from modelprep.fetch.network_errors import Broken
from modelprep.fetch.watchdog import Watchdog
from modelprep.url import redact_proxy
from modelprep.version import __version__

if TYPE_CHECKING:
    import requests


def _refused(host: str, address: str, kind: str, why: str) -> Broken | None:
    """Make the error for a forbidden address; None for a permitted one."""
    place = host if host == address else f"{host} ({address})"
    if kind == "link-local":
        text = f"refused: {place} is a link-local address, which may serve credentials"
    elif kind == "private" and why:
        text = f"refused: {place} is a private address, and {why}"
    else:
        return None
    return Broken(text, retry=False, answered=False)


def new_session(watchdog: Watchdog | None = None, why: str = "") -> requests.Session:
    """Make a session: no transfer compression; proxies, netrc and CAs of the environment.

    The watchdog receives each connection. `why` says why private addresses may not be contacted; empty if they may.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from requests.structures import CaseInsensitiveDict
    from requests.utils import select_proxy

    watching = watchdog or Watchdog()

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            self._pools: dict[object, Any] = {}
            super().init_poolmanager(*args, **options)
            _use_our_connections(self.poolmanager, watching, why, direct=True)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            known = proxy in self.proxy_manager
            manager = super().proxy_manager_for(_socks_proxy(proxy), **options)
            if not known:
                _use_our_connections(manager, watching, why, direct=False)
            return manager

        def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
            if (proxies := options.get("proxies")) and select_proxy(request.url, proxies):
                # The proxy looks names up, so only literal addresses can be checked.
                host = host_of(request.url)
                literal = parse(host) is not None or host.rstrip(".").endswith("localhost")
                if literal and (refused := _refused(host, host, kind_of_host(host), why)):
                    raise refused
            return super().send(request, *args, **options)

        def get_connection_with_tls_context(self, request: Any, *args: Any, **options: Any) -> Any:
            """Return the pool of a host, which requests would determine again for each request."""
            key = (request.url[: request.url.index("/", 8)], repr(args), repr(options))
            if key not in self._pools:
                self._pools[key] = super().get_connection_with_tls_context(request, *args, **options)
            return self._pools[key]

        def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
            """Build the response; leave the body of a redirect unread, which requests would read at any length."""
            response = requests.Response()
            response.status_code, response.reason, response.raw = resp.status, resp.reason, resp
            response.headers = CaseInsensitiveDict(resp.headers)
            response.url, response.request = req.url or "", req
            if response.is_redirect:
                drained = _Drained(getattr(resp, "_original_response", None))
                resp.close()
                response.raw = drained
            return response

    session = requests.Session()
    session.trust_env = False  # Client reads the environment once per host
    session.headers.clear()
    session.headers.update(
        {
            "User-Agent": f"modelprep/{__version__}",
            "Accept": "*/*",
            # A body compressed for transfer has another length and other bytes than the file.
            "Accept-Encoding": "identity",
        }
    )
    session.mount("http://", Adapter())
    session.mount("https://", Adapter())
    return session


def _socks_proxy(proxy: str) -> str:
    """Return the URL of a SOCKS proxy as urllib3 expects it; Broken if PySocks is not installed.

    GNOME writes ``socks://`` for version 5 with remote name lookup.
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
    """Let a pool manager make connections that check their address (without a proxy) and notify the watchdog."""

    def ours(pool: Any) -> Any:
        connection = _connection(pool.ConnectionCls, watchdog, why, direct=direct)
        return type(pool.__name__, (pool,), {"ConnectionCls": connection})

    manager.pool_classes_by_scheme = {scheme: ours(pool) for scheme, pool in manager.pool_classes_by_scheme.items()}


def _connection(base: Any, watchdog: Watchdog, why: str, *, direct: bool) -> Any:
    class Response(base.response_class):  # type: ignore[misc]  # of http.client
        def _read_status(self) -> tuple[str, int, str]:
            """Take every interim answer for a 100, the only one that http.client passes over (RFC 9110, 15.2)."""
            version, status, reason = super()._read_status()
            return version, 100 if 102 <= status < 200 else status, reason

    class Connection(base):  # type: ignore[misc]  # of urllib3, for whichever scheme and proxy
        response_class = Response
        _handle: socket.socket | None = None
        _peer = ""

        def _new_conn(self) -> Any:
            made = _connect(self, why) if direct else super()._new_conn()
            # TLS takes over the socket; a second descriptor of it can be shut down at any time.
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
    failed: OSError = OSError("getaddrinfo returned no address")
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
    """An empty body that keeps the headers, for cookies."""

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
