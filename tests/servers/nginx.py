"""A real nginx with WebDAV on loopback, as a shared cache (Debian: nginx-light, libnginx-mod-http-dav-ext)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CONFIG = """
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  server {{
    listen 127.0.0.1:{port};
    location / {{ root {folder}/files; dav_methods PUT; create_full_put_path on; dav_access user:rw; {more} }}
  }}
}}
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def running(folder: Path, more: str = "") -> Iterator[str]:
    """Run nginx until the block ends; gives the base URL. Its files lie in `folder`/files."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("needs nginx (Debian: nginx-light)")
    port = free_port()
    for name in ("files", "body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (folder / name).mkdir(parents=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777)
    for above in folder.parents:
        if not above.stat().st_mode & 0o001 and above.stat().st_uid == folder.stat().st_uid:
            above.chmod(above.stat().st_mode | 0o111)  # the worker runs as another user
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, more=more))
    command = [program, "-p", str(folder), "-c", str(config), "-g", "daemon off; user root;"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(100):
                with socket.socket() as sock:
                    if sock.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            else:
                pytest.fail((folder / "error.log").read_text())
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
