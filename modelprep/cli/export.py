"""``modelprep export``: recipes for another build system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from modelprep.api.delivering import export_yocto
from modelprep.api.options import YoctoOptions
from modelprep.cli import common
from modelprep.cli.output import Output
from modelprep.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Unpack

app = common.group("Write recipes for another build system (Yocto).")


@app.callback()
def export() -> None:
    """Write recipes for another build system (Yocto)."""


@app.command()
@common.command(YoctoOptions, examples=("modelprep export yocto armnn-caffe meta-models",))
def yocto(
    output: Output,
    targets: Annotated[
        list[str], common.targets("TARGET... DIR", "Finished demos (as for fetch), and in the end the layer's folder.")
    ],
    **options: Unpack[YoctoOptions],
) -> None:
    """Write a Yocto layer that puts finished demos into an image."""
    if len(targets) < 2:
        raise UsageError(
            "export wants targets and a folder",
            got=" ".join(targets),
            hint="modelprep export yocto armnn-caffe meta-models",
        )
    made = export_yocto(targets[:-1], targets[-1], **options)
    for name, why in sorted(made.left_out.items()):
        output.note(f"left out: {name}: {why}; --include-restricted takes it along")
    output.value(str(made.folder))
    output.line(f"{len(made.recipes)} recipes; add them to an image with IMAGE_INSTALL")
    for bundle in made.bundles:
        output.line(f"put at {options['bundle_url']}: {bundle}")
    output.result(
        {
            "folder": str(made.folder),
            "recipes": list(made.recipes),
            "bundles": [str(bundle) for bundle in made.bundles],
            "left_out": made.left_out,
        }
    )
