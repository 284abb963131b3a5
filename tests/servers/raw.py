"""Servers that speak no better than they are told to: drips of bytes, and a SOCKS 5 proxy."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Accept connections on loopback for as long as the block runs, each served in a thread; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=one, args=(connection,), daemon=True).start()

        def one(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                serve(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield int(server.getsockname()[1])


def request(connection: socket.socket) -> bytes:
    """Read a request's head."""
    head = b""
    while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
        head += data
    return head


def dripping(first: bytes, drop: bytes, pause: float) -> Callable[[socket.socket], None]:
    """Answer with some bytes, then with `drop` again and again for ever."""

    def serve(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(first)
        while True:
            connection.sendall(drop)
            time.sleep(pause)

    return serve


def socks5(asked: list[tuple[str, int]], target: tuple[str, int]) -> Callable[[socket.socket], None]:
    """Be a SOCKS 5 proxy (RFC 1928) that notes what it is asked for and connects to `target` instead."""

    def serve(connection: socket.socket) -> None:
        connection.recv(2 + 255)
        connection.sendall(b"\x05\x00")
        head = connection.recv(5, socket.MSG_WAITALL)
        if head[3] == 3:
            host = connection.recv(head[4], socket.MSG_WAITALL).decode()
        else:
            host = socket.inet_ntoa(head[4:] + connection.recv(3, socket.MSG_WAITALL))
        asked.append((host, int.from_bytes(connection.recv(2, socket.MSG_WAITALL), "big")))
        with socket.create_connection(target) as onward:
            connection.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
            threading.Thread(target=pump, args=(connection, onward), daemon=True).start()
            pump(onward, connection)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    return serve
