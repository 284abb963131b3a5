"""Kills an installation before each of its changes to a tree, and installs again with another cache.

Run as a program: ``killed.py FOLDER FIRST THEN``, where FIRST and THEN name one of the :data:`VERSIONS`. It prints how
many kills there were, and raises AssertionError at the first tree that is not what it must be.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

from modelprep.store import Blob, Store
from modelprep.tree.install import apply_install
from modelprep.tree.manifest import InstalledDemo
from modelprep.tree.plan import plan_install

VERSIONS = {
    "one": {"data/a": b"a of one", "data/b": b"b of one", "models/c": b"the same", "models/d": b"only in one"},
    "two": {"data/a": b"a of two", "data/b": b"and b, longer", "models/c": b"the same", "models/e": b"only in two"},
}
USERS = {"data/b": b"of the user", "mine": b"of the user as well", "models/e": b"also of the user"}
CHANGES = ("open", "os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir")


def install(root: Path, version: str, cache: str, recipe: str = "things/a") -> None:
    store = Store.open(root / cache)

    def blob(data: bytes) -> Blob:
        with store.writer() as writer:
            writer.write(data)
            return writer.commit()

    files = {path: blob(data) for path, data in VERSIONS[version].items()}
    demo = InstalledDemo(recipe=recipe, demo="A", key=version)
    apply_install(plan_install(root / "out", demo, files, {}, store), store)


def kill_before(change: int, root: Path) -> None:
    """See to it that this process is killed before its `change`-th change to the tree."""
    left = [change]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event not in CHANGES or not str(arguments[0]).startswith(str(root / "out")):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def killed(root: Path, version: str, change: int) -> bool:
    child = os.fork()
    if not child:
        kill_before(change, root)
        install(root, version, "first-cache")
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status != 0


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def see(root: Path, before: str, first: str, then: str, change: int) -> bool:
    """Kill an installation of `first` over one of `before`, install `then`, and look at the tree."""
    shutil.rmtree(root, ignore_errors=True)
    if before:
        install(root, before, "first-cache")
    aside = {}
    for path, data in USERS.items():
        target = root / "out" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        aside[f"{path}.orig" if path in VERSIONS[first] or path in VERSIONS[then] else path] = data
    was_killed = killed(root, first, change)
    shutil.rmtree(root / "first-cache", ignore_errors=True)
    install(root, then, "second-cache")
    found = files_below(root / "out")
    for name in ("MANIFEST.json", "SHA256SUMS", "run-tests.sh"):
        del found[name]
    wanted = {**VERSIONS[then], **aside}
    # The user's file that only the killed version replaces may be in place still.
    for path in USERS.keys() - VERSIONS[then].keys():
        if f"{path}.orig" in wanted and found.get(path) == USERS[path]:
            wanted[path] = wanted.pop(f"{path}.orig")
            found.pop(f"{path}.orig", None)
    assert found == wanted, f"kill {change} of {first} over {before or 'nothing'}: {found}"
    return was_killed


if __name__ == "__main__":
    folder, number = Path(sys.argv[1]), 0
    for old in ("", "one"):
        change = 0
        while see(folder, old, sys.argv[2], sys.argv[3], change):
            change += 1
        number += change
    print(number)
