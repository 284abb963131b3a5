"""``modelprep show``: one recipe, all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelprep.cli import common
from modelprep.cli.output import Output, size_text
from modelprep.errors import UsageError

if TYPE_CHECKING:
    from modelprep.pipeline.plan.request import Plan, PlannedDemo
    from modelprep.recipe.schema import Asset, StepUse


def command(
    target: common.Target,
    out: common.Out = common.DEFAULT_OUT,
    cache: common.Cache = None,
    lockfile: common.LockFile = None,
    armnn: common.Armnn = None,
    bsp: common.BspRelease = None,
    soc: common.Soc = None,
    recipes: common.Recipes = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Show one recipe: the command for the board and its answer, what the manual gets wrong, files, sources, steps."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.pipeline.plan.planner import plan
        from modelprep.pipeline.plan.request import Request

        request = Request(targets=(target,), out=out, cache=cache, lockfile=lockfile, armnn=armnn, bsp=bsp, soc=soc)
        planned = plan(request, common.catalogue(recipes))
        if len(planned.demos) > 1:
            names = ", ".join(demo.recipe.name for demo in planned.demos)
            raise UsageError(f"'{target}' is more than one recipe", hint=f"one of {names}")
        facts = describe(planned, planned.demos[0])
        output.result(facts)
        output.value(planned.demos[0].recipe.name) if output.mode == "quiet" else _print(output, facts)


def describe(plan: Plan, demo: PlannedDemo) -> dict[str, Any]:
    """Give everything that a recipe says and what is here of it, JSON-ready."""
    from modelprep.tree.manifest import plain

    recipe = demo.recipe
    return {
        "recipe": recipe.name,
        "variant": recipe.variant,
        "demo": recipe.demo,
        "summary": recipe.summary,
        "manual": recipe.manual,
        "status": recipe.status,
        "why": recipe.why,
        "state": demo.state,
        "path": str(recipe.path),
        "shadows": str(recipe.shadows) if recipe.shadows else "",
        "variants": dict(recipe.variants),
        "tree": str(demo.folder),
        "board": recipe.board,
        "absent": recipe.absent,
        "on_image": dict(recipe.on_image),
        "run": str(recipe.run or ""),
        "key": demo.key,
        "assets": [_asset(plan, demo, asset) for asset in recipe.assets.values()],
        "steps": [
            {"id": use.id, "uses": use.uses, "with": plain(use.params), "proof": _proof(use)} for use in recipe.steps
        ],
        "install": {place: str(ref) for place, ref in recipe.install.items()},
        "expect": plain(recipe.expect),
        "prints": list(recipe.prints),
        "answers": _answers(recipe.expect),
        "manual_errors": list(recipe.manual_errors),
        "notes": list(recipe.notes),
        **({"problem": demo.problem.to_json()} if demo.problem is not None else {}),
    }


def _proof(use: StepUse) -> dict[str, object] | None:
    """Say what the step's result is held to when `check` runs it, or why it is not; None for a step that is unknown."""
    from modelprep import steps
    from modelprep.errors import RecipeError

    try:
        proof = steps.find(use.uses).proof
    except RecipeError:
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
    return {
        "id": asset.id,
        "key": asset.key,
        "summary": asset.summary,
        "filename": asset.filename,
        "size": asset.size,
        "digests": dict(asset.digests.values),
        "members": {path: dict(digests.values) for path, digests in asset.members.items()},
        "pin": asset.pin,
        "pinned_by": asset.pinned_by,
        "locked": {"sha256": pin.sha256, "size": pin.size, "first_seen_from": pin.first_seen_from} if pin else None,
        "licence": asset.licence.name if asset.licence else "",
        "licence_classes": list(classes_of(asset)),
        "licence_source": asset.licence.source if asset.licence else "",
        "provide": asset.provide,
        "restricted": asset.restricted,
        "here": sha256 is not None and plan.store.get(sha256) is not None,
        "sources": [{"url": str(s.url), "member": s.member or "", "note": s.note} for s in asset.sources],
        "notes": list(asset.notes),
    }


