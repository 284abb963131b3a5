"""``modelprep show``: one recipe, all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelprep.cli import common
from modelprep.cli.output import Output, size_text
from modelprep.errors import UsageError

if TYPE_CHECKING:
    from modelprep.pipeline import Plan, PlannedDemo
    from modelprep.recipe.schema import Asset


def command(
    target: common.Target,
    out: common.Out = common.DEFAULT_OUT,
    cache: common.Cache = None,
    lockfile: common.LockFile = None,
    armnn: common.Armnn = None,
    recipes: common.Recipes = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Show one recipe: sources, digests, steps, files, the command for the board."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.pipeline import Request, plan

        request = Request(targets=(target,), out=out, cache=cache, lockfile=lockfile, armnn=armnn)
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
        "run": recipe.run,
        "key": demo.key,
        "assets": [_asset(plan, demo, asset) for asset in recipe.assets.values()],
        "steps": [{"id": use.id, "uses": use.uses, "with": plain(use.params)} for use in recipe.steps],
        "install": {place: str(ref) for place, ref in recipe.install.items()},
        "expect": plain(recipe.expect),
        "notes": list(recipe.notes),
        **({"problem": demo.problem.to_json()} if demo.problem is not None else {}),
    }


def _asset(plan: Plan, demo: PlannedDemo, asset: Asset) -> dict[str, object]:
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
        "licence_source": asset.licence.source if asset.licence else "",
        "provide": asset.provide,
        "restricted": asset.restricted,
        "here": sha256 is not None and plan.store.get(sha256) is not None,
        "sources": [{"url": s.url, "member": s.member or "", "note": s.note} for s in asset.sources],
        "notes": list(asset.notes),
    }


def _print(output: Output, facts: dict[str, Any]) -> None:
    line = output.line

    def bold(text: str) -> str:
        return output.style(text, "bold")

    line(bold(f"{facts['demo']}  ({facts['recipe']}{'@' + facts['variant'] if facts['variant'] else ''})"))
    for label in ("summary", "manual", "status", "why", "state", "path", "shadows", "tree", "board"):
        if facts[label]:
            line(f"  {label + ':':<10} {facts[label]}")
    if facts["variants"]:
        line(f"  {'variants:':<10} {', '.join(f'{name} ({text})' for name, text in facts['variants'].items())}")
    if facts["assets"]:
        line()
        line(bold("assets"))
    for asset in facts["assets"]:
        _print_asset(output, asset)
    if facts["steps"]:
        line()
        line(bold("steps"))
    for step in facts["steps"]:
        given = ", ".join(f"{name}: {value}" for name, value in step["with"].items())
        line(f"  {step['id']} = {step['uses']}({given})")
    if facts["install"]:
        line()
        line(bold(f"files in {facts['tree']}"))
    for place, ref in facts["install"].items():
        line(f"  {place}  <-  {ref}")
    for label in ("expect", "notes"):
        if facts[label]:
            line()
            line(bold({"expect": "the board's test", "notes": "notes"}[label]))
            items = facts[label].items() if isinstance(facts[label], dict) else ((None, note) for note in facts[label])
            for name, value in items:
                line(f"  {name}: {value}" if name else f"  - {value}")
    if facts["run"]:
        line()
        line(bold("on the board"))
        line(f"  {facts['run']}")
    if "problem" in facts:
        line()
        line(f"{output.style('cannot be prepared now:', 'yellow')} {facts['problem']['what']}")
        if hint := facts["problem"].get("hint"):
            line(f"  next: {hint}")


def _print_asset(output: Output, asset: dict[str, Any]) -> None:
    line = output.line
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
    line(f"  {name}  {size_text(asset['size'])}{'  [' + '; '.join(marks) + ']' if marks else ''}")
    if asset["summary"]:
        line(f"      {asset['summary']}")
    for algorithm, value in asset["digests"].items():
        line(f"      {algorithm} {value}")
    for member, digests in asset["members"].items():
        line(f"      {member}: {', '.join(f'{algorithm} {value}' for algorithm, value in digests.items())}")
    if asset["locked"]:
        line(f"      locked: sha256 {asset['locked']['sha256']}, first seen from {asset['locked']['first_seen_from']}")
    elif asset["pin"] == "first-use":
        line("      nobody publishes a digest: the first fetch writes one to modelprep.lock")
    if asset["pinned_by"]:
        line(f"      pinned by {asset['pinned_by']}")
    if asset["licence"]:
        line(f"      licence {asset['licence']}{' - ' + asset['licence_source'] if asset['licence_source'] else ''}")
    for source in asset["sources"]:
        member = f"#{source['member']}" if source["member"] else ""
        line(f"      {source['url']}{member}{'  (' + source['note'] + ')' if source['note'] else ''}")
    for note in asset["notes"]:
        line(f"      note: {note}")
