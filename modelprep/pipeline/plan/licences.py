"""Refuse demos with files of denied licence classes: ``--deny-licence-class``."""

from __future__ import annotations

from modelprep.errors import CheckFailed
from modelprep.pipeline.plan.request import Plan, PlannedDemo
from modelprep.recipe.licences import classes_of
from modelprep.structs import replace


def refuse_denied(plan: Plan) -> Plan:
    """Return the plan with a problem for every demo that has a file of a denied class; nothing of it is fetched.

    A file that the user supplies (``--set``) has no known class and is never denied.
    """
    if not plan.request.deny_licence_class:
        return plan
    return replace(plan, demos=tuple(_judged(plan, demo) for demo in plan.demos))


def _judged(plan: Plan, demo: PlannedDemo) -> PlannedDemo:
    denied, found = [], set()
    for asset in demo.recipe.assets.values():
        planned = plan.assets.get(demo.names.get(asset.id, ""))
        if planned is None or planned.override is not None:
            continue
        classes = [each for each in classes_of(asset) if each in plan.request.deny_licence_class]
        if classes:
            found.update(classes)
            stated = asset.licence.name if asset.licence else "no licence stated"
            denied.append(f"{asset.key}: {' and '.join(classes)} ({stated})")
    if not denied or demo.problem is not None:
        return demo
    return replace(
        demo,
        needs=frozenset(),
        problem=CheckFailed(
            f"{demo.recipe.demo} has files of a denied licence class: {', '.join(sorted(found))}",
            where=demo.recipe.name,
            got="; ".join(denied),
            hint="use your own file with --set NAME=PATH, or leave out --deny-licence-class",
        ),
    )
