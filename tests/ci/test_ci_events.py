"""From the events of ``fetch --json`` alone, a CI log can say everything that matters."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ci.conftest import REPOSITORY
from cli.workshop import Ran, Workshop, gzipped, sha256

DATA = b"digits" * 5000
DIGEST = {"a": sha256(b"a" * 900), "packed": sha256(gzipped(DATA))}


def run(workshop: Workshop) -> Ran:
    """Fetch four demos: one from its second source, one through a step, one that fails, one with something to bring."""
    server = workshop.server
    dead = server.put("/dead", status=404)
    workshop.simple("a", b"a" * 900, urls=f"{dead}, {server.put('/a.bin', b'a' * 900)}")
    packed = server.put("/packed.gz", gzipped(DATA))
    head = "schema: 1\ndemo: Demo-{0}\nsummary: s\nstatus: {1}\ntree: Things\n"
    workshop.recipe(
        "b",
        head.format("b", "ready")
        + f"assets:\n  packed: {{urls: [{packed}], sha256: {DIGEST['packed']}, pinned_by: test}}\n"
        + "steps: [{id: plain, uses: gunzip, with: {file: $packed}}]\ninstall: {b.bin: $plain}\n",
    )
    workshop.simple("c", b"c", urls=server.put("/gone", status=404))
    workshop.recipe(
        "d",
        head.format("d", "bring-your-own")
        + "why: it is yours\nassets:\n  yours: {provide: true}\ninstall: {d: $yours}\n",
    )
    return workshop.run("fetch", "things", "--json")


def result_of(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Reconstruct each demo's end from what was told while it happened; the summary is not looked at."""
    told: dict[str, dict[str, Any]] = {}
    [plan] = [event for event in events if event["event"] == "plan"]
    for demo in plan["demos"]:
        told[demo["recipe"]] = {"outcome": demo["state"], "files": demo["files"]}
    for event in events:
        kind, _, recipe = event.get("task", "").partition(":")
        if kind == "install" and event["event"] == "done":
            told[recipe].update(outcome="installed", written=event["written"])
        if kind == "demo" and event["event"] == "failed" and event["exit_code"] != 8:
            told[recipe].update(outcome="failed")
    return told


def test_the_log_says_each_demos_result_sources_bytes_and_time(workshop: Workshop) -> None:
    ran = run(workshop)
    events = ran.events
    summary = events[-1]
    assert (summary["event"], summary["exit_code"]) == ("summary", ran.code)
    demos = {demo["recipe"]: demo for demo in summary["demos"]}
    assert {name: demo["outcome"] for name, demo in demos.items()} == {
        "things/a": "installed",
        "things/b": "installed",
        "things/c": "failed",
        "things/d": "bring",
    }
    # Bytes: what the summary says is what came, demo by demo and download by download, and what the server sent.
    fetched = {e["task"]: e for e in events if e["event"] == "done" and e.get("task", "").startswith("fetch:")}
    assert {task: event["bytes_fetched"] for task, event in fetched.items()} == {
        "fetch:a-file": 900,
        "fetch:packed": len(gzipped(DATA)),
    }
    assert summary["bytes_fetched"] == sum(demo["bytes_fetched"] for demo in demos.values())
    assert summary["bytes_fetched"] == sum(event["bytes_fetched"] for event in fetched.values())
    assert summary["bytes_fetched"] == sum(r.sent for r in workshop.server.log if r.status == 200)
    # Sources: the one that served, and those that were tried before it.
    assert urlsplit(fetched["fetch:a-file"]["source"]).path == "/a.bin"
    tried = [urlsplit(e["source"]).path for e in events if e["event"] == "source" and e["task"] == "fetch:a-file"]
    assert tried == ["/dead", "/a.bin"]
    host = urlsplit(workshop.server.base).netloc
    assert demos["things/a"]["sources"] == [host]
    # Time: of the whole, of every demo, of every step; none longer than the whole.
    steps = [e["seconds"] for e in events if e["event"] == "done" and e.get("task", "").startswith("step:")]
    assert len(steps) == 1
    assert all(0 <= seconds <= summary["seconds"] for seconds in [*steps, *(d["seconds"] for d in demos.values())])
    # Failures: what, why, what next, and every place that was asked.
    error = demos["things/c"]["error"]
    assert error["exit_code"] == 3
    assert "404" in error["tried"][0]
    assert "--set c-file=" in error["hint"]
    assert workshop.installed() == {"b.bin": DATA, "data/a.bin": b"a" * 900}


def test_what_was_told_on_the_way_is_what_the_summary_says(workshop: Workshop) -> None:
    events = run(workshop).events
    on_the_way = result_of(events[:-1])
    for demo in events[-1]["demos"]:
        told = on_the_way[demo["recipe"]]
        if demo["outcome"] == "installed":
            assert told["outcome"] == "installed"
            assert told["written"] == demo["written"] == told["files"]
        else:
            assert told["outcome"] in (demo["outcome"], "missing", "bring")
            assert "written" not in told


def jq(*arguments: str, text: str) -> str:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed here")
    ran = subprocess.run(["jq", *arguments], input=text, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    return ran.stdout


def annotations(text: str) -> list[str]:
    return jq("-r", "-f", "docs/annotations.jq", text=text).splitlines()


def test_annotations_name_what_failed_and_nothing_else(workshop: Workshop) -> None:
    found = annotations(run(workshop).out)
    assert [line[2:].partition("::")[0] for line in found if "c-file" in line] == ["error title=Demo-c"]
    assert all(line.startswith(("::error title=Demo-c::", "::error title=Demo-d::")) for line in found)
    assert annotations(workshop.run("fetch", "things/a", "--json").out) == []


def test_an_error_before_the_first_event_is_annotated_too(workshop: Workshop) -> None:
    [line] = annotations(workshop.run("fetch", "nothing-there", "--json").out)
    assert line.startswith("::error title=modelprep::unknown target 'nothing-there'")


def test_no_text_of_an_error_can_give_github_another_command() -> None:
    hostile = "x\n::set-env name=A::b\r\n50% ::error::"
    demo = {"demo": "a,b:c\n::warning::", "error": {"what": hostile, "hint": hostile}}
    told = [{"event": "summary", "demos": [demo]}, {"event": "warning", "label": hostile, "text": hostile}]
    lines = annotations("\n".join(json.dumps(each) for each in told))
    assert len(lines) == 2
    assert lines[0].startswith("::error title=a%2Cb%3Ac%0A%3A%3Awarning%3A%3A::x%0A::set-env")
    assert "50%25" in lines[1]


def test_the_summary_line_of_the_document_gives_a_row_for_each_demo(workshop: Workshop) -> None:
    text = (REPOSITORY / "docs" / "events.md").read_text()
    line = re.search(r"^\$ jq -r '(select.*)' fetch\.jsonl$", text, re.MULTILINE)
    assert line is not None
    rows = [row.split("\t") for row in jq("-r", line[1], text=run(workshop).out).splitlines()]
    assert [row[:3] for row in rows[:2]] == [
        ["Demo-a", "installed", "900"],
        ["Demo-b", "installed", str(len(gzipped(DATA)))],
    ]
    assert [row[1] for row in rows] == ["installed", "installed", "failed", "bring"]


def test_the_documents_name_the_file_that_is_there() -> None:
    for page in ("events.md", "ci.md"):
        assert "(annotations.jq)" in (REPOSITORY / "docs" / page).read_text()
    assert Path(REPOSITORY / "docs" / "annotations.jq").is_file()
