"""``modelprep recipe``: write and check recipes (new, lint, schema, pin)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from modelprep.api import text
from modelprep.api.authoring import lint_recipes, new_recipe, pin_recipe, recipe_schema
from modelprep.api.options import PinOptions, Recipes, UpdateOptions
from modelprep.api.updating import update_recipes
from modelprep.cli import common
from modelprep.cli.output import Output
from modelprep.errors import RecipeError

app = common.group("Write and check recipes: new, lint, schema, pin, update.")


@app.command()
@common.command("modelprep recipe lint", "modelprep recipe lint my-recipes")
def lint(
    output: Output,
    paths: Annotated[
        list[Path] | None,
        common.Argument("[PATH]...", "Recipe files, asset files or folders; all known recipes if left out."),
    ] = None,
    **options: common.Unpack[Recipes],
) -> int:
    """Check recipes and shared assets: every problem with its file, line and column."""
    linted = lint_recipes(paths or (), **options)
    # With --json the object at the end contains everything.
    for each in linted if output.mode != "json" else ():
        for error in each.errors:
            output.error(error)
        for warning in each.warnings:
            output.warning(warning)
    bad = sum(1 for each in linted if each.errors)
    files = "1 file" if len(linted) == 1 else f"{len(linted)} files"
    output.line(f"{files} checked, {bad or 'none'} with problems")
    output.result({"files": [each.to_json() for each in linted]})
    return RecipeError.exit_code if bad else 0


@app.command()
@common.command("modelprep recipe schema > recipe.schema.json")
def schema(
    output: Output,
    assets: Annotated[bool, common.option("--assets", "Print the schema of recipes/assets/*.yaml instead.")] = False,
) -> None:
    """Print the JSON Schema of recipes, for editors."""
    output.mode = "json"
    output.result(recipe_schema(assets=assets))


@app.command()
@common.command("modelprep recipe new mine/logo --in my-recipes")
def new(
    output: Output,
    name: Annotated[str, common.Argument("NAME", "GROUP/NAME or NAME; letters, digits, dots, dashes.")],
    folder: Annotated[Path, common.option("--in", "Folder of recipes to write into.", "DIR")] = Path(),
) -> None:
    """Write a commented recipe that is valid without changes, GROUP/NAME.yaml, and its JSON Schema for your editor."""
    path, schema_path = new_recipe(name, folder)
    lint = text.command("modelprep", "recipe", "lint", text.operand(str(path)))
    output.line(f"{path} written; `{lint}` checks it")
    if schema_path is None:
        output.warning(
            f"the schema was not written: another file of that name exists beside {path}; "
            "`modelprep recipe schema` prints it"
        )
    output.result({"path": str(path), "schema": str(schema_path) if schema_path is not None else None})


@app.command()
@common.command("modelprep recipe pin mine/logo --recipes my-recipes")
def pin(output: Output, target: common.Target, **options: common.Unpack[PinOptions]) -> None:
    """Move first-use pins from the lock file into the recipe (or the shared assets) that declare them."""
    pinned = pin_recipe(target, **options)
    for path, ids in pinned.items():
        output.line(f"{path}: pinned {', '.join(ids)}")
    output.result({"pinned": {str(path): ids for path, ids in pinned.items()}})


@app.command()
@common.command("modelprep recipe update", "modelprep recipe update --to v1.3 --dry-run")
def update(output: Output, dry_run: common.DryRun = False, **options: common.Unpack[UpdateOptions]) -> None:
    """Show what changed in downloaded recipes (demos, sources, checksums), then pin the new version."""
    updates = update_recipes(dry_run=dry_run, listen=output.listener(), **options)
    output.close()
    for each in updates:
        output.value(each.named)
        output.line(f"  from  {each.old_url or 'nothing'}  {each.old_sha256}".rstrip())
        output.line(f"  to    {each.url}  {each.sha256}")
        for name in each.added:
            output.line(f"  added    {name}")
        for name in each.removed:
            output.line(f"  removed  {name}")
        for name, lines in each.changed.items():
            output.line(f"  changed  {name}")
            for line in lines:
                output.line(f"           {line}")
        if not (each.added or each.removed or each.changed):
            output.line("  no recipe changed")
        if not each.moved:
            output.line("  already up to date")
        elif dry_run:
            output.line("  not pinned (--dry-run)")
    output.result({"updates": [{**asdict(each), "moved": each.moved, "dry_run": dry_run} for each in updates]})
