"""Check demos: verdicts, verification of conversions, comparison with another variant."""

from __future__ import annotations

from collections.abc import Sequence
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
from modelprep.structs import replace


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
    """Predict whether the test of each demo passes, and verify the conversions of its files: :func:`modelprep.check`.

    The store is only read, except for new verifications.
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
    """Try every picture of a folder with a test, as its tree was prepared: see :func:`modelprep.find_pictures`."""
    return search([one.recipe for one in as_prepared(recipes, catalogue, out, armnn)], out, folder)


def _noted(one: Checked, note: str) -> Checked:
    if not note or one.verdict is None:
        return one
    return replace(one, verdict=replace(one.verdict, warnings=(note, *one.verdict.warnings)))


def _prove(checked: Sequence[Checked], out: Path, cache: Path | None, listen: Listener) -> list[Checked]:
    """Add the verification of conversions to each demo, for the files that it installs."""
    plan = plan_recipes(Request(targets=(), out=out, cache=cache, offline=True), [one.recipe for one in checked])

    def told(one: Checked, conversion: Conversion) -> Proof:
        # A large network takes a while: original and result are run.
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
    """Add to each demo a comparison of its model with another variant's on the same inputs."""
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
                name = recipe.target
                folder = str(out) if recipe is one.recipe else f"out-{variant}"
                raise UsageError(
                    f"the model of {name} is not cached, so there is nothing to compare",
                    hint=quoting.command("modelprep", "fetch", name, "--out", folder),
                )
            blobs.append(blob.path)
        compared.append(replace(one, proofs=(*one.proofs, compare(one.verdict.test, blobs[0], blobs[1], variant))))
    if all(variant not in one.recipe.variants for one in checked):
        known = sorted({name for one in checked for name in one.recipe.variants})
        raise UsageError(f"none of these demos has a variant '{variant}'", expected=", ".join(known) or "no variants")
    return compared
