"""``modelprep bundle``: pack finished demos into one archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelprep.cli import common
from modelprep.cli.output import size_text


def command(
    targets: common.Targets,
    output_file: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The archive: .tar.gz, .tar.zst, .tar or .zip.")
    ],
    out: common.Out = common.DEFAULT_OUT,
    include_restricted: Annotated[
        bool,
        typer.Option("--include-restricted", help="Also files whose rights do not allow passing them on."),
    ] = False,
    bsp: common.BspRelease = None,
    soc: common.Soc = None,
    recipes: common.Recipes = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Pack finished demos into one archive: the same bytes from the same inputs, whoever packs them, on any day.

    It holds the trees with their MANIFEST.json, SHA256SUMS and run-tests.sh, the licences, and an SPDX 2.3 document.
    """
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.deliver.bundle import plan_bundle, tell_and_write
        from modelprep.pipeline.plan.board import select as select_recipes
        from modelprep.tree.selection import select

        chosen = select_recipes(common.catalogue(recipes), targets, bsp=bsp, soc=soc)
        plan = plan_bundle(select(out, chosen, include_restricted=include_restricted))
        made = tell_and_write(plan, output_file, output.listener())
        output.close()
        for name, licence in sorted(made.left_out.items()):
            output.note(f"left out: {name} ({licence or 'restricted'}); --include-restricted takes it along")
        output.value(str(made.path))
        output.line(f"{made.files} files, {size_text(made.size)}, sha256 {made.sha256}")
        output.result(
            {
                "path": str(made.path),
                "size": made.size,
                "sha256": made.sha256,
                "files": made.files,
                "left_out": dict(made.left_out),
            }
        )
