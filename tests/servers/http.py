"""A threaded HTTP server that misbehaves on request and keeps a log: for tests, benchmarks and trials by hand.

    with FaultServer() as server:
        server.put("/model.bin", data, cut_at=1000, times=2)
        ... server.url("/model.bin") ...
        assert [r.status for r in server.log] == [200, 206]

A path behaves as its :class:`Behaviour` says. A folder laid out ``<host>/<path>`` is served by ``FaultServer(folder)``.
"""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in to continue</title></head><body>Please sign in.</body></html>\n"
#: Last-Modified of everything that is served, unless said otherwise.
LONG_AGO = 1_500_000_000.0


@dataclass
class Behaviour:
    """How one path answers.

    Parameters
    ----------
    data
        The object.
    ranges
        Whether Range is honoured; with `blind`, If-Range is overlooked.
    etag
        ``auto`` makes one of the data; an empty string sends none; anything else is sent as it is.
    last_modified
        Unix time; None sends none.
    cut_at
        Bytes of the body after which the connection is cut, for the first `times` requests.
    stall_at
        Bytes of the body after which nothing more comes (the socket stays open), for the first `times` requests.
    status
        Answer the first `times` requests with this status instead (404, 503, 429, ...).
    times
        How often the fault happens; -1 for ever.
    retry_after
        Value of ``Retry-After`` sent with `status`.
    location, redirect
        Redirect there, with that status.
    encoding
        Send the body gzipped with this Content-Encoding, whatever was asked for.
    length
        Content-Length to tell instead of the true one; -1 tells none and closes at the end; -2 sends chunks.
    content_range
        Content-Range to send with a 206 instead of the true one.
    pause, piece
        Seconds between pieces of so many bytes.
    after
        Called with the behaviour after each request of this path.
    headers
        More headers.
    refuse_ranges
        Answer any request for a range with this status.
    """

    data: bytes = b""
    ranges: bool = True
    blind: bool = False
    etag: str = "auto"
    last_modified: float | None = LONG_AGO
    cut_at: int | None = None
    stall_at: int | None = None
    status: int | None = None
    times: int = -1
    retry_after: str = ""
    location: str = ""
    redirect: int = 302
    encoding: str = ""
    length: int | None = None
    content_range: str = ""
    pause: float = 0.0
    piece: int = 64 * 1024
    content_type: str = "application/octet-stream"
    after: Callable[[Behaviour], None] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = PAGE
    refuse_ranges: int = 0

    @property
    def tag(self) -> str:
        return f'"{sha256(self.data).hexdigest()[:16]}"' if self.etag == "auto" else self.etag

    def fault(self) -> bool:
        """Tell whether the fault happens now, and count it."""
        if self.times == 0:
            return False
        if self.times > 0:
            self.times -= 1
        return True


@dataclass
class Request:
    """One line of the log.

    `time` is when it came, `ended` when the last of its answer was sent (monotonic seconds); `peer` is the connection.
    """

    method: str
    path: str
    range: str
    if_range: str
    headers: dict[str, str]
    time: float
    status: int = 0
    sent: int = 0
    ended: float = 0.0
    peer: str = ""


class FaultServer:
    """Serves on loopback in threads until it is closed.

    Parameters
    ----------
    folder
        A mirror, laid out ``<host>/<path>``; paths that were `put` go first.
    tls
        Certificate and key, both PEM files, to serve https with.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.folder = folder
        self.paths: dict[str, Behaviour] = {}
        self.log: list[Request] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.host = host
        self._server = _Server((host, port), _handler(self))
        self._scheme = "https" if tls else "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> FaultServer:  # noqa: PYI034 - Self is in typing from Python 3.11 only
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def base(self) -> str:
        return f"{self._scheme}://{self.host}:{self.port}"

    def url(self, path: str) -> str:
        return self.base + path

    def put(self, path: str, data: bytes = b"", **behaviour: object) -> str:
        """Have `path` (with its query, if any) behave so; gives its URL."""
        self.paths[path] = Behaviour(data, **behaviour)  # type: ignore[arg-type]
        return self.url(path)

    def requests(self, path: str) -> list[Request]:
        """Return the log of one path."""
        with self.lock:
            return [r for r in self.log if r.path == path]

    def sent(self) -> int:
        """Bytes of all bodies so far."""
        with self.lock:
            return sum(r.sent for r in self.log)

    def find(self, path: str) -> Behaviour | None:
        if path in self.paths:
            return self.paths[path]
        if self.folder is not None:
            names = [unquote(n) for n in urlsplit(path).path.split("/") if n]
            file = self.folder.joinpath(*names)
            if ".." not in names and file.is_file():
                return Behaviour(file.read_bytes())
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go away are what is tested."""


