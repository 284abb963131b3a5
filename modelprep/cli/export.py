"""``modelprep export``: recipes for another build system, jobs for a board farm."""

from __future__ import annotations

from typing import Annotated

from modelprep.api.delivering import export_lava, export_yocto
from modelprep.api.options import LavaOptions, YoctoOptions
from modelprep.cli import common
from modelprep.cli.output import Output
from modelprep.structs import facts

app = common.group("Write recipes for another build system (Yocto) or a job for a board farm (LAVA).")


@app.command()
@common.command("modelprep export yocto armnn-caffe meta-models")
def yocto(
    output: Output,
    targets: Annotated[
        list[str], common.targets("TARGET... DIR", "Finished demos (as for fetch), then the layer's folder.")
    ],
    **options: common.Unpack[YoctoOptions],
) -> None:
    """Write a Yocto layer that puts finished demos into an image."""
    made = export_yocto(*common.split(targets, "modelprep export yocto armnn-caffe meta-models"), **options)
    for name, why in sorted(made.left_out.items()):
        output.note(f"left out: {name}: {why}; --include-restricted includes it")
    output.value(str(made.folder))
    output.line(f"{len(made.recipes)} recipes; add them to an image with IMAGE_INSTALL")
    for bundle in made.bundles:
        output.line(f"host at {options['bundle_url']}: {bundle}")
    output.result(facts(made, "folder", "recipes", "bundles", "left_out"))


@app.command()
@common.command("modelprep export lava armnn-caffe job --bundle-url https://files.example.org/models")
def lava(
    output: Output,
    targets: Annotated[
        list[str], common.targets("TARGET... DIR", "Finished demos (as for fetch), then the job's folder.")
    ],
    **options: common.Unpack[LavaOptions],
) -> None:
    """Write a LAVA job that fetches a bundle of finished demos by URL and checksum, and reports each of their tests."""
    made = export_lava(
        *common.split(targets, "modelprep export lava armnn-caffe job"), listen=output.listener(), **options
    )
    output.close()
    for name, licence in sorted(made.bundle.left_out.items()):
        output.note(f"left out: {name} ({licence or 'restricted'}); --include-restricted includes it")
    if not options["bundle_url"]:
        output.note(f"the job fetches {made.url}; change the URL with --bundle-url")
    output.value(str(made.job))
    output.line(f"submit it with lavacli jobs submit; host the bundle at {made.url}")
    found = facts(made, "folder", "job", "definition", "url", "device_type")
    output.result({**found, "bundle": made.bundle.path, **facts(made.bundle, "sha256", "left_out")})
