"""Bundles: the same bytes from the same inputs, whole, verified, and fit to be passed on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from modelprep.deliver import bundle
from modelprep.errors import DigestMismatch, StorageError, UsageError
from modelprep.events import Event
from modelprep.recipe.schema import Asset, Recipe, Ref
from modelprep.tree.manifest import AssetUsed, InstalledDemo, InstalledFile, Manifest, Provenance
from modelprep.tree.selection import TreePart, select

CONTENT = {
    "models/net.caffemodel": bytes(range(256)) * 4000,
    "data/shark.jpg": b"\xff\xd8shark",
    "data/dog.jpg": b"dog",
}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def recipe(name: str, demo: str, *paths: str) -> Recipe:
    install = {path: Ref("x") for path in paths}
    return Recipe(name, demo, Path("x.yaml"), tree="ArmnnTests", install=install, run=f"{demo} -d data")


RECIPES = [
    recipe("armnn-caffe/a", "CaffeA-Armnn", "models/net.caffemodel", "data/shark.jpg"),
    recipe("armnn-caffe/b", "CaffeB-Armnn", "data/dog.jpg"),
]


def make(out: Path) -> Path:
    folder = out / "ArmnnTests"
    files = {}
    for path, data in CONTENT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        used = AssetUsed(
            name=path, source="https://example.org/a.zip#inner", sha256=sha(data), size=len(data),
            licence="MIT" if "net" in path else "all rights reserved (c) N.N.", licence_source="its EXIF",
            restricted="shark" in path,
        )  # fmt: skip
        demos = tuple(r.name for r in RECIPES if path in r.install)
        files[path] = InstalledFile(path, sha(data), len(data), demos, Provenance((used,)))
    demos_ = {r.name: InstalledDemo(r.name, r.demo, "key", run=r.run) for r in RECIPES}
    manifest = Manifest("ArmnnTests", demos_, files)
    (folder / "MANIFEST.json").write_text(manifest.text())
    (folder / "SHA256SUMS").write_text(manifest.sums())
    return out


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return make(tmp_path / "out")


def parts(out: Path, **options: bool) -> tuple[TreePart, ...]:
    return select(out, RECIPES, **options)


@pytest.mark.parametrize("kind", bundle.KINDS)
def test_two_bundles_from_two_places_and_times_are_equal(tmp_path: Path, kind: str) -> None:
    if kind == ".tar.zst":
        pytest.importorskip("zstandard", reason=".tar.zst needs the zstandard module")
    digests = []
    for place in ("first", "second/deeper"):
        root = make(tmp_path / place)
        for path in CONTENT:
            os.utime(root / "ArmnnTests" / path, (time.time() - len(digests) * 1e6,) * 2)
        made = bundle.write_bundle(bundle.plan_bundle(parts(root)), tmp_path / place / f"b{kind}")
        assert made.sha256 == sha(made.path.read_bytes())
        digests.append(made.sha256)
    assert digests[0] == digests[1]


def test_the_board_can_check_what_it_unpacks(tmp_path: Path, out: Path) -> None:
    made = bundle.write_bundle(bundle.plan_bundle(parts(out)), tmp_path / "b.tar.gz")
    subprocess.run(["tar", "-xzf", made.path, "-C", tmp_path], check=True)
    tree = tmp_path / "ArmnnTests"
    subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tree, check=True)
    assert os.access(tree / "run-tests.sh", os.X_OK)
    listed = subprocess.run(["sh", tree / "run-tests.sh", "-n"], check=True, capture_output=True, text=True).stdout
    assert "CaffeA-Armnn" in listed


def test_restricted_files_stay_at_home_and_are_named(tmp_path: Path, out: Path) -> None:
    plan = bundle.plan_bundle(parts(out))
    assert set(plan.left_out) == {"ArmnnTests/data/shark.jpg"}
    made = bundle.write_bundle(plan, tmp_path / "b.zip")
    with zipfile.ZipFile(made.path) as archive:
        names = archive.namelist()
        assert "ArmnnTests/data/shark.jpg" not in names
        assert "shark" not in archive.read("ArmnnTests/SHA256SUMS").decode()
        assert "all rights reserved" in archive.read("LICENCES.txt").decode()
    with_it = bundle.plan_bundle(parts(out, include_restricted=True))
    assert any(e.name == "ArmnnTests/data/shark.jpg" for e in with_it.entries)


def test_only_the_demos_asked_for_go_along(tmp_path: Path, out: Path) -> None:
    made = bundle.write_bundle(bundle.plan_bundle(select(out, RECIPES[1:])), tmp_path / "b.tar")
    with tarfile.open(made.path) as archive:
        names = archive.getnames()
        manifest = json.load(archive.extractfile("ArmnnTests/MANIFEST.json"))  # type: ignore[arg-type]
    assert "ArmnnTests/data/dog.jpg" in names
    assert "ArmnnTests/models/net.caffemodel" not in names
    assert [demo["recipe"] for demo in manifest["demos"]] == ["armnn-caffe/b"]


def test_a_demo_that_was_not_fetched_is_named_with_the_command(out: Path) -> None:
    with pytest.raises(UsageError, match="have not been fetched") as caught:
        select(out, [*RECIPES, recipe("armnn-caffe/c", "C", "models/c")])
    assert "modelprep fetch armnn-caffe/c" in str(caught.value)


def test_a_demo_that_needs_a_file_of_the_user_s_is_left_out_of_several(out: Path) -> None:
    model = Asset(id="model", sources=())
    mine = replace(recipe("armnn-caffe/c", "C", "models/c"), status="bring-your-own", assets={"model": model})
    told: list[Event] = []
    assert [part.files.keys() for part in select(out, [*RECIPES, mine], listen=told.append)] == [
        part.files.keys() for part in parts(out)
    ]
    assert [event.text for event in told] == [
        f"C is left out: it needs a file from you: modelprep fetch armnn-caffe/c --set model=FILE --out {out}"
    ]
    with pytest.raises(UsageError, match="not been fetched") as caught:
        select(out, [mine])
    assert "--set model=FILE" in str(caught.value)


def test_a_file_changed_in_the_tree_is_not_passed_on(tmp_path: Path, out: Path) -> None:
    for change in (b"dug", b"longer than before"):
        (out / "ArmnnTests/data/dog.jpg").write_bytes(change)
        with pytest.raises(DigestMismatch):
            bundle.write_bundle(bundle.plan_bundle(parts(out)), tmp_path / "b.tar.gz")
    (out / "ArmnnTests/data/dog.jpg").unlink()
    with pytest.raises(DigestMismatch):
        bundle.write_bundle(bundle.plan_bundle(parts(out)), tmp_path / "b.tar.gz")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_earlier_bundle_survives_a_failed_one(tmp_path: Path, out: Path) -> None:
    made = bundle.write_bundle(bundle.plan_bundle(parts(out)), tmp_path / "b.tar.gz")
    before = made.path.read_bytes()
    (out / "ArmnnTests/data/dog.jpg").write_bytes(b"dug")
    with pytest.raises(DigestMismatch):
        bundle.write_bundle(bundle.plan_bundle(parts(out)), made.path)
    assert made.path.read_bytes() == before


def test_a_name_that_says_no_kind_is_wrong_usage(tmp_path: Path, out: Path) -> None:
    with pytest.raises(UsageError, match=r"b\.rar"):
        bundle.write_bundle(bundle.plan_bundle(parts(out)), tmp_path / "b.rar")


def test_a_folder_in_the_way_is_a_storage_error(tmp_path: Path, out: Path) -> None:
    (tmp_path / "b.tar").mkdir()
    with pytest.raises(StorageError):
        bundle.write_bundle(bundle.plan_bundle(parts(out)), tmp_path / "b.tar")


def test_source_date_epoch_dates_the_entries(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1552003200")
    made = bundle.write_bundle(bundle.plan_bundle(parts(out)), tmp_path / "b.tar")
    with tarfile.open(made.path) as archive:
        assert {member.mtime for member in archive} == {1552003200}
    text = (
        shutil.which("tar")
        and subprocess.run(
            ["tar", "-xOf", made.path, "modelprep.spdx.json"], check=True, capture_output=True, text=True
        ).stdout
    )
    assert json.loads(text or "{}")["creationInfo"]["created"] == "2019-03-08T00:00:00Z"


def test_a_public_validator_accepts_the_spdx_document(tmp_path: Path, out: Path) -> None:
    pytest.importorskip("spdx_tools", reason="needs spdx-tools, of the dev group")
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    made = bundle.write_bundle(bundle.plan_bundle(parts(out, include_restricted=True)), tmp_path / "b.zip")
    with zipfile.ZipFile(made.path) as archive:
        path = Path(archive.extract(bundle.SPDX, tmp_path))
    assert validate_full_spdx_document(parse_file(str(path)), "SPDX-2.3") == []
