"""``modelprep list``: every demo with its status, size and licence class."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelprep.api.fetching import listing
from modelprep.api.options import ListOptions
from modelprep.api.outlook import download_size, licence_classes
from modelprep.api.text import LICENCE_CLASSES
from modelprep.cli import common
from modelprep.cli.output import Output, Style, size_text
from modelprep.cli.units import download_text
from modelprep.structs import facts

if TYPE_CHECKING:
    from modelprep.api.types import Plan, PlannedDemo

#: State -> (letter, color, meaning); scripts may rely on the letters.
LETTERS: Mapping[str, tuple[str, Style, str]] = {
    "present": ("P", "green", "present"),
    "stale": ("S", "yellow", "stale: fetch would change something"),
    "missing": ("M", "cyan", "missing: fetch downloads it"),
    "bring": ("B", "yellow", "bring: needs a file from you"),
    "nothing": ("-", "dim", "needs no files"),
    "absent": ("x", "dim", "not on this board"),
}


@common.command("modelprep list", "modelprep list armnn-tflite --bsp L6.6.36-2.1.0 --json")
def command(output: Output, targets: common.SomeTargets = None, **options: common.Unpack[ListOptions]) -> None:
    """List demos: status, size of the download, licence class (`show` prints licences in full).

    Status letters: P present, S stale (fetch would change something), M missing, B needs a file from you, - needs no
    files, x not on the board of --bsp.
    """
    gc.disable()  # the objects of a catalogue all stay
    plan, broken = listing(targets or (), **options)
    if output.mode == "json":
        demos = [_facts(plan, demo) for demo in plan.demos]
        output.result({"demos": demos, "broken": [error.to_json() for error in broken]})
    else:
        _tables(output, plan)
        for error in broken:
            output.warning(f"a recipe is broken: {error}")
        for text in dict.fromkeys(str(d.problem) for d in plan.demos if d.problem and d.state != "bring"):
            output.note(f"cannot be prepared now: {text}")


def _tables(output: Output, plan: Plan) -> None:
    human = output.mode == "human"
    groups: dict[str, list[PlannedDemo]] = {}
    for demo in plan.demos:
        groups.setdefault(demo.recipe.group, []).append(demo)
    rows: list[tuple[object, ...]] = []
    for group, demos in groups.items():
        if human:
            rows += [("",) * 5] * bool(rows)
            rows.append(("", output.style(f"{group}/", "bold"), "", "", ""))
        rows.extend(_row(output, plan, demo) for demo in demos)
    output.table("", ["", "demo", "recipe", ">download", "licence"], rows, key=2)
    used = {demo.state for demo in plan.demos}
    output.line()
    counts = [f"{sum(demo.state == state for demo in plan.demos)} {state}" for state in LETTERS if state in used]
    # A file that several demos share is downloaded once, so the rows do not add up to the total.
    to_come = f"; {size_text(plan.bytes_to_come)} to download in all" if plan.to_fetch else ""
    unknown = f" and {plan.sizes_unknown} files of unknown size" if plan.sizes_unknown else ""
    shown = "1 demo" if len(plan.demos) == 1 else f"{len(plan.demos)} demos"
    output.prose(f"{shown}: {', '.join(counts)}{to_come}{unknown}")
    for state, (letter, _, meaning) in LETTERS.items():
        if state in used:
            output.line(f"  {letter}  {meaning}")
    classes = {row[-1] for row in rows}
    for klass in LICENCE_CLASSES:
        if klass in classes:
            output.prose(LICENCE_CLASSES[klass], f"  {klass + ':':<15} ")


def _row(output: Output, plan: Plan, demo: PlannedDemo) -> tuple[object, ...]:
    recipe = demo.recipe
    letter, color, _ = LETTERS[demo.state]
    text = "-" if demo.state in ("present", "bring", "nothing") else download_text(plan, demo)
    name = recipe.name.rpartition("/")[2] if output.mode == "human" else recipe.name
    # The strictest class counts.
    licence = next(iter(licence_classes(recipe)), "")
    return output.style(letter, color), recipe.demo, name, recipe.absent if demo.state == "absent" else text, licence


def _facts(plan: Plan, demo: PlannedDemo) -> dict[str, object]:
    recipe = demo.recipe
    licences = dict.fromkeys(each.licence.name for each in recipe.assets.values() if each.licence is not None)
    return {
        "recipe": recipe.name,
        **facts(recipe, "group", "demo", "summary", "manual", "status", "why", "absent"),
        "state": demo.state,
        "letter": LETTERS[demo.state][0],
        "bytes_to_come": download_size(plan, demo)[0],
        "tree": demo.folder,
        "files": sorted(recipe.install),
        "licences": list(licences),
        "licence_classes": licence_classes(recipe),
        "variants": dict(recipe.variants),
        "run": str(recipe.run or ""),
        "on_image": dict(recipe.on_image),
        **({"problem": demo.problem.to_json()} if demo.problem is not None else {}),
    }
