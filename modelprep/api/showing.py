"""The verbs that show one recipe, and one release of a board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelprep.api.declaring import Unpack, verb
from modelprep.api.frame import framed, verb_of
from modelprep.api.options import ShowOptions
from modelprep.errors import UsageError
from modelprep.structs import facts

if TYPE_CHECKING:
    from modelprep.pipeline.plan.request import Plan, PlannedDemo
    from modelprep.recipe.schema import Asset, StepUse
    from modelprep.steps import Step
    from modelprep.targets.bsp import Bsp


@verb(ShowOptions)
def show(target: str, **options: Unpack[ShowOptions]) -> dict[str, Any]:
    """Return everything about one recipe and its state on this machine, JSON-ready. The command ``show``.

    Parameters
    ----------
    target
        A recipe, a demo's own name or a path to a recipe file.

    Raises
    ------
    UsageError
        The recipe is unknown, or the name is ambiguous.
    RecipeError
        The recipe is broken.
    """
    with verb_of(ShowOptions, options) as (given, _):
        from modelprep.api.fetching import catalogue_of, decide

        known = catalogue_of(given)
        planned = decide(target, given, known)
        if len(planned.demos) > 1:
            names = ", ".join(demo.recipe.name for demo in planned.demos)
            raise UsageError(f"'{target}' is more than one recipe", hint=f"one of {names}")
        described = _describe(planned, planned.demos[0])
        layers = known.layers(planned.demos[0].recipe.name)
        described["layers"] = [
            {"folder": str(each.folder), "origin": each.origin, "path": str(each.path or "")} for each in layers
        ]
        return described


def releases() -> tuple[str, tuple[Bsp, ...]]:
    """Return the default i.MX Linux release, and all known ones. The command ``bsp list``."""
    with framed():
        from modelprep.targets import bsp

        return bsp.DEFAULT, tuple(bsp.load(name) for name in bsp.names())


def release(name: str) -> Bsp:
    """Return an i.MX Linux release: versions, folders on the board, files of the image. The command ``bsp show``.

    Raises UsageError: the release is unknown.
    """
    with framed():
        from modelprep.targets import bsp

        return bsp.load(name)


def vela_of(release: Bsp) -> str:
    """Return the shell command that installs the Vela of a release where ``tflite.vela`` looks for it.

    Empty where it is there already, or the release has none.
    """
    with framed():
        from modelprep.steps.tflite_vela import VELA

        vela = VELA.of_version(release.vela)
        return "" if not release.vela or vela.environment.is_dir() else vela.to_install()


def list_steps() -> tuple[Step, ...]:
    """Return the steps that a recipe can use, those of plug-ins too. The command ``steps``."""
    with framed():
        from modelprep import steps

        return tuple(steps.find(name) for name in steps.names())


def show_step(name: str) -> Step:
    """Return a step by its name. The command ``steps NAME``. Raises UsageError: the step is unknown."""
    with framed():
        from modelprep import steps
        from modelprep.errors import RecipeError

        try:
            return steps.find(name)
        except RecipeError as error:
            raise UsageError(error.what, hint=error.hint) from None


def step_json(step: Step) -> dict[str, object]:
    """Return a step JSON-ready."""
    from modelprep.pipeline.plan.step_schema import describe

    return describe(step)


def _describe(plan: Plan, demo: PlannedDemo) -> dict[str, Any]:
    """Return everything about a recipe and its state on this machine, JSON-ready."""
    from modelprep.tree.manifest import plain

    recipe = demo.recipe
    return {
        "recipe": recipe.name,
        **facts(recipe, "variant", "demo", "summary", "manual", "status", "why", "board", "absent"),
        "state": demo.state,
        "path": str(recipe.path),
        "shadows": str(recipe.shadows or ""),
        "variants": dict(recipe.variants),
        "tree": str(demo.folder),
        "on_image": dict(recipe.on_image),
        "run": str(recipe.run or ""),
        "key": demo.key,
        "assets": [_asset(plan, demo, asset) for asset in recipe.assets.values()],
        "steps": [
            {"id": use.id, "uses": use.uses, "with": plain(use.params), "proof": _proof(use)} for use in recipe.steps
        ],
        "install": {place: str(ref) for place, ref in recipe.install.items()},
        "expect": plain(recipe.expect),
        "answers": _answers(recipe.expect),
        **{name: list(texts) for name, texts in facts(recipe, "prints", "manual_errors", "notes").items()},
        **({"problem": demo.problem.to_json()} if demo.problem is not None else {}),
    }


def _proof(use: StepUse) -> dict[str, object] | None:
    """Return the tolerance of the step's verification by `check`, or why there is none; None for an unknown step."""
    from modelprep import steps
    from modelprep.errors import MissingTool, RecipeError

    try:
        proof = steps.find(use.uses).proof
    except (RecipeError, MissingTool):
        return None
    if isinstance(proof, steps.Exempt):
        return {"needed": False, "reason": proof.reason}
    own = use.tolerance is None
    return {
        "needed": True,
        "tolerance": proof.tolerance if use.tolerance is None else use.tolerance.relative,
        "origin": proof.origin if use.tolerance is None else use.tolerance.origin,
        "from": "step" if own else "recipe",
    }


def _asset(plan: Plan, demo: PlannedDemo, asset: Asset) -> dict[str, object]:
    from modelprep.recipe.licences import classes_of

    planned = plan.assets.get(demo.names.get(asset.id, ""))
    sha256 = planned.sha256 if planned is not None else None
    pin = plan.pins.get(asset.key)
    licence = asset.licence
    return {
        **facts(asset, "id", "key", "summary", "filename", "size", "pin", "pinned_by", "provide", "restricted"),
        "digests": dict(asset.digests.values),
        "members": {path: dict(digests.values) for path, digests in asset.members.items()},
        "locked": facts(pin, "sha256", "size", "first_seen_from") if pin else None,
        "licence": licence.name if licence else "",
        "licence_classes": list(classes_of(asset)),
        "licence_source": licence.source if licence else "",
        "here": sha256 is not None and plan.store.get(sha256) is not None,
        "sources": [{"url": str(s.url), "member": s.member or "", "note": s.note} for s in asset.sources],
        "notes": list(asset.notes),
    }


def _answers(expect: Mapping[str, object]) -> list[str]:
    """Return the expected class of each picture or record, with its name if the list is known."""
    from modelprep.targets.class_names import label

    labels, names = expect.get("labels"), str(expect.get("names", ""))
    if not isinstance(labels, Mapping):
        return []
    found = []
    for place, number in labels.items():
        what = f"record {place}" if isinstance(place, int) or str(place).isdigit() else str(place)
        told = label(names, number) if names and isinstance(number, int) else ""
        # Without a name the label is the bare number.
        found.append(f"{what}: {told if told not in ('', str(number)) else f'class {number}'}")
    return found
