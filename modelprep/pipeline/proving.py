"""Which conversions made a demo's models, as far as the store still holds both ends of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelprep.check.proof import TOLERANCE, Conversion
from modelprep.pipeline.planning import output_of
from modelprep.pipeline.request import Plan, PlannedDemo, PlannedStep
from modelprep.recipe.schema import Recipe
from modelprep.store import Blob


def conversions(plan: Plan, demo: PlannedDemo) -> Iterator[Conversion]:
    """List the steps of a demo that turn one model into another and whose files are at hand.

    Parameters
    ----------
    plan, demo
        As planned; nothing is fetched or run.
    """
    from modelprep.check.sides import MAKERS

    tolerance, shape = _wanted(demo.recipe)
    mine = set(demo.names.values())
    for identity, step in plan.steps.items():
        if identity not in mine or step.bound.step.name not in MAKERS or step.result is None:
            continue
        digests = _digests(plan, step)
        output = plan.store.get(step.result.outputs.get("", "")) if "" in step.result.outputs else None
        if digests is None or output is None:
            continue
        params = step.bound.params({slot: plan.store.blob_path(sha256) for slot, sha256 in digests.items()})
        yield Conversion(
            step.bound.step.name, step.bound.step.version, params, digests, output.path, output.sha256, tolerance, shape
        )


def _wanted(recipe: Recipe) -> tuple[float, tuple[int, ...]]:
    expect: Mapping[str, Any] = recipe.expect
    tolerance, given = expect.get("tolerance"), expect.get("input")
    relative = tolerance.get("relative") if isinstance(tolerance, Mapping) else None
    shape = given.get("shape") if isinstance(given, Mapping) else None
    return float(relative or TOLERANCE), tuple(int(size) for size in shape or ())


def _digests(plan: Plan, step: PlannedStep) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for slot, (identity, inner) in step.inputs.items():
        blob = _blob(plan, identity, inner)
        if blob is None:
            return None
        found[slot] = blob.sha256
    return found


def installed_blob(plan: Plan, demo: PlannedDemo, path: str) -> Blob | None:
    """Give what a demo's recipe puts at a path of its tree, when the store holds it; nothing is fetched or made."""
    return _blob(plan, *demo.files[path]) if path in demo.files else None


def _blob(plan: Plan, identity: str, inner: str) -> Blob | None:
    """Give the blob of an asset, or of a file that a step made, when the store holds it."""
    if identity in plan.steps:
        step = plan.steps[identity]
        sha256 = None if step.result is None else output_of(step, step.result, inner)
    else:
        asset = plan.assets[identity]
        here = asset.fetch.here if asset.fetch is not None else None
        sha256 = asset.sha256 or (here.sha256 if here is not None else None)
    return None if sha256 is None else plan.store.get(sha256)
