"""An installation that is killed at any point: the next one knows which files are ours, without the cache too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelprep.errors import Interrupted
from modelprep.store import Store
from modelprep.tree.install import apply_install
from modelprep.tree.journal import JOURNAL
from modelprep.tree.manifest import InstalledDemo, read_manifest
from modelprep.tree.plan import InstallPlan, plan_install
from modelprep.tree.state import in_place

KILLED = Path(__file__).with_name("killed.py")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("one", "one"),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in (("one", "two"), ("two", "one"), ("two", "two"))),
    ],
)
def test_a_kill_before_any_change_costs_nobody_a_file(tmp_path: Path, first: str, then: str) -> None:
    ran = subprocess.run(
        [sys.executable, str(KILLED), str(tmp_path / "place"), first, then], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 20


class Tree:
    def __init__(self, root: Path) -> None:
        self.folder = root / "out"
        self.store = Store.open(root / "cache")

    def plan(self, files: dict[str, bytes], recipe: str = "things/a") -> InstallPlan:
        blobs = {}
        for path, data in files.items():
            with self.store.writer() as writer:
                writer.write(data)
                blobs[path] = writer.commit()
        return plan_install(self.folder, InstalledDemo(recipe, "A", "k"), blobs, {}, self.store)

    def interrupt(self, files: dict[str, bytes], recipe: str = "things/a") -> None:
        """Install the first file and no more."""
        asked: list[int] = []

        def stop() -> bool:
            asked.append(1)
            return len(asked) > 1

        with pytest.raises(Interrupted):
            apply_install(self.plan(files, recipe), self.store, stop=stop)

    def install(self, files: dict[str, bytes], recipe: str = "things/a") -> None:
        apply_install(self.plan(files, recipe), self.store)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.name not in LISTS)


LISTS = ("MANIFEST.json", "SHA256SUMS", "run-tests.sh")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_what_an_interrupted_installation_put_in_place_is_replaced_and_what_the_user_changed_is_kept(
    tree: Tree,
) -> None:
    tree.interrupt({"a": b"one", "b": b"one"})
    tree.install({"a": b"two", "b": b"two"})
    assert tree.names() == ["a", "b"]
    tree.interrupt({"a": b"three", "b": b"three"})
    (tree.folder / "a").write_bytes(b"mine!")
    tree.install({"a": b"two", "b": b"two"})
    assert tree.names() == ["a", "a.orig", "b"]
    assert (tree.folder / "a.orig").read_bytes() == b"mine!"


def test_files_of_an_interrupted_installation_that_nothing_lists_any_more_go(tree: Tree) -> None:
    tree.interrupt({"data/a": b"one", "data/b": b"one"})
    tree.install({"c": b"two"})
    assert tree.names() == ["c"]


def test_two_interrupted_installations_are_both_remembered(tree: Tree) -> None:
    tree.interrupt({"a": b"one", "b": b"one"})
    tree.interrupt({"a": b"other", "b": b"other"})
    tree.interrupt({"a": b"of b"[:3], "b": b"x"}, "things/b")
    tree.install({"a": b"last", "b": b"last"})
    assert "a.orig" not in tree.names()


def test_another_recipes_installation_keeps_the_record_and_is_itself_in_place(tree: Tree) -> None:
    tree.interrupt({"a": b"one", "b": b"one"})
    tree.install({"c": b"c"}, "things/c")
    assert in_place(tree.folder, read_manifest(tree.folder), "things/c", tree.store)
    tree.install({"a": b"two", "b": b"two"})
    assert tree.names() == ["a", "b", "c"]
    assert in_place(tree.folder, read_manifest(tree.folder), "things/a", tree.store)


def test_an_installation_that_put_nothing_in_place_leaves_nothing(tree: Tree) -> None:
    plan = tree.plan({"a": b"one"})
    with pytest.raises(Interrupted):
        apply_install(plan, tree.store, stop=lambda: True)
    assert tree.names() == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", '{"temporary": 7, "written": {}}', '{"temporary": [7], "written": {"things/a": 7}}',
     json.dumps({"temporary": ["../x"], "written": {"things/a": {"../x": [["0" * 64, 1]], "": [[1]], "\0": []}}})],
)  # fmt: skip
def test_a_damaged_journal_does_no_harm(tree: Tree, text: str) -> None:
    (tree.folder.parent / "x").write_bytes(b"x")
    tree.folder.mkdir()
    (tree.folder / JOURNAL).write_text(text)
    tree.install({"a": b"one"})
    assert tree.names() == ["a"]
    assert (tree.folder.parent / "x").read_bytes() == b"x"


def test_a_user_file_set_aside_by_a_killed_installation_is_set_aside_once(tree: Tree) -> None:
    tree.folder.mkdir()
    (tree.folder / "a").write_bytes(b"mine")
    os.link(tree.folder / "a", tree.folder / "a.orig")  # killed between the second name and the rename
    tree.install({"a": b"one"})
    assert tree.names() == ["a", "a.orig"]
    assert (tree.folder / "a.orig").read_bytes() == b"mine"