def _print(output: Output, facts: dict[str, Any]) -> None:
    """Print what is asked first, first: the command, the answer, what the manual gets wrong; then how it is made."""
    variant = f"@{facts['variant']}" if facts["variant"] else ""
    output.line(output.style(f"{facts['demo']}  ({facts['recipe']}{variant})", "bold"))
    manual = f"section {facts['manual']}" if facts["manual"] else ""
    board = facts["board"] or ("the ssh user's home directory" if facts["run"] else "")
    for label, text in (
        ("summary", facts["summary"]),
        ("manual", manual),
        ("status", facts["status"]),
        ("why", facts["why"]),
        ("state", facts["state"]),
        ("path", facts["path"]),
        ("shadows", facts["shadows"]),
        ("tree", facts["tree"] if facts["install"] else ""),
        ("board", board),
        ("absent", facts["absent"]),
    ):
        if text:
            _wrapped(output, f"  {label + ':':<10} ", text)
    for number, (name, text) in enumerate(facts["variants"].items()):
        _wrapped(output, f"  {'' if number else 'variants:':<10} @{name}: ", text)
    if facts["run"]:
        _section(output, "on the board", [])
        output.typed(facts["run"])
    _section(output, "expected output", [*facts["prints"], *facts["answers"]])
    _section(output, "what the manual gets wrong", facts["manual_errors"], "- ")
    _section(output, "notes", facts["notes"], "- ")
    _section(output, "check settings", [f"{name}: {_plain(value)}" for name, value in facts["expect"].items()])
    if facts["install"]:
        _section(output, "files", [])
        output.table("", ["", "", ""], [(f"  {place}", "<-", ref) for place, ref in facts["install"].items()])
    _section(output, "on the image already (--image-files prepares them too)", list(facts["on_image"].values()))
    if facts["assets"]:
        _section(output, "assets", [])
    for asset in facts["assets"]:
        _print_asset(output, asset)
    steps: list[str] = []
    for step in facts["steps"]:
        steps.append(f"{step['id']} = {step['uses']}({_plain(step['with'])[1:-1]})")
        proof = step["proof"]
        if proof and proof["needed"]:
            steps.append(f"  proven to {proof['tolerance']:.2g} of the largest value ({proof['origin']})")
    _section(output, "steps", steps)
    if "problem" in facts:
        output.line()
        output.line(f"{output.style('cannot be prepared now:', 'yellow')} {facts['problem']['what']}")
        if hint := facts["problem"].get("hint"):
            output.line(f"  next: {hint}")


def _section(output: Output, title: str, texts: Sequence[str], mark: str = "") -> None:
    if texts or title in ("on the board", "files", "assets"):
        output.line()
        output.line(output.style(title, "bold"))
    for text in texts:
        _wrapped(output, f"  {mark}", text)


def _wrapped(output: Output, start: str, text: str) -> None:
    """Print prose folded to the terminal, its later lines below the first one's text."""
    indent = len(text) - len(text.lstrip())
    # Without a mark it may be compared with what is printed elsewhere.
    write = output.fact if start == "  " else output.prose
    write(text.lstrip(), start + " " * indent, " " * (min(len(start), 13) + indent + (0 if len(start) > 2 else 2)))


def _plain(value: object) -> str:
    """Write a value as a recipe would: ``{name: data, shape: [1, 3]}``."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_plain(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_plain, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)


def _answers(expect: Mapping[str, object]) -> list[str]:
    """Say which class each picture or record is to get, with the class's name where the list is known."""
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


def _print_asset(output: Output, asset: dict[str, Any]) -> None:
    def line(text: str) -> None:
        output.fact(text, "      ", "        ")

    marks = [
        text
        for text, wanted in (
            ("here", asset["here"]),
            ("slot: --set takes a file of yours", asset["provide"]),
            ("restricted: not to be passed on", asset["restricted"]),
        )
        if wanted
    ]
    name = asset["id"] if asset["id"] == asset["key"] else f"{asset['id']} ({asset['key']})"
    output.fact(f"{name}, {size_text(asset['size'])}{' [' + '; '.join(marks) + ']' if marks else ''}", "  ", "    ")
    if asset["summary"]:
        line(asset["summary"])
    for algorithm, value in asset["digests"].items():
        line(f"{algorithm} {value}")
    for member, digests in asset["members"].items():
        line(f"{member}: {', '.join(f'{algorithm} {value}' for algorithm, value in digests.items())}")
    if asset["locked"]:
        line(f"locked: sha256 {asset['locked']['sha256']}, first seen from {asset['locked']['first_seen_from']}")
    elif asset["pin"] == "first-use":
        line("no published checksum: the first fetch records one in modelprep.lock")
    if asset["pinned_by"]:
        line(f"pinned by {asset['pinned_by']}")
    if asset["licence"]:
        source = f" - {asset['licence_source']}" if asset["licence_source"] else ""
        line(f"licence {asset['licence']}{source} ({', '.join(asset['licence_classes'])})")
    for source in asset["sources"]:
        member = f"#{source['member']}" if source["member"] else ""
        line(f"{source['url']}{member}{'  (' + source['note'] + ')' if source['note'] else ''}")
    for note in asset["notes"]:
        line(f"note: {note}")