def _handler(server: FaultServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            request = Request(
                self.command,
                self.path,
                self.headers.get("Range", ""),
                self.headers.get("If-Range", ""),
                dict(self.headers.items()),
                time.monotonic(),
                peer=":".join(map(str, self.client_address)),
            )
            with server.lock:
                server.log.append(request)
            found = server.find(self.path)
            try:
                if found is None:
                    self.answer(request, 404, PAGE, {"Content-Type": "text/html"})
                else:
                    self.behave(request, found)
            except OSError:
                self.close_connection = True
            finally:
                if found is not None and found.after is not None:
                    found.after(found)

        do_HEAD = do_GET

        def behave(self, request: Request, how: Behaviour) -> None:
            with server.lock:
                fault = how.fault() if (how.status or how.cut_at is not None or how.stall_at is not None) else False
            if how.refuse_ranges and request.range:
                self.answer(request, how.refuse_ranges, b"", {})
            elif how.location:
                self.answer(request, how.redirect, how.body, {"Location": how.location})
            elif how.status and fault:
                headers = {"Retry-After": how.retry_after} if how.retry_after else {}
                self.answer(request, how.status, how.body, {"Content-Type": "text/html", **headers})
            else:
                self.serve(request, how, fault=fault)

        def serve(self, request: Request, how: Behaviour, *, fault: bool) -> None:
            data = gzip.compress(how.data, 1, mtime=0) if how.encoding else how.data
            headers = {"Content-Type": how.content_type, **how.headers}
            if how.encoding:
                headers["Content-Encoding"] = how.encoding
            if how.tag:
                headers["ETag"] = how.tag
            if how.last_modified is not None:
                headers["Last-Modified"] = formatdate(how.last_modified, usegmt=True)
            status, start = 200, 0
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.range)
            end = len(data)
            same = how.blind or not request.if_range or request.if_range in (how.tag, headers.get("Last-Modified"))
            if match and how.ranges and same:
                start = int(match[1])
                if start >= len(data):
                    self.answer(request, 416, b"", {"Content-Range": f"bytes */{len(data)}"})
                    return
                status = 206
                end = min(end, int(match[2]) + 1) if match[2] else end
                headers["Content-Range"] = how.content_range or f"bytes {start}-{end - 1}/{len(data)}"
            if how.ranges:
                headers["Accept-Ranges"] = "bytes"
            self.answer(request, status, data[start:end], headers, how=how, fault=fault)

        def answer(
            self,
            request: Request,
            status: int,
            body: bytes,
            headers: dict[str, str],
            *,
            how: Behaviour | None = None,
            fault: bool = False,
        ) -> None:
            how = how or Behaviour()
            request.status = status
            length = len(body) if how.length is None else how.length
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if length == -1:
                self.send_header("Connection", "close")
                self.close_connection = True
            elif length == -2:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(length))
            request.ended = time.monotonic()
            self.end_headers()
            self.wfile.flush()
            if self.command == "HEAD":
                return
            end = len(body)
            if fault:
                end = min(end, *(n for n in (how.cut_at, how.stall_at) if n is not None))
            sent = 0
            while sent < end and not server.closing.is_set():
                piece = body[sent : min(end, sent + how.piece)]
                request.ended = time.monotonic()
                if length == -2:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                else:
                    self.wfile.write(piece)
                sent += len(piece)
                request.sent = sent
                if how.pause:
                    time.sleep(how.pause)
            self.wfile.flush()
            if fault and how.stall_at is not None:
                server.closing.wait(60)
            if fault or sent < end or (length >= 0 and length != sent):
                self.hang_up()
            elif length == -2:
                self.wfile.write(b"0\r\n\r\n")

        def hang_up(self) -> None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *args: object) -> None:
            """Keep the log in memory only."""

    return Handler


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port on loopback at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])
