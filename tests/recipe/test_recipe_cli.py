"""``modelprep recipe`` as a user runs it, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from modelprep.recipe.lockfile import Pin, format_lock


def write_lock(path: Path, pins: Mapping[str, Pin]) -> None:
    path.write_text(format_lock(pins), "utf-8")


REPOSITORY = Path(__file__).resolve().parent.parent.parent
SHA = "0123456789abcdef" * 4


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelprep", "recipe", *arguments]
    paths = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_new_recipe_lints_clean_and_is_never_overwritten(tmp_path: Path) -> None:
    made = run("new", "demos/thing", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    text = (tmp_path / "demos" / "thing.yaml").read_text("utf-8")
    assert "# Tried in order" in text
    checked = run("lint", "demos/thing.yaml", cwd=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    again = run("new", "demos/thing", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert (tmp_path / "demos" / "thing.yaml").read_text("utf-8") == text


@pytest.mark.parametrize("name", ["../x", "/x", "a/b/c", "", "a b", "assets/x", ".x"])
def test_a_new_recipe_goes_nowhere_else(tmp_path: Path, name: str) -> None:
    made = run("new", name, cwd=tmp_path)
    assert made.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_recipes_lint_clean(tmp_path: Path) -> None:
    checked = run("lint", "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    files = json.loads(checked.stdout)["files"]
    assert len(files) >= 15
    assert [file for file in files if file["problems"]] == []
    # A step of a package that is not installed here cannot be checked; tests/steps/test_plugins.py does it.
    assert {text.partition(": ")[2][:55] for file in files for text in file["warnings"]} <= {
        "a step is not checked: the package modelprep-neutron, w"
    }
    assert {file["kind"] for file in files} == {"recipe", "assets"}


def test_lint_tells_every_problem_of_every_file_with_its_place(tmp_path: Path) -> None:
    bad = tmp_path / "group" / "bad.yaml"
    bad.parent.mkdir()
    bad.write_text("schema: 1\ndemo: D\nstatus: redy\nrnu: x\n", encoding="utf-8")
    step = tmp_path / "group" / "step.yaml"
    step.write_text(
        f"schema: 1\ndemo: D\nassets: {{a: {{urls: [http://e.org/a], sha256: {SHA}}}}}\n"
        "steps:\n  - {id: s, uses: copy, with: {fiel: $a}}\n",
        encoding="utf-8",
    )
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "x.yaml").write_text("schema: 1\nassets: {a: {summary: s}}\n", encoding="utf-8")
    for name in ("one", "two"):
        (tmp_path / "assets" / f"{name}.yaml").write_text("schema: 1\nassets: {b: {provide: true}}\n", encoding="utf-8")
    human = run("lint", ".", cwd=tmp_path)
    assert human.returncode == 2
    for place in ("bad.yaml:3:9", "bad.yaml:4:1", "step.yaml:5:5", "x.yaml:2:13", "assets/two.yaml:2:10"):
        assert place in human.stderr
    assert "did you mean file?" in human.stderr
    machine = run("lint", "--json", "group/bad.yaml", cwd=tmp_path)
    assert machine.returncode == 2
    (file,) = json.loads(machine.stdout)["files"]
    assert [problem["where"] for problem in file["problems"]] == [
        "group/bad.yaml:3:9 (status)",
        "group/bad.yaml:4:1 (rnu)",
    ]


def test_lint_warns_of_what_nothing_uses(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"schema: 1\ndemo: D\nassets: {{a: {{urls: [http://e.org/a], sha256: {SHA}}}}}\n", encoding="utf-8")
    checked = run("lint", "r.yaml", cwd=tmp_path)
    assert checked.returncode == 0
    assert "the asset 'a' is not used" in checked.stderr


PAGES = {
    "https://drive.google.com/file/d/1AbCdEf/view?usp=sharing": "drive.usercontent.google.com/download",
    "https://github.com/o/r/blob/master/m.caffemodel": "https://raw.githubusercontent.com/o/r/master/m.caffemodel",
    "https://huggingface.co/o/r/blob/main/m.onnx": "https://huggingface.co/o/r/resolve/main/m.onnx",
    "https://www.dropbox.com/s/abc/m.pb?dl=0": "dl=1",
    "https://1drv.ms/u/s!AHf": "is a page for browsers",
    "https://pan.baidu.com/s/1abc": "browsers only",
}


@pytest.mark.parametrize("url", PAGES)
def test_lint_says_of_a_link_that_it_is_a_page(tmp_path: Path, url: str) -> None:
    asset = f"m: {{urls: ['{url}'], pin: first-use, licence: {{name: MIT, source: me}}}}"
    text = f"schema: 1\ndemo: D\nsummary: s\ntree: T\nassets:\n  {asset}\ninstall: {{m: $m}}\n"
    (tmp_path / "r.yaml").write_text(text)
    checked = run("lint", "r.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert PAGES[url] in checked.stderr


def test_lint_of_nothing_is_an_error(tmp_path: Path) -> None:
    assert run("lint", "none.yaml", cwd=tmp_path).returncode == 2
    assert run("lint", ".", cwd=tmp_path).returncode == 2


def test_the_schema_is_printed_as_json(tmp_path: Path) -> None:
    recipe = json.loads(run("schema", cwd=tmp_path).stdout)
    assets = json.loads(run("schema", "--assets", cwd=tmp_path).stdout)
    assert recipe["properties"]["demo"]["description"]
    assert assets["required"] == ["schema", "assets"]


def test_pin_moves_a_pin_into_the_recipe_and_the_shared_assets(tmp_path: Path) -> None:
    recipe = tmp_path / "mine" / "demos" / "r.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(
        "schema: 1\ndemo: D\nassets:\n  own:\n    urls: [http://e.org/a]\n"
        "    pin: first-use  # sadly\n  s: {use: ours}\n",
        encoding="utf-8",
    )
    shared = tmp_path / "mine" / "assets" / "a.yaml"
    shared.parent.mkdir()
    shared.write_text("schema: 1\nassets:\n  ours:\n    urls: [http://e.org/b]\n    pin: first-use\n", encoding="utf-8")
    write_lock(
        tmp_path / "out.lock", {"demos/r#own": Pin(SHA, 3, "http://e.org/a"), "ours": Pin(SHA, 4, "http://e.org/b")}
    )
    done = run("pin", "demos/r", "--recipes", "mine", "--lockfile", "out.lock", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f'    sha256: "{SHA}"\n    size: 3\n' in recipe.read_text("utf-8")
    assert recipe.read_text("utf-8").endswith("  # sadly\n  s: {use: ours}\n")
    assert "size: 4" in shared.read_text("utf-8")
    assert run("lint", "mine", "--recipes", "mine", cwd=tmp_path).returncode == 0
    again = run("pin", "demos/r", "--recipes", "mine", "--lockfile", "out.lock", cwd=tmp_path)
    assert again.returncode == 2
    assert "no asset of the target is pinned at first use" in again.stderr


def test_pin_without_a_lock_says_to_fetch_first(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "schema: 1\ndemo: D\nassets: {own: {urls: [http://e.org/a], pin: first-use}}\n", encoding="utf-8"
    )
    done = run("pin", "r.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert f"fetch first: {tmp_path.name}/r#own" in done.stderr
