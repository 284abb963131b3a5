"""Load YAML files into the checked structs of :mod:`modelprep.recipe.schema`.

All problems of a file are reported together, each with ``file:line:column``, its key path, the allowed values and the
nearest known name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelprep.errors import RecipeError
from modelprep.recipe import tables, yaml_tree
from modelprep.recipe.asset import as_written, check_asset, make_asset
from modelprep.recipe.matrix import Matrix, read_matrix
from modelprep.recipe.overlay import overlay
from modelprep.recipe.problems import BAD, Problems, flatten, one_of
from modelprep.recipe.references import Names, check_places, parse_ref, references, value_of
from modelprep.recipe.schema import Asset, Recipe, StepUse, Tolerance
from modelprep.recipe.shapes import Table
from modelprep.recipe.text import name_fault, parse_command
from modelprep.recipe.yaml_tree import Scalar, plain
from modelprep.structs import replace

#: Returns problems of steps: called for a recipe that cannot be read, so that all problems are reported together.
StepChecker = Callable[[Sequence[StepUse]], Sequence[RecipeError]]

#: Keys whose values are fields of the struct.
_AS_WRITTEN = frozenset({
    "summary", "manual", "status", "why", "tree", "board", "interactive", "runs_on", "manual_errors", "prints", "notes",
})  # fmt: skip


def load_recipe(path: Path, **options: Any) -> Recipe:
    """Read one recipe from its file: see :func:`parse_recipe`."""
    return parse_recipe(yaml_tree.read_text(path), path, **options)


def parse_recipe(
    text: str,
    path: Path,
    *,
    name: str | None = None,
    shared: Mapping[str, Asset] | None = None,
    variant: str = "",
    root: Path | None = None,
    check: StepChecker | None = None,
) -> Recipe:
    """Read a recipe from the text of its file.

    Parameters
    ----------
    path
        The YAML file, for messages and ``file:`` URLs.
    name
        ``group/stem``; by default from the file's folder and name.
    shared
        Shared assets by id, for ``use:``.
    variant
        Name of the variant to apply.
    root
        The folder of recipes of the file: its ``file:`` URLs must not lead outside. By default the file's folder.
    check
        Reports problems of steps in a recipe that has other problems; the steps of a valid recipe are checked by its
        users.

    Raises
    ------
    RecipeError
        The file has a problem (:class:`~modelprep.recipe.problems.RecipeErrors`: several).
    """
    problems = Problems(path)
    top = yaml_tree.compose(text, path, problems)
    matrix = read_matrix(top, problems)
    if variant:
        top = _with_variant(top, variant, matrix, problems)
    top = matrix.apply(top, variant, problems)
    name = name or default_name(path)
    if (fault := name_fault(name)) is not None:
        problems.add(f"the name of the recipe's file or folder is not valid: {fault}", top, got=name)
    table = tables.RECIPE.read(top, "", problems)
    shared = {} if shared is None else shared
    assets: Table | None = table.get("assets")
    steps: list[Table] = table.get("steps", [])
    names = Names(assets.node.entries if assets is not None else {}, steps, problems)
    used = {} if assets is None else _shared_assets(assets, shared, problems)
    needs = _check_steps(names, problems)
    _check_install(table, names, problems)
    for key, asset in (assets or {}).items():
        check_asset(asset, f"assets.{key}", path, root, problems)
    order = names.order(needs)
    if problems.found and check is not None:
        problems.extend(check([_step(step, path) for step in steps if "id" in step and "uses" in step]))
    problems.raise_any()
    return _recipe(table, path, name, used, [names.steps[each] for each in order], variant, matrix)


def default_name(path: Path) -> str:
    """Return the name of a recipe file from its path: ``group/stem``."""
    resolved = path.resolve()
    return f"{resolved.parent.name}/{resolved.stem}"


class SharedFile:
    """One file of shared assets, whose `text` may have been read already; an asset is checked when it is used."""

    def __init__(self, path: Path, text: str | None = None, root: Path | None = None) -> None:
        self.path = path
        self.root = root
        self._root = yaml_tree.compose(yaml_tree.read_text(path) if text is None else text, path)
        self._made: dict[str, Asset] = {}
        entries = self._root.entries.get("assets")
        self._entries = entries if isinstance(entries, yaml_tree.Mapping) else None

    def __contains__(self, asset_id: object) -> bool:
        return self._entries is not None and asset_id in self._entries.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries.entries if self._entries is not None else ())

    def __getitem__(self, asset_id: str) -> Asset:
        if asset_id not in self._made:
            if self._entries is None or asset_id not in self._entries.entries:
                raise KeyError(asset_id)
            problems, at = Problems(self.path), f"assets.{asset_id}"
            table = tables.ASSET.read(self._entries.entries[asset_id], at, problems)
            if table is not BAD:
                check_asset(table, at, self.path, self.root, problems)
            problems.raise_any()
            self._made[asset_id] = make_asset(asset_id, table, self.path, shared=asset_id)
        return self._made[asset_id]

    def where(self, asset_id: str) -> str:
        """Return the place of an asset's id."""
        key = self._entries.keys.get(asset_id) if self._entries is not None else None
        return Problems(self.path).where(key)

    def check(self) -> list[str]:
        """Check the whole file and list its ids."""
        problems = Problems(self.path)
        table = tables.ASSETS_FILE.read(self._root, "", problems)
        for asset_id, asset in table.get("assets", {}).items():
            check_asset(asset, f"assets.{asset_id}", self.path, self.root, problems)
        problems.raise_any()
        return list(self)


