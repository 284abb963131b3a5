"""Tools for authors of recipes: a starter, lint, moving first-use pins into recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelprep.errors import MissingTool, ModelprepError, RecipeError, UsageError
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.schema import Asset, Recipe
from modelprep.store.disk import write_atomic


@dataclass(frozen=True)
class Linted:
    """Problems of one file."""

    path: Path
    kind: str
    errors: tuple[RecipeError, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return it JSON-ready."""
        return {
            "path": str(self.path),
            "kind": self.kind,
            "problems": [error.to_json() for error in self.errors],
            "warnings": list(self.warnings),
        }


def recipe_files(paths: Sequence[Path], catalogue: Catalogue) -> list[Path]:
    """Return the YAML files of paths: files, and those below folders; all of the catalogue without paths."""
    folders = list(paths) or list(catalogue.folders)
    found: dict[Path, None] = {}
    for path in folders:
        if path.is_dir():
            inside = _recipes_below(path)
            if not inside and paths:
                raise UsageError("there are no recipes in this folder", where=str(path))
            found.update(dict.fromkeys(inside))
        elif path.is_file():
            found[path] = None
        else:
            raise UsageError("the file or folder does not exist", where=str(path))
    return list(found)


def _recipes_below(folder: Path) -> list[Path]:
    """Return a folder's YAML files; files that vanish and folders that cannot be read are skipped."""
    import os

    return sorted(
        Path(place) / name for place, _, names in os.walk(folder) for name in names if name.endswith((".yaml", ".yml"))
    )


def lint_files(paths: Sequence[Path], catalogue: Catalogue) -> list[Linted]:
    """Check files, each separately; a file below a folder called ``assets`` contains shared assets."""
    seen: dict[tuple[Path, str], str] = {}
    return [
        _lint_assets(path, seen) if path.parent.name == "assets" else _lint_recipe(path, catalogue) for path in paths
    ]


def _lint_assets(path: Path, seen: dict[tuple[Path, str], str]) -> Linted:
    from modelprep.recipe.loader import SharedFile
    from modelprep.recipe.problems import flatten

    try:
        shared = SharedFile(path)
        ids = shared.check()
    except RecipeError as error:
        return Linted(path, "assets", flatten(error))
    errors = []
    for asset_id in ids:
        place = shared.where(asset_id)
        first = seen.setdefault((path.parent.resolve(), asset_id), place)
        if first != place:
            what = f"the asset '{asset_id}' is declared in two files"
            errors.append(RecipeError(what, where=place, hint=f"the first is at {first}"))
    warnings = _browser_links([shared[asset_id] for asset_id in ids], path)
    return Linted(path, "assets", tuple(errors), tuple(f"{path}: {warning}" for warning in warnings))


def _lint_recipe(path: Path, catalogue: Catalogue) -> Linted:
    from modelprep.pipeline.plan.validate import check_steps
    from modelprep.recipe.matrix import names_of_variants
    from modelprep.recipe.problems import flatten

    errors: list[RecipeError] = []
    recipes: list[Recipe] = []
    unchecked: dict[str, None] = {}
    try:
        variants = names_of_variants(path)
    except RecipeError as error:
        return Linted(path, "recipe", flatten(error))
    for variant in ("", *variants):
        try:
            recipe = catalogue.load_file(path, variant)
            recipes.append(recipe)
            found = check_steps(recipe)
        except RecipeError as error:
            found = list(flatten(error))
        except MissingTool as error:  # the recipe is not at fault
            found = []
            unchecked[f"a step is not checked: {error.what}"] = None
        known = {str(each) for each in errors}
        errors += [each for each in found if str(each) not in known]
    assets = [asset for recipe in recipes for asset in recipe.assets.values()]
    unused = _unused(recipes[0]) if not variants and recipes else ()
    warnings = [*unchecked, *unused, *_browser_links(assets, path)]
    return Linted(path, "recipe", tuple(errors), tuple(f"{path}: {warning}" for warning in warnings))


def _unused(recipe: Recipe) -> list[str]:
    """Return messages about unused assets and steps."""
    from modelprep.pipeline.plan.validate import references

    used = {ref.name for ref in references(recipe)}
    names = [("asset", name) for name in recipe.assets] + [("step", step.id) for step in recipe.steps]
    return [f"the {kind} '{name}' is not used" for kind, name in names if name not in used]


