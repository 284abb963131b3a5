"""Installing into a tree: what is written, kept, set aside, removed; what is refused."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelprep.errors import Interrupted, StorageError, UsageError
from modelprep.events import Event
from modelprep.store import Blob, Store
from modelprep.tree.install import Installed, apply_install
from modelprep.tree.journal import JOURNAL
from modelprep.tree.manifest import (
    AssetUsed,
    InstalledDemo,
    InstalledFile,
    Manifest,
    Provenance,
    StepUsed,
    parse_manifest,
    read_manifest,
)
from modelprep.tree.places import place
from modelprep.tree.plan import plan_install
from modelprep.tree.state import in_place


class Tree:
    """A tree and a store beside it."""

    def __init__(self, root: Path) -> None:
        self.store = Store.open(root / "cache")
        self.folder = root / "out" / "Things"
        self.events: list[Event] = []

    def blob(self, data: bytes) -> Blob:
        with self.store.writer() as writer:
            writer.write(data)
            return writer.commit()

    def install(
        self, files: Mapping[str, bytes], demo: str = "things/a", *, peers: tuple[str, ...] = (), link: bool = False
    ) -> Installed:
        blobs = {path: self.blob(data) for path, data in files.items()}
        entry = InstalledDemo(recipe=demo, demo=demo.upper().replace("/", "-"), key="k")
        plan = plan_install(self.folder, entry, blobs, {}, self.store, peers=peers)
        return apply_install(plan, self.store, link=link, listen=self.events.append)

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    @property
    def warnings(self) -> list[str]:
        return [event.text for event in self.events if event.kind == "warning"]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_files_are_written_and_listed(tree: Tree) -> None:
    done = tree.install({"models/m.bin": b"model", "data/p.jpg": b"picture"})
    assert done.written == ("data/p.jpg", "models/m.bin")
    assert tree.read("models/m.bin") == b"model"
    manifest = read_manifest(tree.folder)
    assert sorted(manifest.files) == ["data/p.jpg", "models/m.bin"]
    assert manifest.files["data/p.jpg"].demos == ("things/a",)
    assert in_place(tree.folder, manifest, "things/a", tree.store)


def test_sums_are_accepted_by_sha256sum_also_with_odd_names(tree: Tree) -> None:
    tree.install({"a b.bin": b"1", "back\\slash": b"2", "-dash": b"3", "snow \u2603": b"4", " lead": b"5"})
    ran = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tree.folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("OK") == 5


def test_what_is_right_already_is_not_touched(tree: Tree) -> None:
    tree.install({"a": b"1", "b": b"2"})
    before = {path: path.stat().st_mtime_ns for path in [tree.folder, *tree.folder.rglob("*")]}
    done = tree.install({"a": b"1", "b": b"2"})
    assert (done.written, done.kept) == ((), ("a", "b"))
    assert {path: path.stat().st_mtime_ns for path in [tree.folder, *tree.folder.rglob("*")]} == before


def test_a_right_file_that_was_there_is_adopted(tree: Tree) -> None:
    tree.folder.mkdir(parents=True)
    (tree.folder / "a").write_bytes(b"1")
    time = (tree.folder / "a").stat().st_mtime_ns
    assert tree.install({"a": b"1"}).written == ()
    assert (tree.folder / "a").stat().st_mtime_ns == time
    assert "a" in read_manifest(tree.folder).files


def test_our_own_unchanged_file_is_replaced(tree: Tree) -> None:
    tree.install({"a": b"old"})
    done = tree.install({"a": b"new"})
    assert done.set_aside == ()
    assert tree.read("a") == b"new"
    assert sorted(path.name for path in tree.folder.iterdir()) == ["MANIFEST.json", "SHA256SUMS", "a", "run-tests.sh"]


def test_a_changed_file_is_kept_aside_and_an_earlier_one_is_never_overwritten(tree: Tree) -> None:
    tree.install({"a": b"ours"})
    for number, text in enumerate((b"first", b"second", b"third"), start=1):
        (tree.folder / "a").write_bytes(text)
        done = tree.install({"a": b"ours"})
        assert done.set_aside == (("a", "a.orig" if number == 1 else f"a.orig.{number}"),)
    assert [tree.read(name) for name in ("a", "a.orig", "a.orig.2", "a.orig.3")] == [
        b"ours", b"first", b"second", b"third",
    ]  # fmt: skip
    assert "a.orig.3" in tree.warnings[-1]
    assert list(read_manifest(tree.folder).files) == ["a"]


def test_a_file_that_modelprep_never_wrote_is_kept_aside(tree: Tree) -> None:
    tree.folder.mkdir(parents=True)
    (tree.folder / "a").write_bytes(b"theirs")
    tree.install({"a": b"ours"})
    assert (tree.read("a"), tree.read("a.orig")) == (b"ours", b"theirs")


def test_a_link_at_a_files_place_is_set_aside_and_its_target_untouched(tree: Tree, tmp_path: Path) -> None:
    tree.folder.mkdir(parents=True)
    (tmp_path / "target").write_bytes(b"precious")
    (tree.folder / "a").symlink_to(tmp_path / "target")
    tree.install({"a": b"ours"})
    assert (tmp_path / "target").read_bytes() == b"precious"
    assert not (tree.folder / "a").is_symlink()
    assert (tree.folder / "a.orig").is_symlink()


def test_what_the_recipe_lists_no_longer_is_removed_with_its_empty_folder(tree: Tree) -> None:
    tree.install({"old/deep/a": b"1", "b": b"2"})
    done = tree.install({"b": b"2"})
    assert done.removed == ("old/deep/a",)
    assert not (tree.folder / "old").exists()
    assert list(read_manifest(tree.folder).files) == ["b"]


def test_a_changed_file_that_is_listed_no_longer_stays_with_a_warning(tree: Tree) -> None:
    tree.install({"a": b"1", "b": b"2"})
    (tree.folder / "a").write_bytes(b"mine now")
    assert tree.install({"b": b"2"}).removed == ()
    assert tree.read("a") == b"mine now"
    assert "it is kept" in tree.warnings[-1]
    assert list(read_manifest(tree.folder).files) == ["b"]


def test_a_strangers_file_is_never_removed(tree: Tree) -> None:
    tree.install({"a": b"1"})
    (tree.folder / "notes.txt").write_bytes(b"mine")
    tree.install({"b": b"2"})
    assert tree.read("notes.txt") == b"mine"
    assert not (tree.folder / "a").exists()


def test_a_file_shared_by_two_demos_stays_when_one_lets_it_go(tree: Tree) -> None:
    tree.install({"shared": b"1"}, "things/a")
    tree.install({"shared": b"1", "own": b"2"}, "things/b")
    assert read_manifest(tree.folder).files["shared"].demos == ("things/a", "things/b")
    tree.install({"other": b"3"}, "things/a")
    assert tree.read("shared") == b"1"
    assert read_manifest(tree.folder).files["shared"].demos == ("things/b",)


def test_other_bytes_for_a_file_of_another_demo_are_refused_unless_both_are_prepared(tree: Tree) -> None:
    tree.install({"shared": b"1"}, "things/a")
    with pytest.raises(UsageError, match="shared with things/a") as caught:
        tree.install({"shared": b"2"}, "things/b")
    assert "modelprep fetch things/a things/b" in str(caught.value)
    assert tree.read("shared") == b"1"
    tree.install({"shared": b"2"}, "things/b", peers=("things/a", "things/b"))
    assert tree.read("shared") == b"2"
    assert read_manifest(tree.folder).files["shared"].demos == ("things/a", "things/b")


def test_a_link_that_leads_out_of_the_tree_is_refused(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    tree.folder.mkdir(parents=True)
    (tree.folder / "data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="leads out"):
        tree.install({"data/a": b"1"})
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_within_the_tree_and_a_tree_that_is_a_link_are_the_users_business(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    tree.folder.parent.mkdir()
    tree.folder.symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "real").mkdir()
    (tree.folder / "data").symlink_to("real")
    tree.install({"data/a": b"1"})
    assert (tmp_path / "disk" / "real" / "a").read_bytes() == b"1"


@pytest.mark.parametrize("path", ["../a", "/etc/a", "a/../../b", "a//b", "./a", "", "a/\0b"])
def test_no_path_leads_out(tree: Tree, path: str) -> None:
    with pytest.raises(StorageError):
        place(tree.folder, path)


def test_a_folder_or_pipe_at_a_files_place_is_an_error(tree: Tree) -> None:
    (tree.folder / "a").mkdir(parents=True)
    with pytest.raises(StorageError, match="is not a file"):
        tree.install({"a": b"1"})
    os.mkfifo(tree.folder / "b")
    with pytest.raises(StorageError, match="is not a file"):
        tree.install({"b": b"1"})
    (tree.folder / "c").write_bytes(b"")
    with pytest.raises(StorageError, match="file is in place of a folder"):
        tree.install({"c/d": b"1"})


def test_a_link_to_the_blob_falls_back_to_a_copy_on_another_file_system(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    tree.install({"a": b"1"}, link=True)
    assert tree.read("a") == b"1"
    assert any("copying" in event.text for event in tree.events if event.kind == "note")


def test_a_stop_between_files_leaves_whole_files_and_the_next_run_goes_on(tree: Tree) -> None:
    blobs = {name: tree.blob(name.encode() * 10) for name in ("a", "b", "c")}
    plan = plan_install(tree.folder, InstalledDemo("things/a", "A", "k"), blobs, {}, tree.store)
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 1

    with pytest.raises(Interrupted):
        apply_install(plan, tree.store, stop=stop)
    assert sorted(path.name for path in tree.folder.iterdir()) == [JOURNAL, "a"]
    assert tree.install({name: name.encode() * 10 for name in ("a", "b", "c")}).written == ("b", "c")
    assert not (tree.folder / JOURNAL).exists()


@pytest.mark.parametrize("name", ["MANIFEST.json", "SHA256SUMS", "run-tests.sh"])
def test_a_lost_list_is_written_again(tree: Tree, name: str) -> None:
    tree.install({"a": b"1"})
    text = (tree.folder / name).read_bytes()
    (tree.folder / name).unlink()
    assert not in_place(tree.folder, read_manifest(tree.folder), "things/a", tree.store)
    tree.install({"a": b"1"})
    assert (tree.folder / name).read_bytes() == text


def test_the_boards_script_runs_every_demo_that_has_a_simple_command(tree: Tree) -> None:
    for recipe, name, run in (
        ("things/a", "A spaced name", "./a --x"), ("things/b", "B", "./b | tee log"), ("things/c", "C", ""),
    ):  # fmt: skip
        blobs = {f"{recipe[-1]}.bin": tree.blob(recipe.encode())}
        plan = plan_install(tree.folder, InstalledDemo(recipe, name, "k", run=run), blobs, {}, tree.store)
        apply_install(plan, tree.store, listen=tree.events.append)
    ran = subprocess.run(["sh", "run-tests.sh", "-n"], cwd=tree.folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "A-spaced-name" in ran.stdout
    assert "./a --x" in ran.stdout
    assert "tee" not in ran.stdout
    assert any("leaves a demo out" in text and "./b | tee log" in text for text in tree.warnings)


def test_the_manifest_does_not_depend_on_the_order_of_installation(tmp_path: Path) -> None:
    texts = []
    for order in (("things/a", "things/b"), ("things/b", "things/a")):
        tree = Tree(tmp_path / order[0].replace("/", "-"))
        for demo in order:
            tree.install({"shared": b"1", f"{demo[-1]}.bin": demo.encode()}, demo)
        texts.append((tree.folder / "MANIFEST.json").read_bytes())
    assert texts[0] == texts[1]


def test_a_manifest_reads_back_as_it_was_written() -> None:
    story = Provenance(
        (AssetUsed("x", "http://host/x", "1" * 64, 5, "MIT", "somewhere", "them", True),),
        (StepUsed("caffe.bake", 3, {"batch": 1, "weights": "$w"}),),
    )
    file = InstalledFile("data/a", "0" * 64, 5, ("g/a", "g/b"), story)
    demo = InstalledDemo("g/a", "A", "k" * 64, run="./a", expect={"labels": {"a": 1}})
    manifest = Manifest("Things", {"g/a": demo}, {"data/a": file})
    assert parse_manifest(manifest.text(), "here") == manifest


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["schema", "tree", "files", "demos", "path"]), inner)
    ),
    max_leaves=20,
)


@given(_JSON | st.builds(lambda files: {"schema": 1, "tree": "t", "demos": [], "files": files}, _JSON))
def test_a_hostile_manifest_is_a_storage_error_or_a_manifest(value: object) -> None:
    try:
        manifest = parse_manifest(json.dumps(value), "here")
    except StorageError:
        return
    assert all(".." not in path.split("/") for path in manifest.files)


@pytest.mark.parametrize("path", ["../up", "/etc/passwd", "a/../../b", "a\\..\\b"])
def test_a_manifest_cannot_have_files_outside_removed(tree: Tree, tmp_path: Path, path: str) -> None:
    tree.install({"a": b"1"})
    value = json.loads((tree.folder / "MANIFEST.json").read_text())
    value["files"][0]["path"] = path
    (tree.folder / "MANIFEST.json").write_text(json.dumps(value))
    with pytest.raises(StorageError, match="manifest is not valid"):
        tree.install({"b": b"1"})


def test_a_manifest_of_a_later_schema_is_refused(tree: Tree) -> None:
    tree.folder.mkdir(parents=True)
    (tree.folder / "MANIFEST.json").write_text('{"schema": 99, "tree": "t", "demos": [], "files": []}')
    with pytest.raises(StorageError, match="another version"):
        tree.install({"a": b"1"})


HOSTILE = {
    "a shell's substitution as a demo": ("demo", "$(touch x)"),
    "an escape sequence as a demo": ("demo", "a\x1b]0;x\x07"),
    "an escape sequence as a summary": ("summary", "a\x9b31m"),
    "a bidi control as a command": ("run", "./a \u202eb"),
    "a command as a folder of the board": ("board", "/x;reboot"),
    "a way out as a folder of the board": ("board", "/usr/../etc"),
    "an option as a recipe": ("recipe", "-rf"),
    "a number as a summary": ("summary", 7),
    "a list as what is expected": ("expect", []),
}


@pytest.mark.parametrize(("key", "value"), HOSTILE.values(), ids=HOSTILE)
def test_a_manifest_of_strangers_says_nothing_that_no_recipe_may_say(tree: Tree, key: str, value: object) -> None:
    tree.install({"a": b"1"})
    facts = json.loads((tree.folder / "MANIFEST.json").read_text())
    facts["demos"][0][key] = value
    with pytest.raises(StorageError):
        parse_manifest(json.dumps(facts), "here")


@pytest.mark.parametrize(
    ("key", "value"),
    [("sha256", "a" * 31 + "\n" + "b" * 32), ("sha256", "A" * 64), ("demos", [7]), ("assets", [{"name": []}]),
     ("steps", [{"step": 7, "version": 1, "parameters": []}])],
)  # fmt: skip
def test_a_file_entry_that_is_not_well_formed_is_refused(tree: Tree, key: str, value: object) -> None:
    tree.install({"a": b"1"})
    facts = json.loads((tree.folder / "MANIFEST.json").read_text())
    facts["files"][0][key] = value
    with pytest.raises(StorageError):
        parse_manifest(json.dumps(facts), "here")


def test_a_manifest_that_version_0_1_wrote_is_read() -> None:
    """Schema 1 is a promise: what an earlier version wrote is read, with the defaults of what was added since."""
    digest = "0" * 64
    demo = {"recipe": "x/my", "demo": "my", "key": digest, "summary": "labels", "manual": "", "run": "MODE=1 my data/a",
            "board": "", "variant": "", "expect": {}}  # fmt: skip
    asset = {"name": "labels", "source": "a.gz", "sha256": digest, "size": 26, "licence": "MIT", "licence_source": "",
             "pinned_by": "", "restricted": False}  # fmt: skip
    file = {"path": "data/a", "sha256": digest, "size": 6, "demos": ["x/my"], "assets": [asset],
            "steps": [{"step": "gunzip", "version": 1, "parameters": {"file": "$labels"}}]}  # fmt: skip
    read = parse_manifest(json.dumps({"schema": 1, "tree": "my", "demos": [demo], "files": [file]}), "MANIFEST.json")
    assert read.demos["x/my"].run == "MODE=1 my data/a"
    assert read.files["data/a"].provenance.assets[0].licence == "MIT"
