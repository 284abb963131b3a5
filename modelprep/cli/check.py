"""``modelprep check``: say whether the board's tests will pass with these files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelprep.cli import common
from modelprep.cli.output import Output, Style
from modelprep.errors import UsageError

if TYPE_CHECKING:
    from modelprep.check.demos import Checked
    from modelprep.recipe.schema import Recipe

_STYLES: dict[str, tuple[Style, ...]] = {"passes": ("green",), "fails": ("red",), "unknown": ("yellow",)}
_WORDS = {"passes": "will pass", "fails": "will fail", "unknown": "not known"}


def command(
    targets: common.Targets,
    out: common.Out = common.DEFAULT_OUT,
    cache: common.Cache = None,
    lint_only: Annotated[bool, typer.Option("--lint-only", help="Look at the models; run nothing.")] = False,
    iterations: Annotated[
        int, typer.Option("--iterations", "-i", min=0, metavar="N", help="As -i N on the board: N cases, no labels.")
    ] = 0,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page for people.")] = None,
    find_picture: Annotated[
        Path | None, typer.Option("--find-picture", metavar="DIR", help="Search a folder for pictures that pass.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="VARIANT", help="Compare with another variant's model (such as frozen)."),
    ] = None,
    armnn: common.Armnn = None,
    recipes: common.Recipes = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Say whether the board's tests will pass with these very files, and why not.

    Each model is held to the rules of Arm NN's parser, then run on this machine on what the test would feed it, and
    judged as the test judges. Exit code 1 when a test will fail, 7 when this machine lacks what would tell.
    """
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.check.demos import check

        chosen = common.catalogue(recipes).resolve(targets)
        if find_picture is not None:
            raise typer.Exit(_search(output, chosen, out, find_picture, armnn))
        checked = check(chosen, out, version=armnn, iterations=iterations, run=not lint_only, listen=output.listener())
        if not lint_only:
            checked = _prove(checked, out, cache)
        if against is not None:
            checked = _compare(checked, against, out, cache, recipes)
        output.close()
        if html is not None:
            from modelprep.check.page import write_page

            write_page(html, checked, out)
            output.note(f"report: {html}")
        raise typer.Exit(_tell(output, checked, lint_only=lint_only))


def _prove(checked: Sequence[Checked], out: Path, cache: Path | None) -> list[Checked]:
    """Add to each demo what is proven of the conversions that made its files; those of other files are left alone."""
    from modelprep.check.proof import prove
    from modelprep.pipeline import Request
    from modelprep.pipeline.planning import plan_recipes
    from modelprep.pipeline.proving import conversions

    plan = plan_recipes(Request(targets=(), out=out, cache=cache, offline=True), [one.recipe for one in checked])
    return [
        replace(one, proofs=tuple(prove(conversion, plan.store) for conversion in conversions(plan, demo)))
        for one, demo in zip(checked, plan.demos, strict=True)
    ]


def _compare(
    checked: Sequence[Checked], variant: str, out: Path, cache: Path | None, folders: list[Path] | None
) -> list[Checked]:
    """Add to each demo how its model and another variant's answer on the same inputs."""
    from modelprep.check.versus import compare
    from modelprep.pipeline import Request
    from modelprep.pipeline.planning import plan_recipes
    from modelprep.pipeline.proving import installed_blob

    catalogue = common.catalogue(folders)
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
                name = f"{recipe.name}@{recipe.variant}" if recipe.variant else recipe.name
                raise UsageError(
                    f"the model of {name} is not in the store, so there is nothing to compare",
                    hint=f"modelprep fetch {name} --out {out if recipe is one.recipe else 'out-' + variant}",
                )
            blobs.append(blob.path)
        compared.append(replace(one, proofs=(*one.proofs, compare(one.verdict.test, blobs[0], blobs[1], variant))))
    if all(variant not in one.recipe.variants for one in checked):
        known = sorted({name for one in checked for name in one.recipe.variants})
        raise UsageError(f"none of these demos has a variant '{variant}'", expected=", ".join(known) or "no variants")
    return compared


def _tell(output: Output, checked: Sequence[Checked], *, lint_only: bool) -> int:
    output.result(
        {
            "checks": [
                {"recipe": one.recipe.name, "demo": one.recipe.demo}
                | ({"reason": one.reason} if one.verdict is None else one.verdict.to_json())
                | {"proofs": [proof.to_json() for proof in one.proofs]}
                for one in checked
            ]
        }
    )
    rows = []
    for one in checked:
        verdict = one.verdict
        if verdict is None:
            rows.append((one.recipe.demo, output.style("-", "dim"), "", one.reason))
            continue
        cases = ", ".join(f"{case.file} {case.got}" if verdict.test.cases else str(case.got) for case in verdict.cases)
        word = output.style(_WORDS[verdict.outcome], *_STYLES[verdict.outcome])
        rows.append((one.recipe.demo, word, verdict.runtime, verdict.message or cases))
    output.table("", ["test", "on the board it", "seen by", "it prints / its classes"], rows, key=0)
    if output.mode == "human":
        for one in checked:
            _details(output, one)
    outcomes = [one.verdict.outcome for one in checked if one.verdict is not None]
    if "fails" in outcomes or any(proof.outcome == "differs" for one in checked for proof in one.proofs):
        return 1
    return 7 if "unknown" in outcomes and not lint_only else 0


def _details(output: Output, one: Checked) -> None:
    verdict = one.verdict
    if verdict is None or not (verdict.hint or verdict.findings or verdict.warnings or one.proofs):
        return
    lines = [f"  {finding}" for finding in verdict.findings if finding.serious][:8]
    lines += [f"  note: {text}" for text in verdict.warnings]
    lines += [f"  {proof}" for proof in one.proofs]
    if verdict.hint:
        lines.append(f"  next: {verdict.hint}")
    if lines:
        output.line()
        output.line(output.style(one.recipe.demo, "bold"))
        for line in lines:
            output.line(line)


def _search(output: Output, chosen: Sequence[Recipe], out: Path, folder: Path, armnn: str | None) -> int:
    from modelprep.check.demos import board_test, find_picture
    from modelprep.formats.picture import kind_of
    from modelprep.targets.class_names import label
    from modelprep.tree.places import tree_name

    test = board_test(chosen[0], armnn) if len(chosen) == 1 else None
    if test is None or not test.cases:
        raise UsageError("--find-picture wants exactly one test that looks at pictures")
    if not folder.is_dir():
        raise UsageError(f"there is no folder '{folder}'")
    pictures = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                if kind_of(stream.read(16)):
                    pictures.append(path)
    rows = []
    results = []
    models = out / tree_name(chosen[0]) / "models"
    for number, case in enumerate(test.cases):
        for path, got, passes in find_picture(test, models, pictures, number):
            results.append({"case": number, "file": case.file, "picture": str(path), "class": got, "passes": passes})
            if passes:
                rows.append((case.file, str(path), label(test.names, got)))
    output.table("", ["wanted as", "picture that passes", "class"], rows, key=1)
    if not rows:
        output.note(f"none of {len(pictures)} pictures passes")
    output.result({"test": test.name, "pictures": results})
    return 0 if rows else 1
