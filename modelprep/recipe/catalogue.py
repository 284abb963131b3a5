"""The catalogue of recipes, and the lookup of a TARGET.

Folders are layered: the shipped recipes first, then the user's own (``MODELPREP_RECIPES``, ``--recipes``), each may
shadow the ones before. A group is a folder in such a folder; ``assets`` contains the shared assets. A recipe is read
only when it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.errors import RecipeError, UsageError, nearest
from modelprep.recipe.local import root_of, shared_files, stays_inside
from modelprep.recipe.schema import Asset, Recipe
from modelprep.recipe.shipped import shipped_folder
from modelprep.recipe.text import name_fault
from modelprep.structs import dataclass, replace

if TYPE_CHECKING:
    from modelprep.recipe.loader import SharedFile, StepChecker
    from modelprep.recipe.packed import Kept

ASSETS_FOLDER = "assets"
ENVIRONMENT = "MODELPREP_RECIPES"
_SUFFIXES = (".yaml", ".yml")


class SharedAssets(Mapping[str, Asset]):
    """Shared assets of some folders, later folders first; a file is read if it may contain an id."""

    def __init__(self, folders: Sequence[Path], roots: Sequence[Path] = ()) -> None:
        self._folders = list(folders)
        self._roots = roots
        self._texts: list[tuple[Path, str]] | None = None
        self._files: dict[Path, SharedFile] = {}

    def _all(self) -> list[tuple[Path, str]]:
        if self._texts is None:
            paths = [path for folder in reversed(self._folders) for path in shared_files(folder)]
            self._texts = [(path, _read_text(path)) for path in paths]
        return self._texts

    def _file(self, path: Path, text: str) -> SharedFile:
        if path not in self._files:
            from modelprep.recipe.loader import SharedFile

            self._files[path] = SharedFile(path, text, root_of(path, self._roots))
        return self._files[path]

    def _declaring(self, asset_id: str) -> SharedFile:
        for path, text in self._all():
            # A file that does not contain the id as text need not be parsed (a key must not use escapes; the check of
            # a whole file would still find it).
            if asset_id in text and asset_id in (file := self._file(path, text)):
                return file
        raise KeyError(asset_id)

    def __getitem__(self, asset_id: str) -> Asset:
        return self._declaring(asset_id)[asset_id]

    def path(self, asset_id: str) -> Path:
        """Return the file that declares an asset."""
        return self._declaring(asset_id).path

    def __iter__(self) -> Iterator[str]:
        return iter({asset_id: None for path, text in self._all() for asset_id in self._file(path, text)})

    def __len__(self) -> int:
        return len(list(iter(self)))


@dataclass(frozen=True)
class Layer:
    """One folder of a catalogue, for one recipe: its file in it (None if it has none).

    `origin` is the folder's archive with checksum, ``shipped``, or empty for a user's folder.
    """

    folder: Path
    origin: str
    path: Path | None


class Catalogue:
    """All recipes of some folders.

    Parameters
    ----------
    folders
        Later ones shadow earlier ones.
    check
        Reports problems of steps in a recipe that cannot be read: see :func:`~modelprep.recipe.loader.load_recipe`.
    origins
        Folder of an unpacked archive -> name or URL of the archive, with its checksum.
    kept
        Recipes that earlier processes have read.

    Raises
    ------
    UsageError
        One of the folders does not exist.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        check: StepChecker | None = None,
        origins: Mapping[Path, str] | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.folders = tuple(folders)
        self.origins = dict(origins or {})
        self._check = check
        self._kept = kept
        for folder in self.folders:
            if not folder.is_dir():
                raise UsageError(f"the recipe folder {folder} does not exist", where=str(folder))
        self.shared = SharedAssets([folder / ASSETS_FOLDER for folder in self.folders], self.folders)
        self._recipes: dict[tuple[str, str], Recipe] = {}

    @cached_property
    def _paths(self) -> dict[str, list[str]]:
        """Name of each recipe -> its files, the last one shadows the others."""
        found: dict[str, list[str]] = {}
        for folder in self.folders:
            for name, path in _scan(folder):
                found.setdefault(name, []).append(path)
        return found

    def _files(self, name: str) -> Sequence[str]:
        """Return the files of one recipe as in `_paths`, which need not be known for it."""
        group, _, stem = name.partition("/")
        if "_paths" in vars(self) or "/" in stem or any(group in ("", each.resolve().name) for each in self.folders):
            return self._paths.get(name, ())
        found: list[str] = []
        if group == ASSETS_FOLDER or "." in (group[0], stem[:1]):
            return found
        for folder in self.folders:
            with suppress(FileNotFoundError, NotADirectoryError):
                # Listed, since names of files may not depend on their capitals here, and those of recipes do.
                entries = os.listdir(folder / group) if group in os.listdir(folder) else ()  # noqa: PTH208
                names = [f"{stem}{suffix}" for suffix in _SUFFIXES if f"{stem}{suffix}" in entries]
                found += filter(os.path.isfile, [f"{folder}/{group}/{name}" for name in names])
        return found

    def __repr__(self) -> str:
        return f"<Catalogue: {', '.join(map(str, self.folders))}>"

    @classmethod
    def open(cls, extra: Sequence[Path] = (), check: StepChecker | None = None) -> Catalogue:
        """Open the shipped recipes, those of ``MODELPREP_RECIPES`` (paths joined as in PATH), then `extra`."""
        named = [Path(part).expanduser() for part in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if part]
        return cls([shipped_folder(), *named, *extra], check)

    def names(self) -> tuple[str, ...]:
        """List the names of all recipes (``group/stem``), sorted; reads none of them."""
        return tuple(sorted(self._paths))

    def groups(self) -> tuple[str, ...]:
        """List the groups, sorted."""
        return tuple(sorted({name.rpartition("/")[0] for name in self._paths}))

    def path(self, name: str) -> Path:
        """Return the file of a recipe; the last folder that has it wins."""
        if not (files := self._files(name)):
            raise self._unknown(name)
        return Path(files[-1])

    def layers(self, name: str) -> tuple[Layer, ...]:
        """Return the folders in their order, each with its file of a recipe; the last file shadows the others."""
        files = self._files(name)
        shipped = shipped_folder()
        return tuple(
            Layer(
                folder,
                self.origins.get(folder, "shipped" if folder == shipped else ""),
                next((path for path in map(Path, files) if root_of(path, self.folders) == folder), None),
            )
            for folder in self.folders
        )

    def recipe(self, name: str, variant: str = "") -> Recipe:
        """Read one recipe by its name.

        Raises
        ------
        UsageError
            The recipe is unknown.
        RecipeError
            Its file is not valid, or the variant is unknown.
        """
        if (name, variant) not in self._recipes:
            path = self.path(name)
            recipe = self._as_before(name, path) if not variant else None
            if recipe is None:
                from modelprep.recipe.loader import parse_recipe

                text, root = _read_text(path), root_of(path, self.folders)
                recipe = parse_recipe(
                    text, path, name=name, shared=self.shared, variant=variant, root=root, check=self._check
                )
                if self._kept is not None and not variant:
                    self._kept.put(name, path, recipe, text)
            below = self._files(name)[:-1]
            self._recipes[name, variant] = replace(recipe, shadows=Path(below[-1])) if below else recipe
        return self._recipes[name, variant]

    def _as_before(self, name: str, path: Path) -> Recipe | None:
        """Return a recipe that was read before, if its files on this machine still lie where they may."""
        try:
            recipe = self._kept.get(name, path) if self._kept is not None else None
        except OSError:  # the file is gone: reading it says so
            return None
        urls = [source.url for asset in recipe.assets.values() for source in asset.sources] if recipe else []
        return recipe if all(stays_inside(url, self.folders) for url in urls if url.is_local) else None

    def keep(self) -> None:
        """Write down what has been read, for the next process."""
        if self._kept is not None:
            self._kept.save(self.names)

    def resolve(self, targets: Sequence[str]) -> list[Recipe]:
        """Return the recipes of targets, each once, in their order.

        Parameters
        ----------
        targets
            Groups, recipe names, demos' own names (capitals do not matter), paths of recipe files, ``all``; each may
            end in ``@variant``, which a group applies to those of its recipes that have it.

        Raises
        ------
        UsageError
            A target is unknown; the nearest names are suggested.
        RecipeError
            A recipe is broken.
        """
        found: dict[tuple[str, str], Recipe] = {}
        for target in targets:
            for recipe in self._of(target):
                found.setdefault((str(recipe.path), recipe.variant), recipe)
        self.keep()
        return list(found.values())

    def offers(self, incomplete: str) -> list[str]:
        """Return the targets with a prefix, sorted, for a shell's completion; reads as few recipes as possible.

        After an ``@`` the recipe's variants are returned; the demos' own names only if no group or recipe matches.
        """
        plain, at, _ = incomplete.rpartition("@")
        if at:
            recipe = self._sound(plain) if plain in self._paths else None
            found = [f"{plain}@{variant}" for variant in recipe.variants] if recipe is not None else []
        else:
            # A shell inserts a completed name into the command line unchanged.
            found = [name for name in ("all", *self.groups(), *self.names()) if name_fault(name) is None]
        fitting = {name for name in found if name.startswith(incomplete)}
        if not fitting and not at:
            fitting = {name for name in self._demo_names(incomplete) if name.startswith(incomplete)}
        return sorted(fitting)

    def _of(self, target: str) -> list[Recipe]:
        if _is_path(target):
            return [self._from_path(target, "")]
        plain, at, variant = target.rpartition("@")
        if not at:
            plain, variant = target, ""
        elif not variant:
            raise UsageError(f"'{target}' has an empty variant", expected="TARGET@variant")
        if at and _is_path(plain):
            return [self._from_path(plain, variant)]
        name = plain.strip("/")
        if self._files(name):
            return [self.recipe(name, variant)]
        members = self.names() if name == "all" else [each for each in self.names() if each.startswith(f"{name}/")]
        if members:
            return self._group(name, members, variant)
        wanted = name.casefold()
        demos = [recipe.name for recipe in self._mentioning(name) if recipe.demo.casefold() == wanted]
        if not demos:
            raise self._unknown(target)
        return [self.recipe(each, variant) for each in demos]

    def _group(self, name: str, members: Sequence[str], variant: str) -> list[Recipe]:
        recipes = [self.recipe(member) for member in members]
        if not variant:
            return recipes
        if not any(variant in recipe.variants for recipe in recipes):
            known = sorted({each for recipe in recipes for each in recipe.variants})
            raise UsageError(
                f"no recipe of '{name}' has a variant called '{variant}'",
                expected=f"one of {', '.join(known)}" if known else None,
                hint=nearest(variant, known) or None,
            )
        return [self.recipe(each.name, variant) if variant in each.variants else each for each in recipes]

    def _mentioning(self, text: str) -> Iterator[Recipe]:
        """Yield the valid recipes whose files contain a text; only these are read."""
        wanted = text.casefold()
        for name in self.names():
            if wanted in _read_text(self.path(name)).casefold() and (recipe := self._sound(name)) is not None:
                yield recipe

    def _from_path(self, text: str, variant: str) -> Recipe:
        path = Path(text).expanduser()
        if not path.is_file():
            raise UsageError(
                f"the recipe file {text} does not exist",
                where=str(path),
                hint="TARGET may be a group, a name or a file",
            )
        resolved = path.resolve()
        for name, paths in self._paths.items():
            if Path(paths[-1]).resolve() == resolved:
                return self.recipe(name, variant)
        return self.load_file(path, variant)

    def load_file(self, path: Path, variant: str = "") -> Recipe:
        """Read a recipe file by its path, with the shared assets of all folders and of those beside it."""
        # Assets shared among the user's recipes are beside the group's folder, or beside the file itself.
        resolved = path.resolve()
        beside = [resolved.parent.parent / ASSETS_FOLDER, resolved.parent / ASSETS_FOLDER]
        known = [folder / ASSETS_FOLDER for folder in self.folders]
        extra = [folder for folder in beside if folder not in [each.resolve() for each in known]]
        # Nothing beside it: use the shared assets that are read already.
        beside_it = any(folder.is_dir() for folder in extra)
        shared = SharedAssets(known + extra, self.folders) if beside_it else self.shared
        root = root_of(path, self.folders)
        from modelprep.recipe.loader import load_recipe

        recipe = load_recipe(path, shared=shared, variant=variant, root=root, check=self._check)
        return replace(recipe, given=str(path))

    def _unknown(self, target: str) -> UsageError:
        name = target.rpartition("@")[0] or target
        stems = [each.rpartition("/")[2] for each in self.names()]
        known = [*self.groups(), *self.names(), *self._demo_names(), *stems, "all"]
        meant = [each for each in self.names() if each.rpartition("/")[2] == name]
        hint = f"did you mean {' or '.join(meant)}?" if meant else nearest(name, list(dict.fromkeys(known)))
        return UsageError(
            f"unknown target '{target}'",
            expected="a group, a recipe (group/name), a demo's own name, a path to a recipe file, or all",
            hint=hint or f"groups: {', '.join(self.groups())}",
        )

    def _demo_names(self, part: str = "") -> list[str]:
        return [recipe.demo for recipe in self._mentioning(part)]

    def _sound(self, name: str) -> Recipe | None:
        """Return a recipe, or None for a broken one, which must not hide a valid one."""
        try:
            return self.recipe(name)
        except RecipeError:
            return None


def _read_text(path: Path) -> str:
    from modelprep.recipe.yaml_tree import read_text

    return read_text(path)


def _is_path(target: str) -> bool:
    """Say whether a target is a path: it looks like one, or the file exists."""
    return target.endswith(_SUFFIXES)


def _scan(folder: Path) -> Iterator[tuple[str, str]]:
    """List the recipes of a folder: ``group/stem`` for files in its folders, its own name as group for files in it."""
    for entry in _entries(folder):
        if entry.is_dir():
            if entry.name != ASSETS_FOLDER:
                yield from _recipes_of(entry.name, _entries(folder / entry.name))
        else:
            yield from _recipes_of(folder.resolve().name, [entry])


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((each for each in entries if each.name[:1] != "."), key=lambda each: each.name)


def _recipes_of(group: str, entries: Sequence[os.DirEntry[str]]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        stem, _, suffix = entry.name.rpartition(".")
        if f".{suffix}" in _SUFFIXES and entry.is_file():
            yield f"{group}/{stem}", entry.path
