"""The event, the report and the store name the server that delivered; the manifest names the recipe's own URL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cli.workshop import Workshop
from servers.http import FaultServer

import modelprep
from modelprep.store import Store


def fetched(workshop: Workshop, url: str, data: bytes, **options: Any) -> tuple[list[modelprep.Event], str, str]:
    workshop.simple("one", data, urls=url)
    events: list[modelprep.Event] = []
    report = modelprep.fetch(
        "things/one",
        out=workshop.out,
        cache=workshop.cache,
        recipes=[workshop.recipes],
        listen=events.append,
        **options,
    )
    assert report.exit_code == 0
    (demo,) = report.demos
    (source,) = demo.sources
    manifest = json.loads((workshop.out / "Things" / "MANIFEST.json").read_text())
    (asset,) = manifest["files"][0]["assets"]
    return [event for event in events if event.kind == "done"], source, asset["canonical_url"]


def test_behind_a_redirect_the_host_that_delivered_is_named(workshop: Workshop) -> None:
    data = b"delivered elsewhere"
    with FaultServer() as other:
        there = other.put("/there", data)
        url = workshop.server.put("/here", location=there)
        done, source, canonical = fetched(workshop, url, data)
        host = there.split("/")[2]
    (event,) = [each for each in done if each.task.startswith("fetch:")]
    assert (event.data["source"], event.data["server"], source, canonical) == (url, host, host, url)
    (sha256,) = [path.name for path in (Path(workshop.cache) / "blobs").rglob("*") if path.is_file()]
    assert host in str(Store.open(workshop.cache).origin(sha256))


def test_of_a_mirror_the_mirror_is_named_and_the_manifest_keeps_the_recipe_s_url(workshop: Workshop) -> None:
    data = b"delivered by a mirror"
    url = workshop.server.put("/gone", status=404)
    host = url.split("/")[2]
    with FaultServer() as mirror:
        mirror.put(f"/{host}/gone", data)
        done, source, canonical = fetched(workshop, url, data, mirrors=[mirror.url("/")])
        delivered = mirror.url("/").split("/")[2]
    (event,) = [each for each in done if each.task.startswith("fetch:")]
    assert (event.data["server"], source, canonical) == (delivered, delivered, url)
