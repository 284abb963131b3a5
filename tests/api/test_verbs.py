"""The functions do what the commands do, raise what they say they raise, print nothing, and cost nothing to import."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import re
import subprocess
import sys
import threading
from dataclasses import FrozenInstanceError, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Run
from cli.workshop import REPOSITORY, Workshop, sha256
from servers.sshd import BoardServer, missing

import modelprep
from modelprep.api.declaring import settle
from modelprep.api.fetching import request_of
from modelprep.api.options import PlanOptions
from modelprep.pipeline.plan.request import Request

Here = dict[str, Any]
HEAVY = {"requests", "urllib3", "numpy", "yaml", "google", "tqdm", "typer", "platformdirs", "onnxruntime"}


def loaded_after(code: str) -> set[str]:
    code += "\nimport sys\nprint('\\n'.join(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    return set(ran.stdout.split())


def test_importing_modelprep_is_cheap() -> None:
    loaded = loaded_after("import modelprep\nmodelprep.__version__\ndir(modelprep)")
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    assert {name for name in loaded if name.startswith("modelprep")} == {"modelprep", "modelprep.version"}


def test_a_name_brings_what_it_needs_and_no_more() -> None:
    loaded = loaded_after(
        "import modelprep\nmodelprep.fetch\nmodelprep.deploy\nmodelprep.DigestMismatch\nmodelprep.Event"
    )
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    assert not [name for name in loaded if name.startswith(("modelprep.pipeline", "modelprep.tree", "modelprep.cli"))]


def test_every_name_leads_to_the_same_thing_for_python_and_for_type_checkers() -> None:
    tree = ast.parse((REPOSITORY / "modelprep" / "__init__.py").read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name))
    typed = {
        alias.name: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    modules = {name for name, home in typed.items() if home == "modelprep"}
    assert set(typed) - modules == set(modelprep.__all__)
    assert modelprep.__all__ == sorted(set(modelprep.__all__))
    assert len(modelprep.__all__) <= 25
    for name, home in typed.items():
        assert home is not None
        whole = importlib.import_module(f"{home}.{name}" if name in modules else home)
        assert getattr(modelprep, name) is (whole if name in modules else getattr(whole, name))
    assert set(typed) <= set(dir(modelprep))
    with pytest.raises(AttributeError, match="fecth"):
        modelprep.fecth  # noqa: B018  # type: ignore[attr-defined]


def test_a_name_that_has_moved_works_and_names_its_new_place() -> None:
    moved = {name: home for home, names in modelprep._MOVED.items() for name in names.split()}
    assert {"UsageError", "Checked", "Listener", "Request", "count_hosts"} <= set(moved)
    assert not set(moved) & set(modelprep.__all__)
    for name, home in moved.items():
        with pytest.warns(DeprecationWarning, match=rf"from {home} import {name}$") as caught:
            found = getattr(modelprep, name)
        assert found is getattr(importlib.import_module(home), name)
        assert caught[0].filename == __file__


def test_an_unknown_option_is_a_type_error_that_names_the_nearest() -> None:
    for verb in (modelprep.fetch, modelprep.check, modelprep.list_demos):
        with pytest.raises(TypeError, match=r"'recipe'; did you mean recipes"):
            verb("things", recipe="here")  # type: ignore[call-arg]


def test_help_describes_every_parameter() -> None:
    for name in modelprep.__all__:
        verb = getattr(modelprep, name)
        if inspect.isfunction(verb):
            text = inspect.getdoc(verb) or ""
            for parameter in inspect.signature(verb).parameters.values():
                assert parameter.kind is not inspect.Parameter.VAR_KEYWORD
                assert re.search(rf"^{parameter.name}(?: : .*)?$", text, re.MULTILINE), f"{name}({parameter.name})"


def test_the_request_of_the_pipeline_has_the_declared_options_and_defaults() -> None:
    given = settle(PlanOptions, {})
    fields = {field.name: getattr(request_of("x", given), field.name) for field in dataclasses.fields(Request)}
    assert set(vars(given)) - set(fields) == {"recipes"}
    assert set(fields) - set(vars(given)) == {"targets", "typed"}
    assert request_of("x", given) == Request(targets=("x",))


def test_a_verb_stays_the_verb_when_the_room_of_its_name_is_imported() -> None:
    code = "import modelprep.check.demos, modelprep.fetch.urls, modelprep\n"
    code += "assert callable(modelprep.check) and callable(modelprep.fetch), (modelprep.check, modelprep.fetch)"
    loaded_after(code)


# -- the same as the command ---------------------------------------------------------------------------------------


def plain(report: dict[str, Any]) -> dict[str, Any]:
    """Take out what differs from run to run."""
    demos = [{name: value for name, value in demo.items() if name != "seconds"} for demo in report["demos"]]
    return {"exit_code": report["exit_code"], "pins_added": report["pins_added"], "demos": demos}


def test_fetch_gives_what_the_command_tells(workshop: Workshop, command: Run, here: Here) -> None:
    workshop.simple("good", b"x" * 1000)
    workshop.simple("gone", b"y" * 100, urls=workshop.server.put("/gone", status=404))
    told = command("fetch", "things", "--json").events[-1]
    report = modelprep.fetch("things", cache=workshop.cache, archives=False, **here)
    for demo in told["demos"]:
        if demo["recipe"] == "things/good":
            assert demo["outcome"] == "installed"
            demo.update(outcome="unchanged", written=[], bytes_fetched=0, sources=[])
    given = json.loads(json.dumps(report.to_json()))
    for demo in (*told["demos"], *given["demos"]):
        if "error" in demo:
            # The command's hint repeats what was typed, which a function does not know.
            assert "--set" in demo["error"].pop("hint")
            demo.pop("missing", None)
    assert plain(given) == plain(told)
    assert report.exit_code == 3
    assert not report.ok
    (failed,) = [demo for demo in report.demos if demo.error is not None]
    assert isinstance(failed.error, modelprep.errors.FetchError)


def test_a_report_raises_its_gravest_error_when_asked(workshop: Workshop, here: Here) -> None:
    workshop.simple("good", b"x" * 1000)
    workshop.simple("gone", b"y" * 100, urls=workshop.server.put("/gone", status=404))
    options: Here = {"cache": workshop.cache, "archives": False, **here}
    modelprep.fetch("things/good", **options).raise_for_failure()
    report = modelprep.fetch("things", **options)
    with pytest.raises(modelprep.errors.FetchError) as caught:
        report.raise_for_failure()
    assert caught.value.exit_code == report.exit_code == 3


def test_results_say_in_a_line_what_they_are(workshop: Workshop, here: Here) -> None:
    workshop.simple("good", b"x" * 1000)
    workshop.simple("gone", b"y" * 100, urls=workshop.server.put("/gone", status=404))
    options: Here = {"cache": workshop.cache, "archives": False, **here}
    planned = modelprep.plan("things", **options)
    assert repr(planned) == "<Plan: 2 demos, 2 downloads (1,100 bytes), 0 steps>"
    assert repr(planned.demos[1]) == "<PlannedDemo Demo-good (things/good): missing>"
    report = modelprep.run(planned)
    assert repr(report) == "<Report: 1 failed, 1 installed; exit code 3>"
    assert repr(report.demos[1]) == "<DemoReport Demo-good: installed, 1 files>"
    made = modelprep.mirror("things/good", workshop.root / "m", **options)
    assert repr(made) == f"<Mirrored {workshop.root / 'm'}: 1 written, 0 kept, 0 failed>"
    assert repr(modelprep.verify_mirror(workshop.root / "m")) == "<VerifiedMirror: 1 files, 0 damaged>"
    assert repr(modelprep.catalogue(workshop.recipes)).startswith("<Catalogue: ")


def test_mirror_bundle_key_and_list_give_what_the_commands_tell(
    workshop: Workshop, command: Run, here: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.simple("one", b"x" * 1000)
    workshop.simple("two", b"y" * 1000, more="")
    assert modelprep.fetch("things", cache=workshop.cache, archives=False, **here).ok
    assert modelprep.cache_key("things", **here) == command(
        "cache", "key", "things", "--recipes", workshop.recipes, "--out", workshop.out, bare=True
    ).out.strip()  # fmt: skip
    listed = modelprep.list_demos("things", cache=workshop.cache, **here)
    told = command("list", "things", "--json").object["demos"]
    assert [(demo.recipe.name, demo.state) for demo in listed] == [(demo["recipe"], demo["state"]) for demo in told]
    capsys.readouterr()

    made = modelprep.mirror("things", workshop.root / "ours", cache=workshop.cache, **here)
    assert command("mirror", "things", workshop.root / "theirs").code == 0
    index = (workshop.root / "ours" / "modelprep-mirror.json").read_bytes()
    assert index == (workshop.root / "theirs" / "modelprep-mirror.json").read_bytes()
    assert made.bytes_written == 2000

    ours = modelprep.bundle("things", workshop.root / "ours.tar.gz", **here)
    ran = command(
        "bundle", "things", "-o", workshop.root / "theirs.tar.gz", "--recipes", workshop.recipes, "--out",
        workshop.out, "--json", bare=True,
    )  # fmt: skip
    assert ran.events[-1]["sha256"] == ours.sha256 == sha256((workshop.root / "ours.tar.gz").read_bytes())
    assert ran.events[-1]["files"] == ours.files


def test_audit_and_hosts_give_what_the_command_tells(workshop: Workshop, command: Run, here: Here) -> None:
    workshop.simple("good", b"x" * 1000)
    workshop.simple("gone", b"y" * 100, urls=workshop.server.put("/gone", status=404))
    events: list[modelprep.Event] = []
    page = workshop.root / "audit.html"
    ours = modelprep.audit(
        "things", history=workshop.root / "h1", html=page, pause=0, listen=events.append, timeout=5, **here
    )
    words = ["--recipes", workshop.recipes, "--out", workshop.out, "--json"]
    told = command("audit", "things", "--history", workshop.root / "h2", "--pause", "0", *words, bare=True)
    assert told.code == 1
    facts = ours.to_json()
    assert [event.kind for event in events] == ["start", "progress", "progress", "done"]
    assert events[-2].data == {"asked": 2, "of": 2}
    assert json.loads(json.dumps(facts["summary"])) == told.object["summary"]
    assert [asset.subject.key for asset in ours.lost] == ["things/gone#gone-file"]
    assert "things/gone#gone-file" in page.read_text()
    hosts = command("audit", "things", "--hosts", *words, bare=True).object
    assert json.loads(json.dumps(modelprep.api.count_hosts("things", **here).to_json())) == hosts


def test_lint_gives_what_the_command_tells(workshop: Workshop, command: Run) -> None:
    model = workshop.root / "model.tflite"
    model.write_bytes(b"<!DOCTYPE html><html><body>Please sign in.</body></html>")
    log = workshop.root / "lint.sarif"
    found = modelprep.lint(model, parser="tflite", sarif=log)
    told = command("lint", model, "--parser", "tflite", "--json", bare=True)
    assert told.code == 1
    assert [finding.to_json() for finding in found] == told.object["findings"] != []
    assert found[0].serious
    assert len(json.loads(log.read_text())["runs"][0]["results"]) == len(found)
    for wrong in ({"parser": "caffee"}, {"target": "armnn-1"}, {"parser": "tflite", "test": "Nothing-Armnn"}):
        with pytest.raises(modelprep.errors.UsageError):
            modelprep.lint(model, **wrong)
    with pytest.raises(modelprep.errors.StorageError):
        modelprep.lint(workshop.root / "nothing.onnx")


def test_check_gives_what_the_command_tells(
    standin: tuple[Path, Path], tmp_path: Path, command: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="the check runs a model")
    mirror, recipes = standin
    place: Here = {"out": tmp_path / "tree", "cache": tmp_path / "store", "recipes": recipes}
    assert modelprep.fetch("armnn-onnx/mnist", mirrors=[mirror], offline=True, **place).ok
    page = tmp_path / "page.html"
    events: list[modelprep.Event] = []
    (checked,) = modelprep.check("armnn-onnx/mnist", html=page, listen=events.append, **place)
    assert checked.verdict is not None
    words = [word for name, value in place.items() for word in (f"--{name}", value)]
    told = command("check", "armnn-onnx/mnist", "--json", *words, bare=True).events[-1]
    (theirs,) = told["checks"]
    assert theirs["outcome"] == checked.verdict.outcome == "passes"
    assert json.loads(json.dumps([proof.to_json() for proof in checked.proofs])) == theirs["proofs"]
    assert [(event.kind, event.data) for event in events] == [("start", {}), ("done", {"outcome": "passes"})]
    assert "OnnxMnist-Armnn" in page.read_text()
    # Another model under the test's name: the verdict is ours to raise upon or not.
    (place["out"] / "ArmnnTests" / "models" / "mnist_onnx.onnx").write_bytes(b"nothing")
    (checked,) = modelprep.check("armnn-onnx/mnist", lint_only=True, **place)
    assert checked.verdict is not None
    assert checked.verdict.outcome == "fails"
    with pytest.raises(modelprep.errors.UsageError, match="variant"):
        modelprep.check("armnn-onnx/mnist", against="nothing", **place)
    with pytest.raises(modelprep.errors.UsageError, match="picture test"):
        modelprep.find_pictures("armnn-onnx/mnist", tmp_path, out=place["out"], recipes=recipes)
    assert capsys.readouterr().out == ""


def test_pictures_that_pass_are_found(standin: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("ai_edge_litert", "cv2"):
        pytest.importorskip(name, reason="the search runs a model on pictures")
    mirror, recipes = standin
    target = "armnn-tflite/mobilenet-v1-quant"
    options: Here = {"out": tmp_path / "tree", "recipes": recipes}
    assert modelprep.fetch(target, mirrors=mirror, offline=True, cache=tmp_path / "store", **options).ok
    album = tmp_path / "album" / "below"
    album.mkdir(parents=True)
    for file in (tmp_path / "tree" / "ArmnnTests" / "data").iterdir():
        (album / f"my {file.name}").write_bytes(file.read_bytes())
    (album / "notes.txt").write_text("no picture")
    found = modelprep.find_pictures(target, tmp_path / "album", **options)
    assert found.pictures == 3
    assert {each.file for each in found.passing} == {case.file for case in found.test.cases}
    assert all(each.picture.name == f"my {each.file}" for each in found.passing)


def test_deploy_plans_sends_tests_and_says_what_failed(workshop: Workshop, tmp_path: Path, here: Here) -> None:
    if why := missing():
        pytest.skip(why)
    workshop.simple("one", b"x" * 1000)
    workshop.simple("two", b"y" * 1000)
    assert modelprep.fetch("things", cache=workshop.cache, archives=False, **here).ok
    board = BoardServer(tmp_path / "sshd", rsync=False, tar=True, sftp=False)
    try:
        sending = {"ssh": board.ssh, **here}
        (decided,) = modelprep.plan_deploy("things", board.login, **sending)
        assert [file.path for file in decided.send] == ["data/one.bin", "data/two.bin"]
        assert not (board.home / "Things").exists()
        for name, status in (("one", 0), ("two", 1)):
            program = board.home / "Things" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\necho it is {name}\nexit {status}\n")
            program.chmod(0o755)
        sent = modelprep.deploy("things", board.login, run=True, **sending)
        assert sent.bytes_sent == 2000
        assert sent.board == board.login
        (ran,) = sent.tests
        assert not ran.ok
        assert not sent.ok
        assert "it is one" in ran.output or "Demo-one" in ran.output
        again = modelprep.deploy("things/one", board.login, run=True, **sending)
        assert again.bytes_sent == 0
        assert again.trees[0].kept == ("data/one.bin",)
    finally:
        board.stop()
    with pytest.raises(modelprep.errors.DeployError) as caught:
        modelprep.deploy("things", board.login, **sending)
    assert caught.value.hint
    with pytest.raises(modelprep.errors.MissingTool):
        modelprep.deploy("things", board.login, **{**sending, "ssh": "no-such-ssh"})


# -- what is handed in ---------------------------------------------------------------------------------------------


def test_one_word_is_one_target_and_one_folder(workshop: Workshop) -> None:
    workshop.simple("a", b"x")
    for recipes in (str(workshop.recipes), workshop.recipes, [workshop.recipes]):
        for targets in ("things/a", ["things/a"], ("things/a",)):
            (demo,) = modelprep.list_demos(targets, out=str(workshop.out), cache=workshop.cache, recipes=recipes)
            assert demo.recipe.name == "things/a"


def test_a_mirror_may_be_a_path_a_word_or_a_url(workshop: Workshop, here: Here) -> None:
    workshop.simple("a", b"x" * 10)
    mirror = workshop.root / "mirror"
    assert modelprep.mirror("things", mirror, cache=workshop.cache, **here).exit_code == 0
    for number, mirrors in enumerate((mirror, str(mirror), [mirror], (str(mirror), "http://127.0.0.1:1/x"))):
        report = modelprep.fetch(
            "things", mirrors=mirrors, offline=True, cache=workshop.root / f"c{number}",
            out=workshop.root / f"o{number}", recipes=workshop.recipes,
        )  # fmt: skip
        assert report.ok
        assert report.demos[0].sources == (str(mirror),) or str(mirror) in report.demos[0].sources[0]
    planned = modelprep.plan("things", mirrors="https://mirror.example/a", cache=workshop.root / "none", **here)
    assert planned.request.mirrors == ("https://mirror.example/a",)


def test_an_override_that_is_not_there_is_a_wrong_call(workshop: Workshop, here: Here) -> None:
    workshop.simple("a", b"x" * 10)
    mine = workshop.root / "mine.bin"
    options = {"cache": workshop.cache, "archives": False, **here}
    with pytest.raises(modelprep.errors.UsageError, match="does not exist") as caught:
        modelprep.fetch("things", overrides={"a-file": mine}, **options)
    assert caught.value.where == str(mine)
    mine.write_bytes(b"mine")
    assert modelprep.fetch("things", overrides={"a-file": str(mine)}, **options).ok
    assert workshop.installed() == {"data/a.bin": b"mine"}


def test_a_plan_is_carried_out_later(workshop: Workshop, here: Here) -> None:
    workshop.simple("a", b"x" * 10)
    planned = modelprep.plan("things", cache=workshop.cache, archives=False, **here)
    assert not workshop.server.log
    assert not workshop.out.exists()
    assert modelprep.run(planned).demos[0].outcome == "installed"
    assert modelprep.run(planned).demos[0].outcome in ("installed", "unchanged")


def test_results_are_frozen(workshop: Workshop, here: Here) -> None:
    workshop.simple("a", b"x" * 10)
    report = modelprep.fetch("things", cache=workshop.cache, archives=False, **here)
    results: list[Any] = [
        report,
        report.demos[0],
        modelprep.plan("things", cache=workshop.cache, **here),
        modelprep.bundle("things", workshop.root / "a.zip", **here),
        modelprep.mirror("things", workshop.root / "m", cache=workshop.cache, **here),
        modelprep.verify_mirror(workshop.root / "m"),
        modelprep.export_yocto("things", workshop.root / "layer", **here),
        modelprep.api.count_hosts("things", **here),
        modelprep.check("things", cache=workshop.cache, **here)[0],
    ]
    for result in results:
        assert is_dataclass(result)
        assert type(result).__name__ in {*modelprep.__all__, *" ".join(modelprep._MOVED.values()).split()}
        name = next(iter(result.__dataclass_fields__))
        with pytest.raises(FrozenInstanceError):
            setattr(result, name, None)


# -- what comes out ------------------------------------------------------------------------------------------------


def test_a_broken_recipe_is_a_warning_where_everything_is_looked_over(workshop: Workshop) -> None:
    workshop.simple("a", b"x" * 10)
    workshop.recipe("broken", "schema: 1\nasets: {}\n")
    options: Here = {"out": workshop.out, "recipes": workshop.recipes}
    for verb in (modelprep.list_demos, modelprep.api.count_hosts):
        events: list[modelprep.Event] = []
        verb(listen=events.append, **options)
        assert [event.kind for event in events] == ["warning"]
        assert events[0].data["error"] == "recipe"
        with pytest.raises(modelprep.errors.RecipeError):
            verb("things/broken", **options)
    for strict in (modelprep.cache_key, modelprep.check, modelprep.plan):
        with pytest.raises(modelprep.ModelprepError):
            strict("things", **options)  # type: ignore[operator]


def test_whatever_a_disk_does_is_a_storage_error(workshop: Workshop, here: Here) -> None:
    workshop.simple("a", b"x" * 10)
    assert modelprep.fetch("things", cache=workshop.cache, archives=False, **here).ok
    (workshop.root / "file").write_text("in the way")
    wall = workshop.root / "file" / "below"
    verbs: list[Any] = [
        lambda: modelprep.bundle("things", wall / "a.tar", **here),
        lambda: modelprep.mirror("things", wall, cache=workshop.cache, **here),
        lambda: modelprep.export_yocto("things", wall, **here),
        lambda: modelprep.check("things", html=wall / "page.html", cache=workshop.cache, **here),
    ]
    for verb in verbs:
        with pytest.raises(modelprep.errors.StorageError) as caught:
            verb()
        assert str(workshop.root / "file") in (caught.value.where or "")
    with pytest.raises(modelprep.errors.StorageError):
        modelprep.fetch("things", cache=workshop.cache, archives=False, out=wall, recipes=workshop.recipes)


def test_a_bug_of_ours_says_that_it_is_one_and_keeps_its_cause(
    workshop: Workshop, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelprep.recipe.catalogue import Catalogue

    workshop.simple("a", b"x" * 10)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("one by nothing")

    monkeypatch.setattr(Catalogue, "resolve", broken)
    monkeypatch.setenv("TMPDIR", str(workshop.root))
    with pytest.raises(modelprep.ModelprepError, match="bug in modelprep") as caught:
        modelprep.plan("things", **here)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.got == "ZeroDivisionError: one by nothing"


def test_verbs_print_nothing(workshop: Workshop, here: Here, capfd: pytest.CaptureFixture[str]) -> None:
    workshop.simple("a", b"x" * 10)
    workshop.simple("gone", b"y", urls=workshop.server.put("/gone", status=404))
    options = {"cache": workshop.cache, "archives": False, **here}
    modelprep.fetch("things", **options)
    modelprep.plan("things", **options)
    modelprep.mirror("things", workshop.root / "m", **options)
    modelprep.verify_mirror(workshop.root / "m")
    modelprep.bundle("things/a", workshop.root / "b.zip", **here)
    modelprep.export_yocto("things/a", workshop.root / "y", **here)
    modelprep.check("things", cache=workshop.cache, **here)
    assert capfd.readouterr() == ("", "")


def test_verbs_of_several_threads_share_a_store_and_a_tree(workshop: Workshop, here: Here) -> None:
    for number in range(4):
        workshop.simple(f"n{number}", bytes([number]) * 50_000)
    reports: list[modelprep.Report] = []

    def work() -> None:
        reports.append(modelprep.fetch("things", cache=workshop.cache, archives=False, **here))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) == 4
    assert all(report.ok for report in reports)
    assert len(workshop.installed()) == 4
    assert sorted(request.path for request in workshop.server.log) == [f"/n{number}.bin" for number in range(4)]


def test_a_notebook_shows_tables_with_everything_escaped(workshop: Workshop) -> None:
    hostile = "<script>alert(1)</script>"
    workshop.simple("one", b"x")
    plan = modelprep.plan("things", out=workshop.out, cache=workshop.cache, recipes=[workshop.recipes])
    report = modelprep.run(plan)
    (checked,) = modelprep.check("things", out=workshop.out, cache=workshop.cache, recipes=[workshop.recipes])
    for shown in (plan, report, checked):
        assert "<td>Demo-one</td>" in shown._repr_html_()
    from modelprep.pages import table

    assert hostile not in table([hostile], [(hostile,)], hostile)
    assert table([hostile], [(hostile,)], hostile).count("&lt;script&gt;") == 3