def _with_variant(root: yaml_tree.Mapping, variant: str, matrix: Matrix, problems: Problems) -> yaml_tree.Mapping:
    variants = root.entries.get("variants")
    known = list(variants.entries) if isinstance(variants, yaml_tree.Mapping) else []
    over = variants.entries.get(variant) if isinstance(variants, yaml_tree.Mapping) else None
    if over is None and variant in matrix.combinations:
        return root
    if not isinstance(over, yaml_tree.Mapping):
        known += [name for name in matrix.combinations if name not in known]
        problems.add(
            f"the recipe has no variant called '{variant}'",
            variants if variants is not None else root,
            expected=one_of(known) if known else "no variant: the recipe has none",
            hint=problems.near(variant, known, 1),
        )
        problems.raise_any()
        raise AssertionError("unreachable")
    return overlay(root, over)


def _shared_assets(assets: Table, shared: Mapping[str, Asset], problems: Problems) -> dict[str, Asset]:
    """Find the shared asset of each ``use:``, with the recipe's own keys applied."""
    found: dict[str, Asset] = {}
    for key, table in assets.items():
        asset_id = table.get("use")
        if asset_id is None:
            continue
        node, at = table.place("use"), f"assets.{key}.use"
        try:
            asset = shared[asset_id]
        except KeyError:
            known = [] if problems.many else list(shared)
            expected = "an id of recipes/assets/*.yaml" if known else "there are no shared assets"
            problems.add(
                f"unknown shared asset '{asset_id}'", node, at,
                expected=expected, hint=problems.near(asset_id, known),
            )  # fmt: skip
            continue
        except RecipeError as error:
            problems.extend(flatten(error))
            continue
        found[key] = replace(asset, id=key, **as_written(table, ("provide", "summary")))
    return found


def _check_steps(names: Names, problems: Problems) -> dict[str, list[str]]:
    """Check the references in all steps' parameters; return the names that each step refers to."""
    needs: dict[str, list[str]] = {}
    for index, (step_id, step) in enumerate(names.steps.items()):
        needs[step_id] = []
        parameters = step.get("with")
        at = f"steps[{index}].with"
        if parameters is None:
            continue
        if not isinstance(parameters, yaml_tree.Mapping):
            got = yaml_tree.kind_of(parameters)
            problems.add("wrong type of value", parameters, at, expected="a mapping of parameters", got=got)
            continue
        for node, where in references(parameters, at):
            ref = names.check(node, where)
            if ref is not None:
                needs[step_id].append(ref.name)
    return needs


def _check_install(table: Table, names: Names, problems: Problems) -> None:
    install: Table | None = table.get("install")
    if install is None:
        return
    for place in install:
        node = install.place(place)
        if isinstance(node, Scalar):
            names.check(node, f"install.{place}", folder=place.endswith("/"))
    check_places(install, problems)


def _recipe(
    table: Table, path: Path, name: str, used: Mapping[str, Asset], steps: list[Table], variant: str, matrix: Matrix
) -> Recipe:
    assets = {
        key: used[key] if key in used else make_asset(key, value, path, recipe=name)
        for key, value in table.get("assets", {}).items()
    }
    # As written (a whole number stays one), except for a version, which is text even without quotes.
    expect: dict[str, Any] = plain(table["expect"].node) if "expect" in table else {}
    if "armnn" in expect:
        expect["armnn"] = table["expect"]["armnn"]
    made, where = matrix.values(), Problems(path).where
    summaries = {each: f"for {', '.join(f'{name} {value}' for name, value in made[each].items())}" for each in made}
    return Recipe(
        name=name,
        demo=table["demo"],
        path=path,
        assets=assets,
        steps=tuple(_step(step, path) for step in steps),
        install={place: parse_ref(ref) for place, ref in table.get("install", {}).items()},
        run=parse_command(table["run"]) if "run" in table else None,
        expect=expect,
        variant=variant,
        variants=summaries | {key: value.get("summary", "") for key, value in table.get("variants", {}).items()},
        matrix=made,
        places={place: where(table["install"].place(place)) for place in table.get("install", ())},
        **as_written(table, _AS_WRITTEN),
    )


def _step(table: Table, path: Path) -> StepUse:
    params = value_of(table["with"]) if "with" in table else {}
    if not isinstance(params, Mapping):  # reported already
        params = {}
    given = table.get("tolerance")
    tolerance = None if given is None else Tolerance(given["relative"], given["origin"])
    where = Problems(path).where
    places = {"": where(table.node), "uses": where(table.place("uses"))}
    if isinstance(given_params := table.get("with"), yaml_tree.Mapping):
        places |= {f"with.{key}": where(node) for key, node in given_params.keys.items()}
    return StepUse(table["id"], table["uses"], params, tolerance, places)
