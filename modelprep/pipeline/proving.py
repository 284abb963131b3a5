"""The conversions of a demo's models whose input and output are still in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelprep import quoting
from modelprep.check.proof.types import Conversion
from modelprep.pipeline.plan.planner import output_of
from modelprep.pipeline.plan.request import Plan, PlannedDemo, PlannedStep
from modelprep.recipe.schema import Recipe
from modelprep.steps import Compared, Exempt
from modelprep.store import Blob


def conversions(plan: Plan, demo: PlannedDemo) -> Iterator[Conversion]:
    """List the steps of a demo that convert models, with their results if known; nothing is fetched or run."""
    uses = {demo.names[use.id]: use for use in demo.recipe.steps if use.id in demo.names}
    for identity, use in uses.items():
        step = plan.steps.get(identity)
        if step is None or step.result is None:
            continue
        proof = step.bound.step.proof
        if isinstance(proof, Exempt) and not isinstance(proof, Compared) and "told" not in step.result.facts:
            continue
        digests = _digests(plan, step)
        if digests is None or "" not in step.result.outputs:
            continue
        made = step.result.outputs[""]
        gone = [sha256 for sha256 in (*digests.values(), made) if plan.store.get(sha256) is None]
        tolerance = use.tolerance
        yield Conversion(
            step.bound.step.name,
            step.bound.step.version,
            step.bound.params({slot: plan.store.blob_path(sha256) for slot, sha256 in digests.items()}),
            digests,
            plan.store.blob_path(made),
            made,
            None if tolerance is None else tolerance.relative,
            "" if tolerance is None else tolerance.origin,
            _shape(demo.recipe),
            f"its inputs are no longer cached (modelprep fetch {quoting.sh(demo.recipe.name)})" if gone else "",
            step.result.facts,
        )


def _shape(recipe: Recipe) -> tuple[int, ...]:
    given = recipe.expect.get("input")
    shape = given.get("shape") if isinstance(given, Mapping) else None
    return tuple(int(size) for size in shape or ())


def _digests(plan: Plan, step: PlannedStep) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for slot, (identity, inner) in step.inputs.items():
        sha256 = _sha256(plan, identity, inner)
        if sha256 is None:
            return None
        found[slot] = sha256
    return found


def installed_blob(plan: Plan, demo: PlannedDemo, path: str) -> Blob | None:
    """Return the blob that a demo's recipe installs at a path, if it is in the store; nothing is fetched or made."""
    sha256 = _sha256(plan, *demo.files[path]) if path in demo.files else None
    return None if sha256 is None else plan.store.get(sha256)


def _sha256(plan: Plan, identity: str, inner: str) -> str | None:
    """Return the digest of an asset, or of a step's file, if known."""
    if identity in plan.steps:
        step = plan.steps[identity]
        return None if step.result is None else output_of(step, step.result, inner)
    asset = plan.assets[identity]
    here = asset.fetch.here if asset.fetch is not None else None
    return asset.sha256 or (here.sha256 if here is not None else None)
