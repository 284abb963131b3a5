"""Serve the stand-in on loopback as a mirror, slowly, and with the faults that real servers have.

    python demo/serve.py DIR [--port N] [--rate BYTES_PER_SECOND] [--healthy]

One line with the address goes to stdout; it runs until it is interrupted. :data:`FAULTS` says which address has which
fault.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

#: ``missing`` answers 404; ``page`` 200 and a web page; ``pointer`` 200 and a Git LFS pointer; ``cut`` breaks the first
#: answer off at half and lets a resumed one through.
Fault = Literal["missing", "page", "pointer", "cut"]

#: What becomes of a request, by the beginning of its path. The faults are those of today's servers: the asset files
#: under recipes/assets say which of them are dead.
FAULTS: Mapping[str, Fault] = {
    "yann.lecun.com/exdb/mnist/t10k-images": "missing",
    "yann.lecun.com/exdb/mnist/t10k-labels": "page",
    "ossci-datasets.s3.amazonaws.com/mnist/t10k-images": "cut",
    "onnxzoo.blob.core.windows.net/": "missing",
    "github.com/onnx/models/raw/": "pointer",
    "github.com/ARM-software/ML-examples/raw/master/": "missing",
    "download.tensorflow.org/models/mobilenet_v1_2018_08_02/": "cut",
}
_PAGE = b"<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head><body><h1>Forbidden</h1></body></html>\n"
_CHUNK = 16 * 1024


class Server(ThreadingHTTPServer):
    """A mirror on loopback.

    `root`: folder laid out ``<host>/<path>``. `port`: 0 takes a free one. `rate`: bytes a second on each connection; 0
    for no brake. `faults`: see :data:`FAULTS`.
    """

    daemon_threads = True

    def __init__(self, root: Path, *, port: int = 0, rate: int = 0, faults: Mapping[str, Fault] | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.root = root.resolve()
        self.rate = rate
        self.faults = dict(FAULTS if faults is None else faults)
        self.log: list[tuple[str, int]] = []
        self._cut: set[str] = set()
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """The value for ``--mirror``."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault_of(self, path: str) -> Fault | None:
        """Say what is wrong with a path this time."""
        fault = next((fault for start, fault in self.faults.items() if path.startswith(start)), None)
        if fault == "cut":
            with self._lock:
                if path in self._cut:
                    return None
                self._cut.add(path)
        return fault

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away; that is what the faults are for."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep the terminal for the bars."""

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        fault = self.server.fault_of(path)
        file = self._file(path)
        if file is None or fault == "missing":
            self._send(HTTPStatus.NOT_FOUND, b"not found\n", "text/plain", body=body)
        elif fault == "page":
            self._send(HTTPStatus.OK, _PAGE, "text/html", body=body)
        elif fault == "pointer":
            data = file.read_bytes()
            oid = hashlib.sha256(data).hexdigest()
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"
            self._send(HTTPStatus.OK, pointer.encode(), "text/plain", body=body)
        else:
            self._send_file(file.read_bytes(), cut=fault == "cut", body=body)

    def _file(self, path: str) -> Path | None:
        parts = PurePosixPath(path).parts
        if not parts or ".." in parts or "\0" in path or path.startswith("/"):
            return None
        file = self.server.root.joinpath(*parts)
        return file if file.is_file() else None

    def _send_file(self, data: bytes, *, cut: bool, body: bool) -> None:
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        start, end = 0, len(data)
        asked = self.headers.get("Range", "")
        valid = self.headers.get("If-Range", tag) == tag
        if asked.startswith("bytes=") and valid and not cut:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            if first.isdigit() and (not last or last.isdigit()):
                start, end = int(first), min(int(last) + 1, end) if last else end
            if start >= len(data):
                self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", "text/plain", body=body,
                           extra={"Content-Range": f"bytes */{len(data)}"})  # fmt: skip
                return
        partial = (start, end) != (0, len(data))
        extra = {"ETag": tag, "Accept-Ranges": "bytes"}
        if partial:
            extra["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        status = HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK
        self._send(status, data[start:end], "application/octet-stream", body=body, cut=cut, extra=extra)

    def _send(
        self,
        status: HTTPStatus,
        data: bytes,
        kind: str,
        *,
        body: bool,
        cut: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self.server.log.append((self.path, int(status)))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if not body:
            return
        stop = len(data) // 2 if cut else len(data)
        for position in range(0, stop, _CHUNK):
            piece = data[position : min(position + _CHUNK, stop)]
            self.wfile.write(piece)
            if self.server.rate:
                time.sleep(len(piece) / self.server.rate)
        if cut:
            self.close_connection = True


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=int, default=400_000, metavar="BYTES_PER_SECOND", help="0 for no brake")
    parser.add_argument("--healthy", action="store_true", help="without the faults")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is no folder; `python demo/standin.py make {options.folder}` makes it")
    with Server(options.folder, port=options.port, rate=options.rate, faults={} if options.healthy else None) as server:
        print(server.address, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
