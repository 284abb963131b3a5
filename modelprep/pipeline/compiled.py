"""Recipes as they were read before, for as long as their files have not changed: a file in the store.

Why it is done so: ``docs/decisions/0017-compiled-catalogue.md``. The file is used only if it is ours alone, whole,
and made by this very code and Python for the same folders and shared assets; a recipe in it only while its own file has
the same size, times and inode. Whatever is wrong with it: the recipes are read from their own files.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from modelprep.errors import ModelprepError
from modelprep.recipe import __file__ as _code
from modelprep.recipe.packed import pack, unpack
from modelprep.recipe.schema import Recipe
from modelprep.regular import opened
from modelprep.store.disk import write_atomic
from modelprep.store.memo import settled
from modelprep.version import __version__

FOLDER = "catalogues"
#: So many recipes are searched for in the file's text; for more it is divided into lines.
_SEARCHES = 4


class Compiled:
    """What is known of the recipes of some folders.

    Parameters
    ----------
    store
        The store's folder; one that is not there is not made.
    folders
        Those of the catalogue, in its order.
    shared
        Their files of shared assets: any of them may be in any recipe.
    """

    def __init__(self, store: Path, folders: Sequence[Path], shared: Iterable[Path]) -> None:
        self._store = store
        names, places = [str(folder) for folder in folders], [str(folder.absolute()) for folder in folders]
        self._path = store / FOLDER / hashlib.sha256(json.dumps([names, places]).encode()).hexdigest()[:32]
        with os.scandir(Path(_code).parent) as entries:
            parts = sorted(f"{each.name} {_stamp(each.stat())}" for each in entries if each.name.endswith(".py"))
        parts += [f"{path} {_digest(path)}" for path in shared]
        self._head = json.dumps(
            {"version": __version__, "python": sys.version, "names": names, "places": places, "parts": parts}
        )
        self._seen: dict[str, os.stat_result] = {}
        self._changed = False
        #: Lines by name, and those that have not been divided yet.
        self._lines: dict[str, str] = {}
        self._text = ""
        self._searches = 0
        with suppress(OSError, ValueError):
            self._text = self._read()

    def get(self, name: str, path: Path) -> Recipe | None:
        """Return a recipe as it was read from the same file before; None if it is not known."""
        self._seen[name] = path.stat()
        line = self._line(name)
        if line is None:
            return None
        try:
            place, stamp, digest, packed = json.loads(line)
            if (place, stamp) == (str(path), _stamp(self._seen[name])) and digest in ("", digest and _digest(path)):
                return unpack(packed, path)
        except (ValueError, TypeError, LookupError, AttributeError):  # not ours after all
            pass
        return None

    def put(self, name: str, path: Path, recipe: Recipe, text: str) -> None:
        """Take note of a recipe that was read from this text since :meth:`get` did not know it."""
        facts = self._seen[name]
        if (packed := pack(recipe)) is not None:
            digest = "" if settled(facts) else hashlib.sha256(text.encode()).hexdigest()
            line = json.dumps([str(path), _stamp(facts), digest, packed], separators=(",", ":"))
            if unpack(json.loads(line)[-1], path) == recipe:
                self._lines[name] = line
                self._changed = True

    def save(self, names: Callable[[], Collection[str]]) -> None:
        """Write down what has been noted, of the recipes whose names are returned, if the store can be written to."""
        if not self._changed:
            return
        if not self.has_store:
            _waiting[self._path] = self, names
            return
        self._changed = False
        self._divide()
        known = set(names())
        lines = [f"{name}\t{line}" for name, line in self._lines.items() if name in known and "\n" not in name]
        rest = "\n".join([self._head, *lines]).encode()
        with suppress(ModelprepError, OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            write_atomic(self._path, hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest, lasting=False)

    @property
    def has_store(self) -> bool:
        """Whether the store is there."""
        return self._store.is_dir()

    def _line(self, name: str) -> str | None:
        """Return the line of a recipe; those of the first ones are searched for, as a command may need few of them."""
        self._searches += 1
        if self._text and self._searches <= _SEARCHES and name not in self._lines:
            start = f"\n{name}\t"
            at = self._text.find(start) + len(start)
            return self._text[at : self._text.find("\n", at)] if at >= len(start) else None
        self._divide()
        return self._lines.get(name)

    def _divide(self) -> None:
        if self._text:
            lines = self._text.split("\n")[1:-1]
            self._lines, self._text = dict(line.split("\t", 1) for line in lines) | self._lines, ""

    def _read(self) -> str:
        """Return the lines, each between two line ends; nothing if the file is not to be used."""
        with opened(self._path) as file:
            if any(_foreign(facts) for facts in (os.fstat(file.fileno()), self._path.parent.stat())):
                return ""
            digest, _, rest = file.read().partition(b"\n")
        if hashlib.sha256(rest).hexdigest().encode() != digest:
            return ""
        text, head = f"{rest.decode()}\n", f"{self._head}\n"
        return text[len(head) - 1 :] if text.startswith(head) else ""


#: What could not be written yet, since the store was not there.
_waiting: dict[Path, tuple[Compiled, Callable[[], Collection[str]]]] = {}


def save_waiting() -> None:
    """Write down what has been noted while there was no store: a run has made one since."""
    while _waiting:
        _, (compiled, names) = _waiting.popitem()
        if compiled.has_store:
            compiled.save(names)


def _digest(path: Path) -> str:
    with opened(path) as file:
        return hashlib.sha256(file.read().removeprefix(codecs.BOM_UTF8)).hexdigest()


def _stamp(facts: os.stat_result) -> str:
    return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns} {facts.st_ino} {facts.st_dev}"


def _foreign(facts: os.stat_result) -> bool:
    """Return whether somebody else could have written it."""
    return facts.st_uid != os.geteuid() or bool(facts.st_mode & 0o022)
