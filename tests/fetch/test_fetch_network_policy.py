"""Which addresses are asked, what is refused, and that nothing that drips keeps a fetch for ever."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fetching import Bench, asset, payload
from servers.http import FaultServer
from servers.raw import dripping, listening, socks5

from modelprep.errors import FetchError
from modelprep.fetch.addresses import kind_of, kind_of_host, parse


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("8.8.4.4", "public"),
        ("2001:4860:4860::8888", "public"),
        ("127.0.0.1", "private"),
        ("127.1", "private"),
        ("2130706433", "private"),
        ("0", "private"),
        ("::", "private"),
        ("::1", "private"),
        ("::ffff:10.0.0.1", "private"),
        ("100.64.0.1", "private"),
        ("224.0.0.1", "private"),
        ("fec0::1", "private"),
        ("169.254.0.1", "link-local"),
        ("0xa9fea9fe", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("2002:a9fe:a9fe::", "link-local"),
        ("fe80::1", "link-local"),
        ("fd00:ec2::254", "link-local"),
    ],
)
def test_kinds_of_addresses(text: str, kind: str) -> None:
    address = parse(text)
    assert address is not None
    assert kind_of(address) == kind == kind_of_host(text)


def test_what_public_private_and_link_local_servers_may_lead_to(repository: Path, tmp_path: Path) -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs unshare and ip, to have a network of its own")
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a network namespace")
    paths = os.pathsep.join(str(repository / each) for each in (".", "tests", "tests/fetch"))
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    ran = subprocess.run(
        ["unshare", "-rn", sys.executable, str(repository / "tests/fetch/public_network.py"), str(tmp_path)],
        capture_output=True, text=True, timeout=120, env={**kept, "PYTHONPATH": paths}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told.pop("asked for metadata") == [0]
    refused = {name for name, (status, _) in told.items() if status == 3}
    never = {"metadata", "public to metadata"}
    rule = never | {"public to private", "public to loopback", "private to public to private"}
    private = rule | {"private", "private to private"}
    allowed = {"None": rule, "True": never, "False": private}
    assert refused == {f"{name}, {allow}" for allow, names in allowed.items() for name in names}
    assert "10.1.2.3 is a private address" in told["public to private, None"][1]
    assert "--allow-private" in told["public to private, None"][1]
    assert "link-local" in told["public to metadata, True"][1]


def test_behind_a_proxy_an_address_that_is_written_out_is_judged_all_the_same(
    server: FaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.base)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server.put("http://169.254.169.254/m", b"data")
    server.put("http://files.example.com/m", location="http://10.0.0.1/m")
    server.put("http://10.0.0.1/m", b"data")
    for url in ("http://169.254.169.254/m", "http://files.example.com/m"):
        with pytest.raises(FetchError) as caught:
            bench.fetch(asset(url, data=b"data"))
        assert "refused" in caught.value.tried[0]
    assert [request.path for request in server.log] == ["http://files.example.com/m"]
    assert bench.fetch(asset("http://files.example.com/m", data=b"data"), allow_private=True).blob.size == 4


def test_an_unpinned_file_is_not_led_from_https_to_http(
    server: FaultServer, bench: Bench, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    plain = server.put("/m", b"data")
    with FaultServer(tls=certificate) as secure:
        url = secure.put("/m", location=plain)
        with pytest.raises(FetchError, match="could not") as caught:
            bench.fetch(asset(url, pin="first-use"))
        assert "https to unprotected http" in caught.value.tried[0]
        assert server.log == []
        assert bench.fetch(asset(url, data=b"data")).blob.size == 4


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.pem", None, "there is no CA bundle at"),
        ("empty.pem", "", "is not a CA bundle"),
        ("other.pem", "hello", "is not a CA bundle"),
    ],
)
def test_a_ca_bundle_that_is_missing_or_none_is_named(
    bench: Bench,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: str | None,
    says: str,
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / name))
    with FaultServer(tls=certificate) as secure, pytest.raises(FetchError) as caught:
        bench.fetch(asset(secure.put("/m", b"data"), data=b"data"))
    assert says in caught.value.tried[0]
    assert name in caught.value.tried[0]
    assert "asked" not in caught.value.tried[0]


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b""),
    ],
)
def test_headers_and_chunks_that_drip_count_as_a_stall(bench: Bench, first: bytes, drop: bytes) -> None:
    with listening(dripping(first, drop, 0.05)) as port:
        began = time.monotonic()
        with pytest.raises(FetchError) as caught:
            bench.fetch(
                asset(f"http://127.0.0.1:{port}/m", data=b"data"), attempts=1, connect_timeout=0.5, stall_timeout=0.5
            )
        assert "stalled" in caught.value.tried[0]
        assert time.monotonic() - began < 20  # of the 65,536 bytes that a line may have, 55 minutes' worth


def test_redirects_that_take_their_time_end(bench: Bench) -> None:
    import socket

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        time.sleep(0.4)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with listening(serve) as port, pytest.raises(FetchError) as caught:
        bench.fetch(asset(f"http://127.0.0.1:{port}/m", data=b"data"), attempts=1, stall_timeout=0.5)
    assert "redirects take too long" in caught.value.tried[0]


@pytest.mark.parametrize("scheme", ["socks5h", "socks5", "socks"])
def test_a_socks_proxy_is_used(server: FaultServer, bench: Bench, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    pytest.importorskip("socks")
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server.put("/m", b"data")
    asked: list[tuple[str, int]] = []
    with listening(socks5(asked, ("127.0.0.1", server.port))) as port:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{port}")
        host = "localhost" if scheme == "socks5" else "models.example"
        bench.fetch(asset(f"http://{host}:8080/m", data=b"data"), allow_private=True)
    assert asked[0] == ("127.0.0.1" if scheme == "socks5" else host, 8080)


def test_a_socks_proxy_without_its_module_is_named_with_what_it_needs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks5h://me:secret@127.0.0.1:1080")
    with pytest.raises(FetchError) as caught:
        bench.fetch(asset("http://models.example/m", data=b"data"))
    assert "PySocks" in caught.value.tried[0]
    assert "127.0.0.1:1080" in caught.value.tried[0]
    assert "secret" not in caught.value.tried[0]


@pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 405, 412, 429, 500, 503])
def test_a_request_for_the_rest_that_is_refused_is_followed_by_one_for_all(
    server: FaultServer, bench: Bench, status: int
) -> None:
    data = payload(300_000)
    url = server.put("/m", data, cut_at=100_000, times=1)
    with pytest.raises(FetchError):
        bench.fetch(asset(url, data=data), attempts=1)
    server.paths["/m"].refuse_ranges = status
    assert bench.fetch(asset(url, data=data), attempts=1).bytes_fetched == len(data)
    assert [request.status for request in server.log] == [200, status, 200]


@pytest.mark.parametrize("how", ["reset", "short"])
def test_a_request_for_the_rest_that_goes_wrong_is_followed_by_one_for_all(bench: Bench, how: str) -> None:
    import socket

    from servers.raw import request

    data = payload(300_000)
    seen: list[bool] = []
    head = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nConnection: close\r\nContent-Length: %d\r\n\r\n'

    def serve(connection: socket.socket) -> None:
        ranged = b"\r\nRange:" in request(connection)
        seen.append(ranged)
        if not ranged:
            connection.sendall(head % len(data) + (data[:100_000] if len(seen) == 1 else data))
        elif how == "short":
            connection.sendall(head % 200_000 + data[100_000:])

    with listening(serve) as port:
        wanted = asset(f"http://127.0.0.1:{port}/m", data=data)
        with pytest.raises(FetchError):
            bench.fetch(wanted, attempts=1)
        assert bench.fetch(wanted, attempts=1).blob.size == len(data)
    assert seen == [False, True, False]
