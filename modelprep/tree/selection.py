"""The files of demos in finished trees, for bundle, deploy and export."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from modelprep.errors import DigestMismatch, RecipeError, UsageError
from modelprep.events import Event, Listener, silent
from modelprep.quoting import command
from modelprep.recipe.commands import fetch_command, fetch_commands
from modelprep.recipe.schema import Recipe
from modelprep.structs import dataclass, replace
from modelprep.tree.manifest import InstalledFile, Manifest, read_manifest
from modelprep.tree.places import tree_name
from modelprep.tree.runtests import BoardCommand, script


@dataclass(frozen=True)
class TreePart:
    """The part of one finished tree, `name` below ``--out``, that some demos need.

    `board` is its folder on the board (empty: the ssh user's home directory), `manifest` is reduced to these demos and
    the included files, `left_out` are the restricted files, in the order of their paths.
    """

    folder: Path
    name: str
    board: str
    manifest: Manifest
    left_out: tuple[InstalledFile, ...] = ()

    @property
    def files(self) -> Mapping[str, InstalledFile]:
        """The included files, by path inside the tree."""
        return self.manifest.files


def select(
    out: Path, recipes: Iterable[Recipe], *, include_restricted: bool = False, listen: Listener = silent
) -> tuple[TreePart, ...]:
    """Find the files of some demos in the finished trees below `out`; demos without files are ignored.

    Raises `UsageError` if a demo has not been fetched. One that needs a file from the user, of several, is left out.
    """
    wanted: dict[str, list[Recipe]] = {}
    for recipe in recipes:
        if recipe.install:
            wanted.setdefault(tree_name(recipe), []).append(recipe)
    parts = []
    missing: list[Recipe] = []
    for name, group in sorted(wanted.items()):
        manifest = read_manifest(out / name)
        missing += [recipe for recipe in group if recipe.name not in manifest.demos]
        part = _part(
            out / name, PurePosixPath(name).name, manifest, {recipe.name for recipe in group}, include_restricted
        )
        parts.append(replace(part, board=next((recipe.board for recipe in group if recipe.board), "")))
    parts = [part for part in parts if part.manifest.demos]
    if missing and not (parts and all(recipe.status == "bring-your-own" for recipe in missing)):
        raise UsageError(
            "some of these demos have not been fetched",
            where=str(out),
            expected=", ".join(sorted(recipe.name for recipe in missing)),
            hint="\n".join(fetch_commands(sorted(missing, key=lambda recipe: recipe.name), out)),
        )
    for recipe in missing:
        text = f"{recipe.demo} is left out: it needs a file from you: {fetch_command(recipe, out)}"
        listen(Event("note", task=f"select:{recipe.name}", text=text))
    return tuple(parts)


def _part(folder: Path, name: str, manifest: Manifest, recipes: set[str], include_restricted: bool) -> TreePart:
    files: dict[str, InstalledFile] = {}
    left_out = []
    for path, file in sorted(manifest.files.items()):
        users = tuple(sorted(set(file.demos) & recipes))
        if not users:
            continue
        if not include_restricted and any(asset.restricted for asset in file.provenance.assets):
            left_out.append(replace(file, demos=users))
        else:
            files[path] = replace(file, demos=users)
    demos = {recipe: demo for recipe, demo in manifest.demos.items() if recipe in recipes}
    return TreePart(folder, name, "", Manifest(name, demos, files), tuple(left_out))


def changed(path: Path, file: InstalledFile) -> DigestMismatch:
    """Make the error for a file that differs from the manifest of its tree, or is missing."""
    return DigestMismatch(
        f"a file of the tree {'was changed since modelprep wrote it' if path.is_file() else 'is missing'}",
        where=str(path),
        expected=f"sha256 {file.sha256}",
        hint=command("modelprep", "fetch", *file.demos),
    )


def run_tests(manifest: Manifest, *, unfit: Callable[[RecipeError], None] | None = None) -> str:
    """Write ``run-tests.sh`` for the demos of a manifest (see :mod:`modelprep.tree.runtests`).

    `unfit` is called with the reason for each demo that the script cannot run (its command is a pipeline, for example)
    and leaves out; without it the first such reason is raised.
    """
    commands = [
        BoardCommand(
            _word(demo.demo), demo.run, takes_backends=demo.demo.endswith("-Armnn"), interactive=demo.interactive
        )
        for _, demo in sorted(manifest.demos.items())
    ]
    programs = sorted({demo.programs for demo in manifest.demos.values() if demo.programs})
    if unfit is None:
        return script(commands, programs)
    return script([command for command in commands if _fits(command, unfit)], programs)


def names_of_tests(manifest: Manifest) -> list[str]:
    """Return the names of a manifest's demos in ``run-tests.sh``: those whose command it can start."""
    return [_word(demo.demo) for _, demo in sorted(manifest.demos.items()) if demo.run and not demo.interactive]


def _word(name: str) -> str:
    """Turn a demo's name into one word for a command line."""
    return "-".join(name.split())


def _fits(command: BoardCommand, unfit: Callable[[RecipeError], None]) -> bool:
    try:
        script([command])
    except RecipeError as error:
        unfit(error)
        return False
    return True
