"""Recipes that were read before are not parsed again, and never believed where anything may have changed."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from cli.workshop import Workshop

import modelprep
from modelprep.errors import RecipeError
from modelprep.pipeline.catalogue import open_catalogue
from modelprep.pipeline.compiled import FOLDER
from modelprep.pipeline.recipe_sources import Surroundings
from modelprep.recipe import loader
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.packed import pack, unpack
from modelprep.recipe.schema import Recipe
from modelprep.recipe.shipped import shipped_folder
from modelprep.store import Store, maintenance
from modelprep.store.maintenance import CATALOGUES
from modelprep.url import Url


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the recipes that were parsed."""
    found: list[str] = []
    parse = loader.parse_recipe

    def watched(text: str, path: Path, **given: Any) -> Recipe:
        found.append(given["name"])
        return parse(text, path, **given)

    monkeypatch.setattr(loader, "parse_recipe", watched)
    return found


@pytest.fixture
def things(workshop: Workshop) -> Workshop:
    workshop.cache.mkdir()
    for name in "ab":
        workshop.simple(
            name,
            name.encode(),
            more="steps:\n  - {id: seen, uses: copy, with: {file: $X}}\n".replace("X", f"{name}-file"),
        )
    settle()
    return workshop


def settle() -> None:
    """Let a file's last change be long enough ago."""
    time.sleep(0.08)


def read(workshop: Workshop, *targets: str) -> dict[str, Recipe]:
    catalogue = open_catalogue([str(workshop.recipes)], Surroundings(cache=workshop.cache))
    return {recipe.name: recipe for recipe in catalogue.resolve(targets or ("things",))}


def compiled(workshop: Workshop) -> Path:
    (found,) = (workshop.cache / FOLDER).iterdir()
    return found


def everything(value: Any) -> Any:
    """Return all that is in a struct, also what takes no part in comparisons."""
    if isinstance(value, Url):
        return value.reveal(), value.place, value.public
    if dataclasses.is_dataclass(value):
        return type(value), {name: everything(each) for name, each in vars(value).items()}
    if hasattr(value, "items"):
        return {key: everything(each) for key, each in value.items()}
    return type(value)(map(everything, value)) if isinstance(value, tuple | list) else value


def test_every_shipped_recipe_is_unpacked_as_it_was_packed() -> None:
    catalogue = Catalogue([shipped_folder()])
    kept = 0
    for name in catalogue.names():
        recipe = catalogue.recipe(name)
        packed = pack(recipe)
        if packed is not None:
            kept += 1
            assert everything(unpack(json.loads(json.dumps(packed)), recipe.path)) == everything(recipe)
    assert kept > 0.9 * len(catalogue.names())


def test_a_recipe_is_parsed_once(things: Workshop, parsed: list[str]) -> None:
    first = read(things)
    assert sorted(parsed) == ["things/a", "things/b"]
    parsed.clear()
    assert {name: everything(each) for name, each in read(things).items()} == {
        name: everything(each) for name, each in first.items()
    }
    assert parsed == []


def test_one_that_changes_is_parsed_again_and_only_that(things: Workshop, parsed: list[str]) -> None:
    read(things)
    parsed.clear()
    path = things.recipes / "things/a.yaml"
    was, text = path.stat(), path.read_text()
    path.write_text(text.replace("Demo-a", "Demo-x"))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))  # same size, same time of change
    assert read(things)["things/a"].demo == "Demo-x"
    assert parsed == ["things/a"]
    path.write_text("schema: 1\n")
    with pytest.raises(RecipeError):
        read(things)
    path.unlink()
    assert set(read(things)) == {"things/b"}


def test_a_shared_asset_that_changes_is_seen(things: Workshop, parsed: list[str]) -> None:
    shared = things.recipes / "assets/shared.yaml"
    shared.write_text("schema: 1\nassets:\n  s: {urls: ['https://example.org/s'], pin: first-use, summary: one}\n")
    things.recipe("c", "schema: 1\ndemo: C\nstatus: ready\ntree: T\nassets: {s: {use: s}}\ninstall: {s.bin: $s}\n")
    settle()
    assert read(things)["things/c"].assets["s"].summary == "one"
    assert read(things)["things/c"].assets["s"].summary == "one"
    shared.write_text(shared.read_text().replace("one", "two"))
    assert read(things)["things/c"].assets["s"].summary == "two"


