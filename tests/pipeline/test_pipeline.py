"""Planning and running: what is decided, in which order it is done, how often."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from cli.workshop import Workshop, gzipped, sha256

import modelprep
from modelprep.errors import DigestMismatch, UsageError
from modelprep.events import Event
from modelprep.pipeline.run.report import worst
from modelprep.recipe.lockfile import LOCK_NAME
from modelprep.steps import Call, gunzip
from modelprep.steps import find as find_step

DATA = random.Random(4).randbytes(50_000)
PACKED = gzipped(DATA)
HEAD = "schema: 1\ndemo: {demo}\nsummary: s\nstatus: ready\ntree: Things\n"


def packed_recipe(workshop: Workshop, name: str, *, place: str = "", digest: str = "") -> Path:
    url = workshop.server.put("/packed.gz", PACKED)
    pin = digest or f"sha256: {sha256(PACKED)}"
    return workshop.recipe(
        name,
        HEAD.format(demo=name)
        + f"assets:\n  packed: {{urls: [{url}], {pin}, size: {len(PACKED)}, pinned_by: test}}\n"
        + "steps:\n  - {id: plain, uses: gunzip, with: {file: $packed}}\n"
        + f"install:\n  {place or name + '.bin'}: $plain\n",
    )


def options(workshop: Workshop) -> dict[str, Any]:
    return {"out": workshop.out, "cache": workshop.cache, "recipes": [workshop.recipes], "archives": False}


def test_equal_steps_of_two_recipes_run_once(workshop: Workshop) -> None:
    packed_recipe(workshop, "a")
    packed_recipe(workshop, "b")
    events: list[Event] = []
    report = modelprep.fetch(["things"], listen=events.append, **options(workshop))
    assert report.ok
    assert [event.task for event in events if event.kind == "done" and event.task.startswith("step:")] == [
        "step:things/a#plain"
    ]
    assert workshop.installed() == {"a.bin": DATA, "b.bin": DATA}
    assert report.bytes_fetched == len(PACKED)
    assert [demo.bytes_fetched for demo in report.demos] == [len(PACKED), 0]


def test_a_result_in_the_store_spares_the_download_also_when_only_md5_pins_it(workshop: Workshop) -> None:
    import hashlib

    digest = f"md5: {hashlib.md5(PACKED).hexdigest()}"
    packed_recipe(workshop, "a", digest=digest)
    assert modelprep.fetch(["things"], **options(workshop)).ok
    (workshop.cache / "blobs" / sha256(PACKED)[:2] / sha256(PACKED)).unlink()
    shutil.rmtree(workshop.out)
    planned = modelprep.plan(["things"], **options(workshop))
    assert (planned.to_fetch, planned.to_run) == ((), ())
    asked = len(workshop.server.log)
    assert modelprep.fetch(["things"], **options(workshop)).ok
    assert len(workshop.server.log) == asked
    assert workshop.installed() == {"a.bin": DATA}


def test_planning_opens_no_socket_and_writes_nothing(workshop: Workshop) -> None:
    packed_recipe(workshop, "a")
    planned = modelprep.plan(["things"], **options(workshop))
    assert planned.bytes_to_come == len(PACKED)
    assert [step.task for step in planned.to_run] == ["step:things/a#plain"]
    assert workshop.server.log == []
    assert not workshop.cache.exists()
    assert not workshop.out.exists()


def test_a_new_step_version_makes_the_demo_stale_and_runs_the_step_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed_recipe(workshop, "a")
    assert modelprep.fetch(["things"], **options(workshop)).ok
    assert [demo.state for demo in modelprep.list_demos(["things"], **listing(workshop))] == ["present"]
    monkeypatch.setattr(gunzip, "STEP", dataclasses.replace(gunzip.STEP, version=gunzip.STEP.version + 1))
    planned = modelprep.plan(["things"], **options(workshop))
    assert planned.demos[0].state == "stale"
    assert [step.task for step in planned.to_run] == ["step:things/a#plain"]
    assert modelprep.fetch(["things"], **options(workshop)).ok
    assert modelprep.plan(["things"], **options(workshop)).demos[0].state == "present"


def listing(workshop: Workshop) -> dict[str, Any]:
    return {"out": workshop.out, "cache": workshop.cache, "recipes": [workshop.recipes]}


def test_a_lost_or_changed_file_makes_the_demo_stale_and_is_mended_without_asking_anybody(workshop: Workshop) -> None:
    packed_recipe(workshop, "a")
    assert modelprep.fetch(["things"], **options(workshop)).ok
    asked = len(workshop.server.log)
    (workshop.out / "Things" / "a.bin").unlink()
    assert modelprep.plan(["things"], **options(workshop)).demos[0].state == "stale"
    report = modelprep.fetch(["things"], **options(workshop))
    assert report.demos[0].written == ("a.bin",)
    (workshop.out / "Things" / "a.bin").write_bytes(b"edited")
    report = modelprep.fetch(["things"], **options(workshop))
    assert (workshop.out / "Things" / "a.bin.orig").read_bytes() == b"edited"
    assert any("a.bin.orig" in text for text in report.demos[0].warnings)
    assert len(workshop.server.log) == asked


def test_what_a_step_warns_of_is_told_again_on_every_run(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = gunzip.STEP.run

    def warning(call: Call) -> None:
        plain(call)
        call.warn("look out")

    monkeypatch.setattr(gunzip, "STEP", dataclasses.replace(gunzip.STEP, run=warning, cpu_bound=False, version=99))
    packed_recipe(workshop, "a")
    for _ in range(3):
        events: list[Event] = []
        report = modelprep.fetch(["things"], listen=events.append, **options(workshop))
        assert [event.text for event in events if event.kind == "warning"] == ["a: gunzip: look out"]
        assert report.demos[0].warnings == ("look out",)


def test_a_cpu_bound_step_runs_in_a_process_of_its_own(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: Call) -> None:
        raise AssertionError("ran in the parent")

    # The child finds the step anew, as it stands on the disk.
    monkeypatch.setattr(gunzip, "STEP", dataclasses.replace(gunzip.STEP, cpu_bound=True, run=never))
    packed_recipe(workshop, "a")
    events: list[Event] = []
    report = modelprep.fetch(["things"], listen=events.append, **options(workshop))
    assert report.ok, report.demos[0].error
    assert workshop.installed() == {"a.bin": DATA}
    assert any(event.kind == "progress" and event.task == "step:things/a#plain" for event in events)


def test_steps_run_while_other_downloads_are_still_going(workshop: Workshop) -> None:
    packed_recipe(workshop, "a")
    slow = random.Random(5).randbytes(400_000)
    url = workshop.server.put("/slow.bin", slow, pause=0.05, piece=20_000)
    workshop.simple("slow", slow, urls=url)
    events: list[Event] = []
    assert modelprep.fetch(["things"], listen=events.append, **options(workshop)).ok
    order = [event.task for event in events if event.kind == "done"]
    assert order.index("step:things/a#plain") < order.index("fetch:slow-file")
    assert order.index("install:things/a") < order.index("fetch:slow-file")


def most_downloads_at_once(workshop: Workshop, **how: Any) -> int:
    for number in range(6):
        data = random.Random(number).randbytes(40_000)
        url = workshop.server.put(f"/{number}.bin", data, pause=0.03, piece=10_000)
        workshop.simple(f"n{number}", data, urls=url)
    running: set[str] = set()
    most = 0

    def listen(event: Event) -> None:
        nonlocal most
        if event.task.startswith("fetch:"):
            if event.kind in ("start", "progress") and event.done != (event.total or -1):
                running.add(event.task)
            elif event.kind in ("progress", "done"):  # all of it has come
                running.discard(event.task)
            most = max(most, len(running))

    assert modelprep.fetch(["things"], listen=listen, **options(workshop), **how).ok
    return most


def test_no_more_downloads_at_once_than_jobs(workshop: Workshop) -> None:
    assert most_downloads_at_once(workshop, jobs=2) == 2


def test_of_large_files_of_one_host_one_comes_after_the_other(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelprep.pipeline.run.runner.LARGE", 40_000)
    assert most_downloads_at_once(workshop) == 1


def test_the_listener_is_called_by_one_thread_at_a_time(workshop: Workshop) -> None:
    for number in range(6):
        workshop.simple(f"n{number}", random.Random(number).randbytes(300_000))
    inside = threading.Lock()

    def listen(_: Event) -> None:
        assert inside.acquire(blocking=False)
        inside.release()

    assert modelprep.fetch(["things"], jobs=6, listen=listen, **options(workshop)).ok


def test_set_by_an_ambiguous_name_asks_which(workshop: Workshop) -> None:
    workshop.recipe(
        "a", HEAD.format(demo="a") + "assets:\n  model: {urls: [http://127.0.0.1/a], md5: " + "0" * 32 + "}\n"
        "install: {a: $model}\n",
    )  # fmt: skip
    workshop.recipe(
        "b", HEAD.format(demo="b") + "assets:\n  model: {urls: [http://127.0.0.1/b], md5: " + "1" * 32 + "}\n"
        "install: {b: $model}\n",
    )  # fmt: skip
    mine = workshop.root / "mine"
    mine.write_bytes(b"mine")
    with pytest.raises(UsageError, match="different assets") as caught:
        modelprep.plan(["things"], overrides={"model": mine}, **options(workshop))
    assert "things/a:model" in str(caught.value)
    planned = modelprep.plan(["things"], overrides={"things/a:model": mine}, **options(workshop))
    assert [demo.recipe.name for demo in planned.demos if demo.problem is None] == ["things/a", "things/b"]
    assert {asset.override for asset in planned.assets.values()} == {mine, None}


def test_an_armnn_version_selects_the_variant_of_that_name(workshop: Workshop) -> None:
    workshop.simple("a", DATA, more="expect: {armnn: '19.02'}\nvariants:\n  armnn-19.08: {run: ./later}\n")
    workshop.simple("b", DATA[1:])
    planned = modelprep.plan(["things"], armnn="19.08", **options(workshop))
    assert [(demo.recipe.variant, str(demo.recipe.run)) for demo in planned.demos] == [
        ("armnn-19.08", "./later"),
        ("", "./b"),
    ]
    assert modelprep.plan(["things"], armnn="19.02", **options(workshop)).demos[0].recipe.variant == ""
    with pytest.raises(UsageError, match=r"unknown Arm NN version: 19\.80"):
        modelprep.plan(["things"], armnn="19.80", **options(workshop))


@pytest.mark.parametrize(
    ("codes", "gravest"),
    [([], 0), ([0, 8], 8), ([8, 3], 3), ([3, 4, 8], 4), ([6, 5], 6), ([7, 8], 7), ([130, 6], 130), ([2, 3], 3)],
)
def test_the_gravest_code_wins_and_something_to_bring_is_the_least(codes: list[int], gravest: int) -> None:
    assert worst(codes) == gravest


def key(workshop: Workshop, capsys: pytest.CaptureFixture[str], *targets: str) -> str:
    from modelprep.cli.main import invoke

    arguments = ["cache", "key", *targets, "--recipes", str(workshop.recipes), "--out", str(workshop.out)]
    assert invoke(arguments) == 0
    return capsys.readouterr().out.strip()


def test_the_cache_key_follows_recipes_steps_and_lock_and_nothing_else(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed_recipe(workshop, "a")
    workshop.simple("b", DATA)
    first = key(workshop, capsys, "things")
    assert len(first) == 64
    assert modelprep.fetch(["things"], **options(workshop)).ok
    assert key(workshop, capsys, "things") == first
    assert key(workshop, capsys, "things/b", "things/a") == first
    moved = Workshop(workshop.root / "elsewhere", workshop.server)
    shutil.rmtree(moved.recipes)
    shutil.copytree(workshop.recipes, moved.recipes)
    assert key(moved, capsys, "things") == first
    text = path.read_text()
    path.write_text("# a comment changes nothing\n" + text)
    assert key(workshop, capsys, "things") == first
    path.write_text(text.replace("a.bin: $plain", "c.bin: $plain"))
    assert key(workshop, capsys, "things") != first
    path.write_text(text)
    with monkeypatch.context() as patch:
        patch.setattr(gunzip, "STEP", dataclasses.replace(gunzip.STEP, version=77))
        assert key(workshop, capsys, "things") != first
    url = workshop.server.put("/loose", DATA)
    loose = f"assets:\n  loose: {{urls: [{url}], pin: first-use}}\ninstall: {{l: $loose}}\n"
    workshop.recipe("l", HEAD.format(demo="l") + loose)
    unlocked = key(workshop, capsys, "things")
    assert modelprep.fetch(["things"], **options(workshop)).ok
    assert key(workshop, capsys, "things") != unlocked


def test_gc_keeps_what_recipes_use_and_removes_the_rest(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    from modelprep.cli.main import invoke

    packed_recipe(workshop, "a")
    workshop.simple("b", DATA[:-1])
    assert modelprep.fetch(["things"], **options(workshop)).ok
    (workshop.recipes / "things" / "b.yaml").unlink()
    common = ["--recipes", str(workshop.recipes), "--out", str(workshop.out), "--cache", str(workshop.cache)]
    assert invoke(["cache", "gc", "--dry-run", *common]) == 0
    assert (workshop.cache / "blobs" / sha256(DATA[:-1])[:2] / sha256(DATA[:-1])).is_file()
    assert invoke(["cache", "gc", *common]) == 0
    left = {path.name for path in (workshop.cache / "blobs").rglob("*") if path.is_file()}
    assert left == {sha256(PACKED), sha256(DATA)}
    assert modelprep.plan(["things/a"], **options(workshop)).demos[0].state == "present"
    capsys.readouterr()
    assert invoke(["cache", "verify", "--cache", str(workshop.cache)]) == 0
    rotten = workshop.cache / "blobs" / sha256(DATA)[:2] / sha256(DATA)
    rotten.chmod(0o644)
    rotten.write_bytes(DATA[:-1] + b"?")
    assert invoke(["cache", "verify", "--cache", str(workshop.cache)]) == 4
    assert sha256(DATA) in capsys.readouterr().err


def test_gc_keeps_what_a_program_made_that_is_missing_now(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelprep.api.caching import collect_garbage
    from modelprep.store import Result, Store

    monkeypatch.setenv("MODELPREP_VELA", str(workshop.out / "no-such-vela"))
    path = workshop.simple("npu", DATA)
    compiled = "steps: [{id: made, uses: tflite.vela, with: {model: $npu-file}}]\ninstall: {m.tflite: $made}\n"
    path.write_text(f"{path.read_text().partition('install:')[0]}{compiled}")
    store = Store.open(workshop.cache)

    def made(step: str) -> str:
        with store.writer() as writer:
            writer.write(step.encode())
            blob = writer.commit(None)
        store.put_result(sha256(step.encode()), Result({"": blob.sha256}, step=step, version=1))
        return blob.sha256

    kept, freed = made("tflite.vela"), made("tf.freeze")
    collect_garbage(recipes=workshop.recipes, cache=workshop.cache, out=workshop.out)
    assert store.get(kept) is not None
    assert store.get(freed) is None
    assert store.result(sha256(b"tflite.vela")) is not None


def test_gc_with_a_limit_leaves_pins_and_the_files_of_trees(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    from modelprep.cli.main import invoke

    packed_recipe(workshop, "a")
    loose_recipe(workshop, "b", "pinned", workshop.server.put("/loose", b"loose"), "x.bin")
    assert modelprep.fetch(["things"], **options(workshop)).ok
    common = ["--recipes", str(workshop.recipes), "--out", str(workshop.out), "--cache", str(workshop.cache)]
    assert invoke(["cache", "gc", "--max-size", "0", "--json", *common]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["over_limit_bytes"] == len(DATA) + len(b"loose")
    left = {path.name for path in (workshop.cache / "blobs").rglob("*") if path.is_file()}
    assert left == {sha256(DATA), sha256(b"loose")}  # the archive goes: what it held stands in the tree
    assert {demo.state for demo in modelprep.plan(["things"], **options(workshop)).demos} == {"present"}
    assert invoke(["cache", "gc", "--max-size", "plenty", *common]) == 2
    assert "such as 2GiB" in capsys.readouterr().err


def licensed(workshop: Workshop, name: str, licence: str, more: str = "") -> str:
    path = workshop.simple(name, DATA + name.encode())
    path.write_text(path.read_text().replace("licence: {name: MIT, source: the test}", f"licence: {licence}{more}"))
    return f"things/{name}"


def test_a_demo_with_a_file_of_a_denied_licence_class_is_refused_and_the_others_are_not(
    workshop: Workshop, tmp_path: Path
) -> None:
    free, bound = licensed(workshop, "free", "MIT"), licensed(workshop, "bound", "CC BY-NC 4.0")
    report = modelprep.fetch(["things"], deny_licence_class="non-commercial", **options(workshop))
    outcomes = {demo.recipe: demo.outcome for demo in report.demos}
    assert outcomes == {free: "installed", bound: "failed"}
    assert report.exit_code == 1
    (error,) = (demo.error for demo in report.demos if demo.error is not None)
    assert "bound-file: non-commercial (CC BY-NC 4.0)" in str(error)
    assert [request.path for request in workshop.server.log] == ["/free.bin"]
    # Installed already, it is refused all the same; a file of the user's own has no class.
    assert modelprep.fetch([bound], **options(workshop)).ok
    assert modelprep.fetch([bound], deny_licence_class="non-commercial", **options(workshop)).exit_code == 1
    mine = tmp_path / "mine.bin"
    mine.write_bytes(b"mine" * 100)
    taken = modelprep.fetch(
        [bound], deny_licence_class="non-commercial", overrides={"bound-file": mine}, **options(workshop)
    )
    assert taken.exit_code == 0


def test_a_file_that_may_not_be_passed_on_counts_as_restricted_too(workshop: Workshop) -> None:
    name = licensed(workshop, "photo", "CC BY-NC 4.0", "\n    restricted: true")
    for denied in ("restricted", "non-commercial", ["unknown", "restricted"]):
        assert modelprep.plan([name], deny_licence_class=denied, **options(workshop)).demos[0].problem is not None
    assert modelprep.plan([name], deny_licence_class="unknown", **options(workshop)).demos[0].problem is None
    with pytest.raises(UsageError, match="unknown licence class"):
        modelprep.plan([name], deny_licence_class="evil", **options(workshop))


def loose_recipe(workshop: Workshop, name: str, asset: str, url: str, place: str) -> None:
    text = f"assets:\n  {asset}: {{urls: [{url}], pin: first-use}}\ninstall: {{{place}: ${asset}}}\n"
    workshop.recipe(name, HEAD.format(demo=name) + text)


def test_unpinned_files_that_turn_out_different_cannot_share_a_place(workshop: Workshop) -> None:
    loose_recipe(workshop, "a", "one", workshop.server.put("/one", b"one"), "same.bin")
    loose_recipe(workshop, "b", "two", workshop.server.put("/two", b"two"), "same.bin")
    report = modelprep.fetch(["things"], **options(workshop))
    assert sorted(demo.outcome for demo in report.demos) == ["failed", "installed"]
    failed = next(demo for demo in report.demos if demo.error is not None)
    assert isinstance(failed.error, UsageError)
    assert report.exit_code == 2
    assert len(workshop.installed()) == 1


def test_unpinned_assets_of_two_recipes_may_have_one_name(workshop: Workshop) -> None:
    loose_recipe(workshop, "a", "model", workshop.server.put("/one", b"one"), "a.bin")
    loose_recipe(workshop, "b", "model", workshop.server.put("/two", b"two"), "b.bin")
    # In two runs, too: the first one's pin is none of the second one's business.
    assert modelprep.fetch(["things/a"], **options(workshop)).pins_added == ("things/a#model",)
    assert modelprep.fetch(["things/b"], **options(workshop)).pins_added == ("things/b#model",)
    assert workshop.installed() == {"a.bin": b"one", "b.bin": b"two"}
    assert modelprep.fetch(["things"], **options(workshop), locked=True).exit_code == 0


def test_an_unpinned_file_that_two_recipes_declare_is_pinned_for_both(workshop: Workshop) -> None:
    url = workshop.server.put("/one", b"one")
    loose_recipe(workshop, "a", "model", url, "a.bin")
    loose_recipe(workshop, "b", "weights", url, "b.bin")
    assert modelprep.fetch(["things"], **options(workshop)).pins_added == ("things/a#model", "things/b#weights")
    assert len(workshop.server.log) == 1
    workshop.server.put("/one", b"other")
    fresh = {**options(workshop), "cache": workshop.root / "fresh"}
    report = modelprep.fetch(["things/b"], **{**fresh, "out": workshop.root / "new"}, lockfile=workshop.out / LOCK_NAME)
    assert isinstance(report.demos[0].error, DigestMismatch)
    assert "things/b#weights" in (report.demos[0].error.hint or "")


def test_a_recipe_and_its_variant_cannot_pin_two_files_under_one_name(workshop: Workshop) -> None:
    one, two = workshop.server.put("/one", b"one"), workshop.server.put("/two", b"two")
    text = (
        f"assets:\n  model: {{urls: [{one}], pin: first-use}}\ninstall: {{a.bin: $model}}\n"
        f"variants:\n  other:\n    assets: {{model: {{urls: [{two}], pin: first-use}}}}\n"
        "    install: {b.bin: $model}\n"
    )
    workshop.recipe("a", HEAD.format(demo="a") + text)
    report = modelprep.fetch(["things/a", "things/a@other"], **options(workshop))
    assert [demo.outcome for demo in report.demos] == ["installed", "failed"]
    assert "'things/a#model' in the lock file" in str(report.demos[1].error)


def test_where_a_file_lies_on_this_machine_shows_neither_in_the_key_nor_in_the_manifest(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = []
    for folder in ("here", "there"):
        path = workshop.recipes / folder / "model.bin"
        path.parent.mkdir()
        path.write_bytes(DATA)
        workshop.simple("a", DATA, urls=path.as_uri())
        keys.append(key(workshop, capsys, "things"))
    assert keys[0] == keys[1]
    assert modelprep.fetch(["things"], offline=True, **options(workshop)).ok
    text = (workshop.out / "Things" / "MANIFEST.json").read_text()
    assert '"source": "file:model.bin"' in text
    assert str(workshop.root) not in text


def test_two_stores_and_two_orders_give_the_same_manifest(workshop: Workshop) -> None:
    packed_recipe(workshop, "a")
    packed_recipe(workshop, "b")
    texts = []
    for number, order in enumerate((["things/a", "things/b"], ["things/b", "things/a"])):
        place = {
            **options(workshop),
            "out": workshop.root / f"out-{number}",
            "cache": workshop.root / f"cache-{number}",
        }
        for target in order:
            assert modelprep.fetch([target], **place).ok
        texts.append((workshop.root / f"out-{number}" / "Things" / "MANIFEST.json").read_text())
    assert texts[0] == texts[1]


def test_fetch_stays_the_verb_when_the_package_has_been_imported() -> None:
    import importlib

    module = importlib.import_module("modelprep.fetch")
    assert callable(modelprep.fetch)
    assert modelprep.fetch is not module
    from modelprep.fetch import Fetcher

    assert Fetcher.__module__ == "modelprep.fetch.fetcher"


def test_every_step_says_its_name_as_its_module_does() -> None:
    from modelprep.steps import module_of, names

    assert all(find_step(name).run.__module__ for name in names())
    assert len({module_of(name) for name in names()}) == len(names())
