"""Checking demos with all that is known of how their files were made: verdicts, proofs, another variant's answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from modelprep import quoting
from modelprep.check.demos import Checked, check
from modelprep.check.picture_search import PictureSearch, search
from modelprep.check.proof.prove import prove
from modelprep.check.proof.types import Conversion, Proof
from modelprep.errors import UsageError
from modelprep.events import Event, Listener, silent
from modelprep.pipeline.plan.planner import plan_recipes
from modelprep.pipeline.plan.request import Request
from modelprep.pipeline.prepared import as_prepared
from modelprep.pipeline.proving import conversions, installed_blob
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.schema import Recipe
from modelprep.store.disk import require_folder


def check_demos(
    recipes: Sequence[Recipe],
    catalogue: Catalogue,
    *,
    out: Path,
    cache: Path | None = None,
    armnn: str | None = None,
    iterations: int = 0,
    lint_only: bool = False,
    against: str | None = None,
    listen: Listener = silent,
) -> list[Checked]:
    """Say of each demo whether its test will pass, and what is proven of the conversions that made its files.

    Parameters
    ----------
    recipes
        The demos.
    catalogue
        Where other variants of them are looked up.
    out, cache
        Folder of the finished trees; the store, which is read and, but for new proofs, left as it is.
    armnn
        Arm NN version to judge by; when left out, the one that the tree was prepared for, else the recipe's own.
    iterations
        As ``-i N`` on the board.
    lint_only
        Look at the models; run nothing and prove nothing.
    against
        A variant whose models are to answer the same.

    Raises
    ------
    UsageError
        Nothing has that variant, or the store has not both models.
    """
    require_folder(out, "--out")
    prepared = as_prepared(recipes, catalogue, out, armnn)
    found = check([one.recipe for one in prepared], out, iterations=iterations, run=not lint_only, listen=listen)
    checked = [_noted(one, how.note) for one, how in zip(found, prepared, strict=True)]
    if not lint_only:
        checked = _prove(checked, out, cache, listen)
    return checked if against is None else _compare(checked, against, out, cache, catalogue)


def search_pictures(
    recipes: Sequence[Recipe], catalogue: Catalogue, *, out: Path, folder: Path, armnn: str | None = None
) -> PictureSearch:
    """Try every picture of a folder on a test, in the form in which its tree was prepared.

    Parameters
    ----------
    recipes, catalogue, out, armnn
        As for :func:`check_demos`.
    folder
        Where the pictures are.

    Raises
    ------
    UsageError
        Not exactly one picture test, or no such folder.
    CheckFailed, MissingTool
        The model cannot be run here.
    """
    return search([one.recipe for one in as_prepared(recipes, catalogue, out, armnn)], out, folder)


def _noted(one: Checked, note: str) -> Checked:
    if not note or one.verdict is None:
        return one
    return replace(one, verdict=replace(one.verdict, warnings=(note, *one.verdict.warnings)))


def _prove(checked: Sequence[Checked], out: Path, cache: Path | None, listen: Listener) -> list[Checked]:
    """Add to each demo what is proven of the conversions that made its files; those of other files are left alone."""
    plan = plan_recipes(Request(targets=(), out=out, cache=cache, offline=True), [one.recipe for one in checked])

    def told(one: Checked, conversion: Conversion) -> Proof:
        # A large network takes a while: both of its forms are run.
        task, label = f"prove:{one.recipe.name}#{conversion.step}", f"{one.recipe.demo}: proof of {conversion.step}"
        listen(Event("start", task=task, label=label))
        proof = prove(conversion, plan.store)
        listen(Event("done", task=task, label=label, data={"outcome": proof.outcome}))
        return proof

    return [
        replace(one, proofs=tuple(told(one, conversion) for conversion in conversions(plan, demo)))
        for one, demo in zip(checked, plan.demos, strict=True)
    ]


def _compare(
    checked: Sequence[Checked], variant: str, out: Path, cache: Path | None, catalogue: Catalogue
) -> list[Checked]:
    """Add to each demo how its model and another variant's answer on the same inputs."""
    from modelprep.check.compare import compare

    compared = []
    for one in checked:
        if one.verdict is None or variant not in one.recipe.variants:
            compared.append(one)
            continue
        (other,) = catalogue.resolve([f"{one.recipe.name}@{variant}"])
        request = Request(targets=(), out=out, cache=cache, offline=True)
        path = f"models/{one.verdict.test.model}"
        blobs = []
        for recipe in (one.recipe, other):
            plan = plan_recipes(request, [recipe])
            blob = installed_blob(plan, plan.demos[0], path)
            if blob is None:
                name = f"{recipe.name}@{recipe.variant}" if recipe.variant else recipe.name
                folder = str(out) if recipe is one.recipe else f"out-{variant}"
                raise UsageError(
                    f"the model of {name} is not in the store, so there is nothing to compare",
                    hint=quoting.command("modelprep", "fetch", name, "--out", folder),
                )
            blobs.append(blob.path)
        compared.append(replace(one, proofs=(*one.proofs, compare(one.verdict.test, blobs[0], blobs[1], variant))))
    if all(variant not in one.recipe.variants for one in checked):
        known = sorted({name for one in checked for name in one.recipe.variants})
        raise UsageError(f"none of these demos has a variant '{variant}'", expected=", ".join(known) or "no variants")
    return compared
