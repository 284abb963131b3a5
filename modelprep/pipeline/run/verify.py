"""Verify the results of conversions: the file before it is stored, the numbers before it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelprep.events import Event, Listener
from modelprep.pipeline.plan.planner import plan_recipes
from modelprep.pipeline.plan.request import Plan, PlannedDemo
from modelprep.steps import Proven, Step
from modelprep.structs import replace


def structure(step: Step, params: Mapping[str, object], output: Path) -> None:
    """Check a step's output with the format's own checker, if one is installed."""
    if isinstance(step.proof, Proven):
        from modelprep.check.proof.types import Conversion
        from modelprep.check.proof.verify import checked

        checked(Conversion(step.name, step.version, params, {}, output, ""))


def numbers(plan: Plan, demo: PlannedDemo, listen: Listener) -> None:
    """Compare original and result of every conversion that made a demo's files; raise `StepError` if they differ.

    With ``--verify`` they are run; else earlier measurements are read from the store.
    """
    steps = (plan.steps.get(identity) for identity in demo.names.values())
    if not any(step is not None and isinstance(step.bound.step.proof, Proven) for step in steps):
        return
    from modelprep.check.proof.verify import demand_same, proof_of
    from modelprep.pipeline.proving import conversions

    # Everything fetched and made in this run is in the store.
    recipe = demo.recipe
    names = {name for each in recipe.assets.values() for name in (each.id, each.key, f"{recipe.name}:{each.id}")}
    own = {name: path for name, path in plan.request.overrides.items() if name in names}
    now = plan_recipes(replace(plan.request, offline=True, overrides=own), [recipe], plan.store)
    for conversion in conversions(now, now.demos[0]):
        task, label = f"prove:{demo.recipe.name}#{conversion.step}", f"{demo.recipe.demo}: proof of {conversion.step}"
        if plan.request.verify:
            listen(Event("start", task=task, label=label))
        proof = proof_of(conversion, plan.store.root, run=plan.request.verify)
        if proof is not None and plan.request.verify:
            listen(Event("done", task=task, label=label, data={"outcome": proof.outcome}))
            listen(Event("note", task=task, label=label, text=str(proof)))
        demand_same(proof)
