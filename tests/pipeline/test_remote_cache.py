"""Two machines share a cache: the second downloads from no origin and converts nothing; a bad cache harms nobody."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest
from cli.test_exit_codes import HEAD, pinned
from cli.workshop import Workshop
from servers import nginx

import modelprep
from modelprep.errors import UsageError
from modelprep.events import Event
from modelprep.store import Store
from modelprep.store.remote import RemoteCache

DATA = b"model bytes " * 5000


def recipe_with_a_step(workshop: Workshop) -> None:
    packed = gzip.compress(DATA, mtime=0)
    url = workshop.server.put("/m.gz", packed)
    workshop.recipe(
        "packed",
        HEAD
        + "assets:\n"
        + pinned(url, packed)
        + "steps:\n  - {id: a, uses: gunzip, with: {file: $file}}\ninstall:\n  m.bin: $a\n",
    )


def machine(workshop: Workshop, folder: Path, url: str, **options: object) -> tuple[modelprep.Report, list[Event]]:
    """Fetch on a machine with a store and an output folder of its own."""
    events: list[Event] = []
    report = modelprep.fetch(
        "things/packed", out=folder / "out", cache=folder / "cache", recipes=[workshop.recipes], remote_cache=url,
        listen=events.append, **options,
    )  # type: ignore[arg-type] # fmt: skip
    return report, events


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def installed(folder: Path) -> bytes:
    (found,) = (folder / "out").rglob("m.bin")
    return found.read_bytes()


def test_the_second_machine_asks_no_origin_and_converts_nothing(workshop: Workshop, tmp_path: Path) -> None:
    recipe_with_a_step(workshop)
    with nginx.running(tmp_path / "nginx") as url:
        report, _ = machine(workshop, tmp_path / "one", url, remote_cache_mode="write", trust_remote_results=True)
        assert report.ok
        asked = len(workshop.server.log)
        report, events = machine(workshop, tmp_path / "two", url, trust_remote_results=True)
        assert report.ok
        assert len(workshop.server.log) == asked
        assert not [event for event in events if event.kind == "start" and event.task.startswith("step:")]
        assert installed(tmp_path / "two") == DATA
        held = files(tmp_path / "nginx" / "files")
        assert {name.split("/")[0] for name in held} == {"cas", "ac"}
        assert all(hashlib.sha256(data).hexdigest() == name[4:] for name, data in held.items() if name[:3] == "cas")


def test_of_a_member_that_only_its_archive_pins_the_second_machine_has_the_archive(
    workshop: Workshop, tmp_path: Path
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("m.bin", DATA)
    url, digest = workshop.server.put("/m.zip", packed.getvalue()), hashlib.sha256(packed.getvalue()).hexdigest()
    source = f"{{url: '{url}', member: m.bin, sha256: {digest}, size: {len(packed.getvalue())}}}"
    asset = f"  file: {{urls: [{source}], pin: first-use, licence: {{name: MIT, source: our own}}}}\n"
    workshop.recipe("packed", f"{HEAD}assets:\n{asset}install:\n  m.bin: $file\n")
    with nginx.running(tmp_path / "nginx") as cache:
        assert machine(workshop, tmp_path / "one", cache, remote_cache_mode="write")[0].ok
        asked = len(workshop.server.log)
        assert machine(workshop, tmp_path / "two", cache)[0].ok
        assert len(workshop.server.log) == asked
        assert installed(tmp_path / "two") == DATA


def test_without_trust_the_second_machine_converts_by_itself(workshop: Workshop, tmp_path: Path) -> None:
    recipe_with_a_step(workshop)
    with nginx.running(tmp_path / "nginx") as url:
        machine(workshop, tmp_path / "one", url, remote_cache_mode="write")
        assert not [name for name in files(tmp_path / "nginx" / "files") if name.startswith("ac/")]
        asked = len(workshop.server.log)
        report, events = machine(workshop, tmp_path / "two", url)
        assert report.ok
        assert len(workshop.server.log) == asked
        assert [event for event in events if event.task.startswith("step:")]


def test_a_machine_that_only_reads_saves_nothing(workshop: Workshop, tmp_path: Path) -> None:
    recipe_with_a_step(workshop)
    with nginx.running(tmp_path / "nginx") as url:
        assert machine(workshop, tmp_path / "one", url, trust_remote_results=True)[0].ok
        assert files(tmp_path / "nginx" / "files") == {}


def test_a_corrupt_blob_in_the_cache_is_not_used_and_the_origin_is_asked(workshop: Workshop, tmp_path: Path) -> None:
    recipe_with_a_step(workshop)
    with nginx.running(tmp_path / "nginx") as url:
        machine(workshop, tmp_path / "one", url, remote_cache_mode="write")
        for path in (tmp_path / "nginx" / "files" / "cas").iterdir():
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        report, events = machine(workshop, tmp_path / "two", url)
        assert report.ok
        assert installed(tmp_path / "two") == DATA
        assert any("has a corrupt file" in event.text for event in events if event.kind == "warning")


def test_a_record_under_another_key_is_not_believed(workshop: Workshop, tmp_path: Path) -> None:
    recipe_with_a_step(workshop)
    with nginx.running(tmp_path / "nginx") as url:
        machine(workshop, tmp_path / "one", url, remote_cache_mode="write", trust_remote_results=True)
        (record,) = (tmp_path / "nginx" / "files" / "ac").iterdir()
        other = "0" * 64
        changed = json.loads(record.read_text()) | {"key": other}
        record.write_text(json.dumps(changed))
        _, events = machine(workshop, tmp_path / "two", url, trust_remote_results=True)
        assert [event for event in events if event.task.startswith("step:")]
        assert installed(tmp_path / "two") == DATA


@pytest.mark.parametrize("more", ["return 503;", "return 302 http://127.0.0.1:9/;", "deny all;"])
def test_a_cache_that_refuses_is_told_once_and_stops_nothing(workshop: Workshop, tmp_path: Path, more: str) -> None:
    recipe_with_a_step(workshop)
    with nginx.running(tmp_path / "nginx", more) as url:
        report, events = machine(workshop, tmp_path / "one", url, remote_cache_mode="write", trust_remote_results=True)
    assert report.ok
    assert installed(tmp_path / "one") == DATA
    assert sum("ignored for this run" in event.text for event in events if event.kind == "warning") == 1


def test_a_cache_that_is_not_there_is_a_warning(workshop: Workshop, tmp_path: Path) -> None:
    recipe_with_a_step(workshop)
    report, events = machine(workshop, tmp_path / "one", f"http://127.0.0.1:{nginx.free_port()}")
    assert report.ok
    assert [event.kind for event in events if "remote cache" in event.text] == ["warning"]


@pytest.mark.parametrize(
    ("host", "options", "why"),
    [
        ("169.254.169.254", {"allow_private": True}, "a link-local address"),
        ("[fd00:ec2::254]", {}, "a link-local address"),
        ("127.0.0.1:{port}", {"allow_private": False}, "a private address"),
    ],
)
def test_a_cache_at_an_address_that_may_not_be_asked_is_refused_in_words(
    workshop: Workshop, tmp_path: Path, host: str, options: dict[str, bool], why: str
) -> None:
    recipe_with_a_step(workshop)
    url = f"http://{host.format(port=workshop.server.port)}/cache"
    _, events = machine(workshop, tmp_path / "one", url, **options)
    told = [event.text for event in events if "remote cache" in event.text]
    assert len(told) == 1
    assert why in told[0]
    assert not [line for line in workshop.server.log if "/cache" in str(line)]


def test_offline_asks_no_cache(workshop: Workshop, tmp_path: Path) -> None:
    recipe_with_a_step(workshop)
    with nginx.running(tmp_path / "nginx") as url:
        machine(workshop, tmp_path / "one", url, remote_cache_mode="write")
        log = tmp_path / "nginx" / "access.log"
        before = log.read_bytes()
        report, _ = machine(workshop, tmp_path / "two", url, offline=True)
        assert not report.ok
        assert log.read_bytes() == before


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "cache", "https://user:secret@host/x", "https://host/x?token=secret", "https:///x"]
)
def test_urls_that_cannot_be_a_cache_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        RemoteCache(url)
    assert "secret" not in str(caught.value)


def test_the_token_of_the_environment_is_sent_and_stored_nowhere(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe_with_a_step(workshop)
    monkeypatch.setenv("MODELPREP_REMOTE_CACHE_TOKEN", "tok-123")
    guard = 'if ($http_authorization != "Bearer tok-123") { return 401; }'
    with nginx.running(tmp_path / "nginx", guard) as url:
        report, events = machine(workshop, tmp_path / "one", url, remote_cache_mode="write")
        assert report.ok
        assert not [event for event in events if event.kind == "warning"]
    assert not [name for name, data in files(tmp_path / "one").items() if b"tok-123" in data]


def test_an_object_store_serves_as_well(tmp_path: Path) -> None:
    server = pytest.importorskip("moto.server", reason="an S3 server: pip install 'moto[server]'")
    pytest.importorskip("s3fs", reason="the extra remote")
    import s3fs

    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    try:
        host, port = running.get_host_and_port()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
            patch.setenv("AWS_ACCESS_KEY_ID", "id")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "key")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            s3fs.S3FileSystem().mkdir("models")
            told: list[str] = []
            first = Store.open(tmp_path / "first")
            (tmp_path / "x").write_bytes(DATA)
            blob = first.adopt(tmp_path / "x")
            RemoteCache("s3://models/cache", mode="write", warn=told.append).save_blob(blob)
            second = Store.open(tmp_path / "second")
            got = RemoteCache("s3://models/cache", warn=told.append).blob(blob.sha256, second)
            assert got is not None
            assert got.path.read_bytes() == DATA
            assert RemoteCache("s3://models/cache", warn=told.append).blob("0" * 64, second) is None
            assert told == []
    finally:
        running.stop()
