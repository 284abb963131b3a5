"""Paths inside a tree: destinations, protection against leaving the tree, and the writer's lock."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from modelprep.errors import StorageError
from modelprep.recipe.schema import Recipe
from modelprep.store.disk import storage
from modelprep.store.locks import wait_for


def tree_name(recipe: Recipe) -> str:
    """Return the folder below ``--out`` of a recipe's files: its ``tree:``, else its group's name.

    Trees of another release or SoC than the manual's have their own folder: ``L6.6.36-2.1.0-imx93/label-image``.
    """
    name = recipe.tree or recipe.group or recipe.name
    board = "-".join(filter(None, (recipe.bsp, recipe.soc)))
    return f"{board}/{name}" if board else name


def place(folder: Path, relative: str) -> Path:
    """Return the path of a file of the tree (itself maybe a link), after checking that no link leads outside."""
    parts = relative.split("/")
    if not relative or any(part in ("", ".", "..") or "\0" in part or os.sep in part for part in parts):
        raise StorageError("a file would be installed outside its tree", where=relative)
    here = folder
    for part in parts[:-1]:
        here = here / part
        if here.is_symlink() and not Path(os.path.realpath(here)).is_relative_to(os.path.realpath(folder)):
            raise StorageError(
                "a link in the tree leads outside it",
                where=str(here),
                got=f"a link to {os.path.realpath(here)}",
                hint="remove the link, or choose another folder with --out",
            )
        if here.exists() and not here.is_dir():
            raise StorageError(
                "a file is in place of a folder",
                where=str(here),
                hint="move it away, or choose another folder with --out",
            )
    return here / parts[-1]


@contextlib.contextmanager
def tree_lock(
    folder: Path, *, on_wait: Callable[[], None] | None = None, stop: Callable[[], bool] | None = None
) -> Iterator[None]:
    """Lock the tree against other writers; the folder is created if missing. A true `stop` ends the waiting.

    The folder itself is locked, so that nothing is left behind in it and a killed holder blocks nobody.
    """
    import fcntl

    with storage(folder, doing="make the folder of the tree"):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def take() -> int | None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        except OSError:
            # Some network file systems cannot lock folders. Each file is still written atomically; only two processes
            # that install different demos at the same time could miss one another's manifest entry.
            pass
        return descriptor

    try:
        wait_for(take, on_wait=on_wait, stop=stop)
        yield
    finally:
        os.close(descriptor)
