"""Recipes from an archive or a URL: verified, unpacked within bounds, pinned, moved to a newer version, in layers."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.http import FaultServer

import modelprep
from modelprep.recipe.lockfile import read_lock
from modelprep.recipe.outside import RecipeUrl, is_downloaded, listed, recipe_url

MODEL = b"a model" * 100


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as made:
        yield made


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MODELPREP_RECIPES", "MODELPREP_ALLOW_PRIVATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("MODELPREP_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def recipe(name: str, url: str, data: bytes = MODEL, demo: str = "") -> str:
    return (
        f"schema: 1\ndemo: {demo or f'Demo-{name}'}\nsummary: a thing\nmanual: '1.1'\nstatus: ready\ntree: Things\n"
        f"assets:\n  model:\n    urls: [{url}]\n    sha256: {hashlib.sha256(data).hexdigest()}\n    size: {len(data)}\n"
        f"    pinned_by: the test\n    licence: {{name: MIT, source: the test}}\n"
        f"install:\n  models/{name}.bin: $model\nrun: ./{name}\n"
    )


def packed(files: dict[str, str | bytes], kind: str = "tar.gz") -> bytes:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as bundle:
            for name, text in files.items():
                bundle.writestr(name, text)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def pinned(url: str, data: bytes) -> str:
    return f"{url}#sha256={hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
@pytest.mark.parametrize("around", ["", "team-recipes-1.0/", "team-1.0/recipes/", "recipes/"])
def test_an_archive_and_a_url_serve_as_the_folder_does(
    server: FaultServer, tmp_path: Path, kind: str, around: str
) -> None:
    data = packed({f"{around}things/one.yaml": recipe("one", server.put("/one.bin", MODEL))}, kind)
    (tmp_path / f"mine.{kind}").write_bytes(data)
    place = server.put(f"/v1/mine.{kind}", data)
    for named in (str(tmp_path / f"mine.{kind}"), pinned(place, data)):
        found = modelprep.catalogue(named)
        assert found.recipe("things/one").demo == "Demo-one"
        (origin,) = found.origins.values()
        assert origin == f"{named.partition('#')[0]}#sha256={hashlib.sha256(data).hexdigest()}"
    modelprep.catalogue(pinned(place, data))
    assert len(server.requests(f"/v1/mine.{kind}")) == 1, "the store has it"


def test_a_fetch_pins_recipes_in_the_lock_file_and_a_change_is_refused(server: FaultServer, tmp_path: Path) -> None:
    data = packed({"things/one.yaml": recipe("one", server.put("/one.bin", MODEL))})
    place = server.put("/mine.tar.gz", data)
    with pytest.raises(modelprep.errors.FetchError, match="no checksum"):
        modelprep.catalogue(place)
    with pytest.raises(modelprep.errors.FetchError, match="no checksum"):
        modelprep.fetch("things", recipes=place, locked=True, allow_private=True)
    assert modelprep.fetch("things", recipes=place, allow_private=True, archives=False).ok
    (pin,) = read_lock(tmp_path / "out" / "modelprep.lock").values()
    assert (pin.sha256, pin.size, pin.first_seen_from) == (hashlib.sha256(data).hexdigest(), len(data), place)
    # Somebody moves the tag: what is pinned is what is used, also on a machine without the store's copy.
    server.put("/mine.tar.gz", packed({"things/two.yaml": recipe("two", "https://example.org/x")}))
    assert modelprep.fetch("things", recipes=place, allow_private=True).ok
    with pytest.raises(modelprep.errors.DigestMismatch):
        modelprep.fetch("things", recipes=place, allow_private=True, cache=tmp_path / "other")
    with pytest.raises(modelprep.errors.DigestMismatch, match="lock file pins another") as caught:
        modelprep.fetch("things", recipes=pinned(place, b"x"), allow_private=True)
    assert "recipe update" in str(caught.value)


def test_an_update_shows_what_changed_and_moves_the_pin(server: FaultServer, tmp_path: Path) -> None:
    one, two = server.put("/one.bin", MODEL), server.put("/two.bin", MODEL)
    name = "/team/recipes/archive/refs/tags/{}.tar.gz"
    first = {
        "recipes-v1/things/one.yaml": recipe("one", one),
        "recipes-v1/things/gone.yaml": recipe("gone", one),
        "recipes-v1/things/same.yaml": recipe("same", one),
    }
    second = {
        "recipes-v2/things/one.yaml": recipe("one", two, b"another", demo="Demo-renamed"),
        "recipes-v2/things/new.yaml": recipe("new", two),
        "recipes-v2/things/same.yaml": recipe("same", one),
    }
    place = server.put(name.format("v1"), packed(first))
    server.put(name.format("v2"), packed(second))
    assert modelprep.fetch("things/same", recipes=place, allow_private=True).ok
    lock = (tmp_path / "out" / "modelprep.lock").read_text()
    (seen,) = modelprep.api.update_recipes(to="v2", dry_run=True, allow_private=True)
    assert (tmp_path / "out" / "modelprep.lock").read_text() == lock
    assert (seen.added, seen.removed, list(seen.changed)) == (("things/new",), ("things/gone",), ["things/one"])
    lines = "\n".join(seen.changed["things/one"])
    for told in (
        f"source added: {two}", f"source removed: {one}", f"sha256: {hashlib.sha256(MODEL).hexdigest()} -> ",
        "demo: Demo-one -> Demo-renamed", "size: 700 -> 7",
    ):  # fmt: skip
        assert told in lines
    (moved,) = modelprep.api.update_recipes(to="v2", allow_private=True)
    assert moved == seen
    assert moved.moved
    # The name stays; the lock file says which version it means.
    assert modelprep.fetch("things/new", recipes=place, allow_private=True).ok
    (again,) = modelprep.api.update_recipes(allow_private=True)
    assert not again.moved
    assert (again.added, again.removed, dict(again.changed)) == ((), (), {})


def test_an_update_to_broken_recipes_moves_nothing(server: FaultServer, tmp_path: Path) -> None:
    place = server.put("/r-1.0.tar.gz", packed({"things/one.yaml": recipe("one", server.put("/one.bin", MODEL))}))
    server.put("/r-2.0.tar.gz", packed({"things/one.yaml": "schema: 1\nnonsense: x\n"}))
    assert modelprep.fetch("things", recipes=place, allow_private=True).ok
    lock = (tmp_path / "out" / "modelprep.lock").read_text()
    with pytest.raises(modelprep.errors.RecipeError):
        modelprep.api.update_recipes(to="2.0", allow_private=True)
    with pytest.raises(modelprep.errors.FetchError):
        modelprep.api.update_recipes(to="3.0", allow_private=True)
    with pytest.raises(modelprep.errors.UsageError):
        modelprep.api.update_recipes(to="../../etc", allow_private=True)
    assert (tmp_path / "out" / "modelprep.lock").read_text() == lock
    with pytest.raises(modelprep.errors.UsageError, match="no recipes are pinned"):
        modelprep.api.update_recipes(lockfile=tmp_path / "none.lock")


def test_downloaded_recipes_lead_to_no_private_address_and_no_file_outside(server: FaultServer, tmp_path: Path) -> None:
    data = packed({"things/one.yaml": recipe("one", server.put("/one.bin", MODEL))})
    named = pinned(server.put("/mine.tar.gz", data), data)
    refused = modelprep.fetch("things", recipes=named, archives=False)
    assert not refused.ok
    assert "private" in str(refused.demos[0].error) or "loopback" in str(refused.demos[0].error)
    assert not server.requests("/one.bin")
    # A mirror is the user's own word, and so is --allow-private.
    assert modelprep.fetch("things", recipes=named, allow_private=True, archives=False).ok
    outside = packed({"things/one.yaml": recipe("one", f"file://{tmp_path}/secret")})
    (tmp_path / "secret").write_bytes(MODEL)
    with pytest.raises(modelprep.errors.RecipeError, match="leads out of the folder"):
        modelprep.catalogue(pinned(server.put("/o.tar.gz", outside), outside)).recipe("things/one")
    inside = packed({"things/one.yaml": recipe("one", "file:model.bin"), "things/model.bin": MODEL})
    assert modelprep.fetch(
        "things", recipes=pinned(server.put("/i.tar.gz", inside), inside), out="o2", offline=False
    ).ok


def test_an_archive_writes_nothing_outside_and_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelprep.pipeline import recipe_sources

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, link in (("../escape.yaml", ""), ("/tmp/absolute.yaml", ""), ("things/link.yaml", "/etc/passwd"),
                           ("things/one.yaml", ""), (".git/config", "")):  # fmt: skip
            data = b"" if link else recipe("one", "https://example.org/x").encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if link:
                info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info, io.BytesIO(data))
    (tmp_path / "odd.tar.gz").write_bytes(out.getvalue())
    found = modelprep.catalogue("odd.tar.gz")
    assert [name for name in found.names() if name.startswith("things/")] == ["things/one"]
    kept = [path.relative_to(tmp_path / "cache") for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert [path.name for path in kept] == ["one.yaml"]
    assert not (tmp_path / "escape.yaml").exists()
    assert not Path("/tmp/absolute.yaml").exists()
    (tmp_path / "notes.tar.gz").write_bytes(b"no archive")
    with pytest.raises(modelprep.errors.StepError):
        modelprep.catalogue("notes.tar.gz")
    monkeypatch.setattr(recipe_sources, "LARGEST_ALL", 100)
    (tmp_path / "big.tar.gz").write_bytes(packed({"things/two.yaml": recipe("two", "https://example.org/x")}))
    with pytest.raises(modelprep.errors.StepError, match="too large for an archive of recipes"):
        modelprep.catalogue("big.tar.gz")


def test_layers_are_told_in_their_order(server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "mine" / "things").mkdir(parents=True)
    (tmp_path / "mine" / "things" / "one.yaml").write_text(recipe("one", "https://example.org/x"))
    data = packed({"things/one.yaml": recipe("one", "https://example.org/y")})
    named = pinned(server.put("/mine.tar.gz", data), data)
    found = modelprep.catalogue(["mine", named])
    layers = found.layers("things/one")
    assert [layer.origin for layer in layers] == ["shipped", "", named]
    assert [layer.path is not None for layer in layers] == [False, True, True]
    assert found.recipe("things/one").path == layers[-1].path
    assert found.recipe("things/one").shadows == layers[1].path


def test_names_of_recipes_are_read_as_people_write_them() -> None:
    assert listed("/a:b/c:https://h:8443/x.tar.gz#sha256=0:~/d") == [
        "/a",
        "b/c",
        "https://h:8443/x.tar.gz#sha256=0",
        "~/d",
    ]
    digest = "A" * 64
    assert recipe_url(f"https://h/x.tar.gz#sha256={digest}") == RecipeUrl("https://h/x.tar.gz", digest.lower())
    assert recipe_url("folder/x.tar.gz") is None
    for text in (
        "ftp://h/x", "file:///etc", "https://me:pw@h/x.tar.gz", "https://h/x.tar.gz?token=1", "https://h/x#sha256=12",
        "https://h/x#md5=d41d8cd98f00b204e9800998ecf8427e",
    ):  # fmt: skip
        with pytest.raises(modelprep.errors.UsageError) as caught:
            recipe_url(text)
        assert "pw@" not in str(caught.value)
    for url, to in (
        ("https://github.com/t/r/archive/refs/tags/v1.tar.gz", "https://github.com/t/r/archive/refs/tags/v2.tar.gz"),
        ("https://gitlab.com/t/r/-/archive/v1/r-v1.tar.gz", "https://gitlab.com/t/r/-/archive/v2/r-v2.tar.gz"),
        ("https://codeberg.org/t/r/archive/v1.tar.gz", "https://codeberg.org/t/r/archive/v2.tar.gz"),
    ):
        assert RecipeUrl(url).at("v2") == to
    assert RecipeUrl("https://h/r-1.0.2.tgz").at("1.1") == "https://h/r-1.1.tgz"
    with pytest.raises(modelprep.errors.UsageError):
        RecipeUrl("https://h/latest.tar.gz").at("2")
    assert is_downloaded(f"/c/downloaded-recipes/{'0' * 64}/things/one.yaml:3")
    assert not is_downloaded("/c/recipes/things/one.yaml:3")


def test_the_commands_tell_layers_and_changes(server: FaultServer, tmp_path: Path) -> None:
    place = server.put("/r-1.0.tar.gz", packed({"things/one.yaml": recipe("one", server.put("/one.bin", MODEL))}))
    server.put("/r-2.0.tar.gz", packed({"things/two.yaml": recipe("two", server.put("/one.bin", MODEL))}))
    (tmp_path / "mine" / "things").mkdir(parents=True)
    (tmp_path / "mine" / "things" / "one.yaml").write_text(recipe("one", "https://example.org/x"))

    def run(*words: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "modelprep", *words], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(Path(modelprep.__file__).parent.parent), "COLUMNS": "400"},
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    shown = run("show", "things/one", "--recipes", "mine", "--recipes", place)
    assert ": does not have this recipe" in shown
    assert "2. mine: shadowed" in shown
    assert re.search(rf"3\. .*downloaded-recipes.* \({re.escape(place)}#sha256=[0-9a-f]{{64}}\): used", shown)
    told = run("recipe", "update", "--to", "2.0")
    for line in ("  added    things/two", "  removed  things/one"):
        assert line in told.splitlines()
    assert json.loads(run("recipe", "update", "--json").splitlines()[-1])["updates"][0]["moved"] is False
    assert "Demo-two" in run("list", "things", "--recipes", place)


def test_a_missing_archive_is_named_with_the_option_that_takes_it(server: FaultServer, tmp_path: Path) -> None:
    data = packed({"things/one.yaml": recipe("one", server.put("/one.bin", MODEL))})
    place = server.put("/team-1.0.tar.gz", status=404)
    with pytest.raises(modelprep.errors.FetchError) as caught:
        modelprep.fetch("things", recipes=pinned(place, data), allow_private=True)
    hint = (caught.value.hint or "").splitlines()
    assert any(line.startswith("curl ") and line.endswith(place) for line in hint)
    assert hint[-1] == "then name the file: --recipes team-1.0.tar.gz"
    (tmp_path / "team-1.0.tar.gz").write_bytes(data)
    assert modelprep.fetch("things", recipes="team-1.0.tar.gz", allow_private=True, archives=False).ok


def test_gc_removes_unpacked_recipes_that_nothing_uses(server: FaultServer, tmp_path: Path) -> None:
    from modelprep.api.caching import collect_garbage

    data = [packed({"things/one.yaml": recipe("one", server.put("/one.bin", MODEL), demo=f"D{n}")}) for n in range(4)]
    pinned_here = server.put("/pinned.tar.gz", data[0])
    assert modelprep.fetch("things", recipes=pinned_here, allow_private=True, archives=False).ok
    given = pinned(server.put("/given.tar.gz", data[1]), data[1])
    for each in (given, pinned(server.put("/old.tar.gz", data[2]), data[2])):
        modelprep.catalogue(each)
    (tmp_path / "file.zip").write_bytes(data[3])
    modelprep.catalogue("file.zip")
    names = [hashlib.sha256(each).hexdigest() for each in data]

    def unpacked() -> set[str]:
        return {path.name for kind in ("downloaded", "unpacked") for path in Path("cache").glob(f"{kind}-recipes/*")}

    assert unpacked() == set(names)
    told = {
        each.name: each.size for each in collect_garbage(recipes=given, dry_run=True).removed if each.what == "recipes"
    }
    assert set(told) == {names[2], names[3]}
    assert min(told.values()) > 0
    assert unpacked() == set(names)
    collect_garbage(recipes=given)
    assert unpacked() == {names[0], names[1]}
    assert not list(Path("cache/scratch").glob("*/*"))
    assert modelprep.fetch("things", recipes=pinned_here, allow_private=True, archives=False).ok
