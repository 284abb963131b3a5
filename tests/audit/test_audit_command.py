"""``modelprep audit`` as it is called."""

from __future__ import annotations

import html.parser
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.workshop import Ran, Workshop
from servers.http import PAGE, FaultServer

Run = Callable[..., Ran]


@pytest.fixture
def workshop(tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    for name in ("MODELPREP_CACHE", "MODELPREP_RECIPES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return Workshop(tmp_path, server)


@pytest.fixture
def audit(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> Run:
    from modelprep.cli.main import invoke

    def run(*words: object) -> Ran:
        code = invoke(["audit", *map(str, words), "--recipes", str(workshop.recipes), "--pause", "0", "--timeout", "2"])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run


def test_what_is_well_ends_with_zero_and_what_is_lost_with_one(workshop: Workshop, audit: Run) -> None:
    workshop.simple("good", b"x" * 100_000)
    ran = audit("things")
    assert (ran.code, "1 with a working source, 0 without" in ran.out) == (0, True)
    workshop.simple("gone", b"y" * 100, urls=workshop.server.put("/gone", status=404))
    ran = audit("things")
    assert ran.code == 1
    assert "gone-file: no working source; needed by Demo-gone" in ran.out
    assert ran.out.index("dead (1)") < ran.out.index("alive (1)")
    assert audit("things", "--quiet").out == "things/gone#gone-file\n"


def test_the_history_is_kept_in_the_state_folder_unless_told_otherwise(
    workshop: Workshop, audit: Run, tmp_path: Path
) -> None:
    workshop.simple("good", b"x" * 100_000)
    audit("things")
    assert len(list((tmp_path / "state").rglob("audit-history.json"))) == 1
    audit("things", "--history", tmp_path / "mine" / "h.json")
    assert json.loads((tmp_path / "mine" / "h.json").read_text())["schema"] == 1


def test_json_is_one_object_with_every_source(workshop: Workshop, audit: Run) -> None:
    workshop.simple("page", b"x" * 100_000, urls=workshop.server.put("/page", PAGE, content_type="text/html"))
    ran = audit("things", "--json")
    assert ran.code == 1
    (asset,) = ran.object["assets"]
    assert (asset["state"], asset["demos"], asset["licence"]) == ("lost", ["Demo-page"], "stated")
    assert asset["sources"][0]["verdict"] == "page"
    assert ran.object["summary"]["verdicts"] == {"page": 1}


def test_a_machine_without_a_network_marks_nothing_as_failing(workshop: Workshop, audit: Run, tmp_path: Path) -> None:
    workshop.simple("gone", b"y", urls="http://no-such-host.invalid/m, http://127.0.0.1:9/m")
    workshop.simple("lost", b"z", urls="http://no-other-host.invalid/m")
    ran = audit("things", "--history", tmp_path / "h.json")
    assert ran.code == 7
    assert ran.err.splitlines()[1] == ("error: no network (0 of 3 hosts reached): 3 sources not checked")
    assert "dead" not in ran.out + ran.err
    assert "no-such-host" not in ran.out + ran.err
    assert not (tmp_path / "h.json").exists()
    assert "no-such-host.invalid/m" in audit("things", "-v").out
    assert "no-such-host.invalid/m" not in audit("things", "--quiet").out
    told = audit("things", "--json")
    assert (told.code, told.object["summary"]["nobody_answered"], told.object["summary"]["lost"]) == (7, True, [])
    assert told.object["summary"]["verdicts"] == {"unclear": 3}


def test_a_single_host_that_is_not_there_is_not_judged_either(workshop: Workshop, audit: Run) -> None:
    workshop.simple("gone", b"y", urls="http://no-such-host.invalid/m")
    ran = audit("things")
    assert ran.code == 7
    assert "no network, or no-such-host.invalid is gone (name not resolved)" in ran.err


def test_one_host_that_answers_shows_that_there_is_a_network(workshop: Workshop, audit: Run) -> None:
    workshop.simple("gone", b"y", urls="http://no-such-host.invalid/m")
    workshop.simple("refused", b"y", urls=workshop.server.put("/refused", status=404))
    ran = audit("things")
    assert ran.code == 1
    assert "dead (2)" in ran.out


class Reader(html.parser.HTMLParser):
    """Collects what a browser would run or load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "onclick", "style", "onload")]


def test_the_page_needs_nothing_and_runs_nothing_of_what_servers_say(
    workshop: Workshop, audit: Run, tmp_path: Path
) -> None:
    evil = b"<!DOCTYPE html><html><title>&lt;script&gt;alert(1)&lt;/script&gt;<img src=x></title></html>"
    workshop.simple("evil", b"x" * 100_000, urls=workshop.server.put("/evil", evil, content_type="text/html"))
    ran = audit("things", "--html", tmp_path / "audit.html")
    assert ran.code == 1
    text = (tmp_path / "audit.html").read_text()
    reader = Reader()
    reader.feed(text)
    assert "script" not in reader.tags
    assert "img" not in reader.tags
    assert reader.loaded == []
    assert "evil-file" in text
    assert "&lt;script&gt;" in text


def test_hosts_asks_nobody(workshop: Workshop, audit: Run) -> None:
    workshop.simple("good", b"x" * 100_000)
    ran = audit("things", "--hosts", "--json")
    assert ran.code == 0
    assert workshop.server.log == []
    assert ran.object["summary"]["pinned"] == 1
    ran = audit("things", "--hosts")
    assert "0 of 1 pinned assets have two or more independent hosts" in ran.out


def test_a_pin_of_the_lock_file_is_what_is_held_against(workshop: Workshop, audit: Run, tmp_path: Path) -> None:
    data = b"as first seen"
    url = workshop.server.put("/loose", data)
    workshop.recipe(
        "loose",
        "schema: 1\ndemo: Loose\nsummary: a thing\ntree: Things\nassets:\n  loose-file:\n"
        f"    urls: [{url}]\n    pin: first-use\n    licence: {{name: MIT, source: the test}}\n"
        "install:\n  a: $loose-file\n",
    )
    lock = tmp_path / "modelprep.lock"
    import hashlib

    digest = hashlib.sha256(data).hexdigest()
    lock.write_text(f"things/loose#loose-file: {{sha256: {digest}, size: {len(data)}, first_seen_from: '{url}'}}\n")
    assert audit("things", "--lockfile", lock).code == 0
    workshop.server.put("/loose", b"as later sold")
    ran = audit("things", "--lockfile", lock)
    assert ran.code == 1
    assert "changed (1)" in ran.out


def test_a_wrong_target_is_wrong_usage(audit: Run) -> None:
    assert audit("nonsense").code == 2