def _browser_links(assets: Sequence[Asset], path: Path) -> list[str]:
    """Return messages about URLs of this file that are pages; those of shared assets belong to their own file."""
    from modelprep.fetch.urls import browser_link

    here = f"{path}:"
    urls = [source.url for asset in assets for source in asset.sources]
    return [said for url in dict.fromkeys(urls) if (url.place or here).startswith(here) and (said := browser_link(url))]


def write_new(name: str, folder: Path) -> tuple[Path, Path | None]:
    """Write the starter of a recipe and its JSON Schema beside it: see :func:`modelprep.api.authoring.new_recipe`."""
    import re
    from json import dumps as json_text

    from modelprep.pipeline.plan.step_schema import step_schemas
    from modelprep.recipe.catalogue import ASSETS_FOLDER
    from modelprep.recipe.jsonschema import FILE_NAME, recipe_schema
    from modelprep.recipe.template import starter
    from modelprep.recipe.text import NAME_PATTERN

    parts = name.removesuffix(".yaml").split("/")
    if len(parts) > 2 or not all(re.search(NAME_PATTERN, part) for part in parts) or parts[0] == ASSETS_FOLDER:
        raise UsageError(f"'{name}' is not a valid recipe name", expected="GROUP/NAME or NAME (letters, digits, . - _)")
    path = folder.joinpath(*parts[:-1], f"{parts[-1]}.yaml")
    if path.exists() or path.is_symlink():
        raise UsageError("the file exists already", where=str(path), hint="choose another name")
    write_atomic(path, starter("/".join(parts), str(path)).encode())
    beside = path.parent / FILE_NAME
    schema = recipe_schema(step_schemas())
    if (beside.exists() or beside.is_symlink()) and not _is_schema(beside, str(schema["$id"])):
        return path, None
    write_atomic(beside, f"{json_text(schema, indent=2)}\n".encode())
    return path, beside


def _is_schema(path: Path, identity: str) -> bool:
    """Whether a file is a recipe schema that an earlier run wrote, and may be replaced."""
    try:
        return f'"$id": "{identity}"' in path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def pin_targets(targets: Sequence[str], catalogue: Catalogue, lock: Path) -> dict[Path, list[str]]:
    """Move pins into the files that declare the assets and return file -> ids; the lock file is unchanged."""
    from modelprep.recipe.edit import pin_assets
    from modelprep.recipe.lockfile import Pin, read_lock
    from modelprep.recipe.yaml_tree import read_text

    pins = read_lock(lock)
    wanted: dict[Path, dict[str, Pin]] = {}
    missing: list[str] = []
    for recipe in catalogue.resolve(targets):
        for asset in recipe.assets.values():
            if asset.pin != "first-use":
                continue
            if asset.lock_key not in pins:
                missing.append(asset.lock_key)
                continue
            path = catalogue.shared.path(asset.shared) if asset.shared else recipe.path
            wanted.setdefault(path, {})[asset.shared or asset.id] = pins[asset.lock_key]
    if not wanted:
        what = (
            "none of these assets is in the lock file" if missing else "no asset of the target is pinned at first use"
        )
        hint = f"fetch first: {', '.join(sorted(set(missing)))}" if missing else None
        raise UsageError(what, where=str(lock) if missing else None, hint=hint)
    changed = {path: pin_assets(read_text(path), path, each) for path, each in wanted.items()}
    for path, text in changed.items():
        _check_text(text, path, catalogue)
    for path, text in changed.items():
        write_atomic(path, text.encode())
    return {path: sorted(each) for path, each in wanted.items()}


def _check_text(text: str, path: Path, catalogue: Catalogue) -> None:
    from modelprep.recipe.loader import SharedFile, parse_recipe

    try:
        if path.parent.name == "assets":
            SharedFile(path, text).check()
        else:
            parse_recipe(text, path, shared=catalogue.shared)
    except ModelprepError as error:
        raise RecipeError(
            "the recipe would not be valid with its pins; it was not changed", where=str(path), got=error.what
        ) from error