def test_a_file_that_was_just_written_is_believed_by_its_bytes(
    things: Workshop, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelprep.pipeline.compiled.settled", lambda _: False)
    path = things.recipes / "things/a.yaml"
    was = path.stat()
    # As if it had been changed within one tick of the clock: whatever stat says stays.
    monkeypatch.setattr("modelprep.pipeline.compiled._stamp", lambda facts: f"{facts.st_size}")
    read(things)
    parsed.clear()
    read(things)
    assert parsed == []
    path.write_text(path.read_text().replace("Demo-a", "Demo-x"))
    assert path.stat().st_size == was.st_size
    assert read(things)["things/a"].demo == "Demo-x"
    assert parsed == ["things/a"]


def test_what_a_run_read_before_there_was_a_store_is_noted_at_its_end(things: Workshop, parsed: list[str]) -> None:
    things.cache.rmdir()
    places = {"recipes": things.recipes, "out": things.out, "cache": things.cache}
    modelprep.plan("things/a", **places)
    assert not things.cache.exists()
    assert modelprep.fetch("things/a", **places).ok
    parsed.clear()
    before = {path: path.stat() for path in things.cache.rglob("*")}
    assert modelprep.fetch("things/a", **places).ok
    assert parsed == []
    assert {path: path.stat().st_mtime_ns for path in things.cache.rglob("*")} == {
        path: stat.st_mtime_ns for path, stat in before.items()
    }


def test_a_store_that_is_not_there_is_not_made(things: Workshop) -> None:
    things.cache.rmdir()
    assert set(read(things)) == {"things/a", "things/b"}
    assert not things.cache.exists()


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "others may write", "folder is a file", "not ours"])
def test_a_file_that_is_not_right_is_not_believed(
    things: Workshop, parsed: list[str], damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = everything(read(things)["things/a"])
    parsed.clear()
    path = compiled(things)
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:-10])
    elif damage == "changed":
        path.write_bytes(data.replace(b"Demo-a", b"Demo-z"))
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "others may write":
        path.chmod(0o666)
    elif damage == "folder is a file":
        path.unlink()
        path.parent.rmdir()
        path.parent.write_text("in the way")
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert everything(read(things)["things/a"]) == wanted
    assert "things/a" in parsed


def test_a_secret_is_not_written_down(things: Workshop) -> None:
    things.simple("s", b"s", urls="'https://example.org/s?token=verysecret1'")
    settle()
    read(things)
    assert b"things/a" in compiled(things).read_bytes()
    assert b"verysecret1" not in compiled(things).read_bytes()


def test_a_link_that_leads_out_later_is_refused(things: Workshop, tmp_path: Path) -> None:
    inside, outside = things.recipes / "things/data.bin", tmp_path / "elsewhere.bin"
    for each in (inside, outside):
        each.write_bytes(b"x")
    things.simple("l", b"x", urls="'file:data.bin'")
    settle()
    read(things)
    assert b"things/l" in compiled(things).read_bytes()
    inside.unlink()
    inside.symlink_to(outside)
    with pytest.raises(RecipeError, match="leads out"):
        read(things)


def test_cache_gc_removes_what_was_compiled_of_folders_that_are_gone(things: Workshop) -> None:
    assert FOLDER == CATALOGUES
    read(things)
    store = Store(things.cache)
    assert maintenance.gc(store, set()).removed == ()
    things.recipes.rename(things.root / "moved")
    told = maintenance.gc(store, set(), dry_run=True)
    assert [each.what for each in told.removed] == ["catalogue"]
    assert maintenance.gc(store, set()).removed == told.removed
    assert list((things.cache / FOLDER).iterdir()) == []
