"""A network of our own: a proxy that answers for every host, over http and https, out of a folder."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest


@contextmanager
def internet(folder: Path, root: Path, hosts: Iterable[str]) -> Iterator[dict[str, str]]:
    """Answer for hosts until the block ends.

    Parameters
    ----------
    folder
        Gets the certificate, and what is PUT.
    root
        What is served, laid out ``<host>/<path>`` as a mirror.
    hosts
        Those that have a certificate; at the others TLS fails.

    Yields
    ------
    dict
        The variables that lead a command here.
    """
    from demo.serve import Server, _Handler
    from modelprep.fetch.urls import mirror_path
    from modelprep.url import Url

    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, which makes the certificates")
    names = ",".join(f"DNS:{host}" for host in sorted(set(hosts)))
    (folder / "put").mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=tests", "-addext", f"subjectAltName={names}", "-keyout", folder / "key.pem",
         "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    class Handler(_Handler):
        host = ""

        def do_CONNECT(self) -> None:
            self.host = self.path.partition(":")[0]
            self.close_connection = False  # whatever version the request is of
            self.send_response(200)
            self.end_headers()
            try:
                self.connection = tls.wrap_socket(self.connection, server_side=True)
            except (ssl.SSLError, OSError):  # the other end trusts nobody here, or went away
                self.close_connection = True
                return
            self.rfile, self.wfile = (self.connection.makefile(mode) for mode in ("rb", "wb"))  # type: ignore[assignment]

        def finish(self) -> None:
            super().finish()
            self.connection.close()

        def do_PUT(self) -> None:
            file = folder / "put" / self._path()
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(201, b"", "text/plain", body=True)  # type: ignore[arg-type]

        def _path(self) -> str:
            url = f"https://{self.host}{self.path}" if self.host else self.path
            return str(mirror_path(Url(url)) or "nowhere")

        def _answer(self, *, body: bool) -> None:
            self.path = f"/{quote(self._path())}"
            super()._answer(body=body)

        def _file(self, path: str) -> Path | None:
            return super()._file(path) or next((f for f in [folder / "put" / path] if f.is_file()), None)

    server = Server(root, faults={})
    server.RequestHandlerClass = Handler
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    proxy: dict[str, Any] = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), server.address)
    try:
        yield proxy | {"REQUESTS_CA_BUNDLE": str(folder / "cert.pem"), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
