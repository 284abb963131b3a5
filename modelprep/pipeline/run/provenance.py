"""Provenance of installed files for the manifest: their assets and steps."""

from __future__ import annotations

from collections.abc import Mapping

from modelprep.pipeline.plan.keys import source_name
from modelprep.pipeline.plan.request import Plan, PlannedDemo
from modelprep.recipe.schema import Asset
from modelprep.store import Blob
from modelprep.tree.manifest import AssetUsed, Provenance, StepUsed, plain


def provenance(plan: Plan, demo: PlannedDemo, blobs: Mapping[str, Blob]) -> dict[str, Provenance]:
    """Return destination -> provenance for the files of a demo; `blobs` by identity of the asset.

    It names the recipe's first source, not the mirror that delivered the file, so that the same recipes make the same
    manifest everywhere. The run's report names the server.
    """
    by_identity = {identity: name for name, identity in demo.names.items()}
    return {path: _of(plan, demo, by_identity, identity, blobs) for path, (identity, _) in demo.files.items()}


def _of(plan: Plan, demo: PlannedDemo, names: Mapping[str, str], top: str, blobs: Mapping[str, Blob]) -> Provenance:
    assets: dict[str, AssetUsed] = {}
    steps: dict[str, StepUsed] = {}

    def visit(identity: str) -> None:
        if identity in steps or identity in assets:
            return
        step = plan.steps.get(identity)
        if step is None:
            assets[identity] = _asset(plan, demo.recipe.assets[names[identity]], identity, blobs)
            return
        for below, _ in step.inputs.values():
            visit(below)
        # The names in the parameters are this recipe's, even if an equal step of another recipe was run.
        use = next(use for use in demo.recipe.steps if use.id == names[identity])
        parameters = {**step.bound.plain, **use.params}
        steps[identity] = StepUsed(
            step=step.bound.step.name,
            version=step.bound.step.version,
            parameters={name: plain(parameters[name]) for name in sorted(parameters)},
        )

    visit(top)
    return Provenance(tuple(assets.values()), tuple(steps.values()))


def _asset(plan: Plan, asset: Asset, identity: str, blobs: Mapping[str, Blob]) -> AssetUsed:
    planned = plan.assets[identity]
    blob = blobs.get(identity)
    own = planned.override is not None
    licence = None if own else asset.licence
    return AssetUsed(
        name=asset.key,
        source="--set" if own else source_name(asset.sources[0]) if asset.sources else "",
        sha256=blob.sha256 if blob is not None else planned.sha256 or "",
        size=blob.size if blob is not None else asset.size or 0,
        licence=licence.name if licence else "",
        licence_source=licence.source if licence else "",
        pinned_by="" if own else asset.pinned_by,
        restricted=asset.restricted and not own,
        warning=f"accepted although it is {planned.doubt}" if planned.doubt else "",
    )
