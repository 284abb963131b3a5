"""``modelprep export``: recipes for another build system."""

from __future__ import annotations

from typing import Annotated

import typer

from modelprep.cli import common
from modelprep.errors import UsageError

app = common.group("Write recipes for another build system (Yocto).")


@app.callback()
def export() -> None:
    """Write recipes for another build system (Yocto)."""


@app.command()
def yocto(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET... DIR",
            help="Finished demos (as for fetch), and in the end the layer's folder.",
            autocompletion=common.complete_target,
        ),
    ],
    bundle_url: Annotated[
        str,
        typer.Option(
            "--bundle-url", metavar="URL", help="Where converted files will lie (else they lie in the layer itself)."
        ),
    ] = "",
    release: Annotated[str, typer.Option("--release", metavar="NAME", help="Yocto release.")] = "scarthgap",
    layer_series: Annotated[
        list[str] | None,
        typer.Option(
            "--layer-series", metavar="NAME", help="Also for this release, newer than those known; may be repeated."
        ),
    ] = None,
    include_restricted: Annotated[
        bool,
        typer.Option("--include-restricted", help="Bundle files whose rights do not allow passing them on, too."),
    ] = False,
    out: common.Out = common.DEFAULT_OUT,
    bsp: common.BspRelease = None,
    soc: common.Soc = None,
    recipes: common.Recipes = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Write a Yocto layer that puts finished demos into an image."""
    with common.sink(json=json, quiet=quiet) as output:
        from pathlib import Path

        from modelprep.pipeline.exporting import export_yocto
        from modelprep.pipeline.plan.board import select as select_recipes

        if len(targets) < 2:
            raise UsageError(
                "export wants targets and a folder",
                got=" ".join(targets),
                hint="modelprep export yocto armnn-caffe meta-models",
            )
        chosen = select_recipes(common.catalogue(recipes), targets[:-1], bsp=bsp, soc=soc)
        made = export_yocto(
            out,
            chosen,
            Path(targets[-1]),
            bundle_url=bundle_url,
            release=release,
            layer_series=tuple(layer_series or ()),
            include_restricted=include_restricted,
        )
        for name, why in sorted(made.left_out.items()):
            output.note(f"left out: {name}: {why}; --include-restricted takes it along")
        output.value(str(made.folder))
        output.line(f"{len(made.recipes)} recipes; add them to an image with IMAGE_INSTALL")
        for bundle in made.bundles:
            output.line(f"put at {bundle_url}: {bundle}")
        output.result(
            {
                "folder": str(made.folder),
                "recipes": list(made.recipes),
                "bundles": [str(bundle) for bundle in made.bundles],
                "left_out": made.left_out,
            }
        )
