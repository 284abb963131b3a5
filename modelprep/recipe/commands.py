"""The commands that messages name, as the user would type them about a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from modelprep import quoting
from modelprep.recipe.schema import Recipe


def fetch_command(recipe: Recipe, out: Path | None = None, given: Mapping[str, Path] | None = None) -> str:
    """Return the command that makes a demo's files, with the user's files by asset, or ``FILE`` for one to supply."""
    files = {key: str(path) for key, path in (given or {}).items()}
    brought = {key: "FILE" for key, asset in recipe.assets.items() if not asset.sources}
    target, options = typed(recipe)
    for key, value in {**brought, **files}.items():
        options += ["--set", f"{key}={value}"]
    return quoting.command("modelprep", "fetch", target, *options, *(["--out", str(out)] if out is not None else []))


def fetch_commands(recipes: Iterable[Recipe], out: Path) -> list[str]:
    """Return the commands that fetch demos: one for each board, one for each demo that needs a file from the user."""
    together: dict[tuple[str, ...], list[str]] = {}
    brought = []
    for recipe in recipes:
        if any(not asset.sources for asset in recipe.assets.values()):
            brought.append(fetch_command(recipe, out))
        else:
            target, options = typed(recipe)
            together.setdefault(tuple(options), []).append(target)
    return [
        quoting.command("modelprep", "fetch", *targets, *options, "--out", str(out))
        for options, targets in together.items()
    ] + brought


def typed(recipe: Recipe) -> tuple[str, list[str]]:
    """Return how a command names a recipe as it is here: the target, and options for the board."""
    by_version = recipe.variant.startswith("armnn-")
    target = recipe.given or recipe.name
    options: list[str] = []
    if recipe.variant and not by_version and recipe.variant != recipe.soc:
        target += f"@{recipe.variant}"
    if recipe.bsp:
        options += ["--bsp", recipe.bsp]
    elif by_version:
        options += ["--armnn", recipe.variant.removeprefix("armnn-")]
    if recipe.soc:
        options += ["--soc", recipe.soc]
    return target, options
