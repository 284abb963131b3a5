"""Write docs/boards.md from the recipes: which model runs where on which board.

python docs/make_boards.py            write the page
python docs/make_boards.py --check    exit 1 if the page is not what the recipes say
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from modelprep.pipeline.plan.board import select
from modelprep.pipeline.plan.validate import made_by
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.schema import Recipe
from modelprep.recipe.shipped import shipped_folder
from modelprep.recipe.spread import resolve
from modelprep.targets.bsp import SOCS

PAGE = Path(__file__).with_name("boards.md")
NAMES = {"imx8mp": "i.MX 8M Plus", "imx93": "i.MX 93", "imx95": "i.MX 95"}
MODELS = (".tflite", ".onnx", ".elf")

HEAD = """\
# Models and boards

<!-- Written by docs/make_boards.py from the recipes; do not edit by hand. -->

Which demo of a later i.MX Linux release runs where: on the board's NPU, on its CPU, or not at all. Fetch one with

```console
$ modelprep fetch tflite/label-image@imx93
```

or choose the board with `--soc imx93`, and `--bsp RELEASE` for the folders of its release ([bsp.md](bsp.md)).

- **NPU**: the files are ready for the NPU. For i.MX 93 they are compiled with Vela on your host (extra `vela`); for
  i.MX 8M Plus a quantized file is all that the VX delegate needs.
- **CPU**: the demo runs on the processor's cores (on the Cortex-M33 where the model is part of a firmware, `.elf`).
- **bring**: files that no public source has; the recipe says how they are made, and `--set` takes them.
- **-**: NXP does not offer the demo on this board.

The NPU of i.MX 95 needs files from NXP's Neutron converter. Where a cell says `NPU with Neutron`, the variant
`@imx95-npu` runs the converter that you installed, through the package of [steps-plugin.md](how-to/steps-plugin.md); it
is untried on a real converter.

What a cell says comes from the recipe's `runs_on:`, which follows NXP's own documents. Nothing here was run on a board.
"""


TAIL = """\
## Demos without a recipe

| demo | why |
| --- | --- |
| GoPoint of releases before lf-6.1.36-2.1.0 | no digests, other folders; `gopoint-6.1` has most of its files |
| GoPoint's PyEIQ launcher (i.MX 8ULP) | no NPU; the archives are those of the group `pyeiq` |
| PyEIQ 2.2.0's object detection with GStreamer, 3.1.0's switch_image | `pyeiq --run` does not take them |
| TensorFlow Lite's evaluation tools (`coco_object_detection_run_eval` ...) | they need COCO or ImageNet |
| VX delegate | a library; the demos of i.MX 8M Plus use it |
| NXP's eIQ Model Zoo, Arm's ML-zoo | collections of models; no demo on the board opens them |
"""


def rows(catalogue: Catalogue) -> Iterator[tuple[str, ...]]:
    """Yield (recipe, models, a cell for each SoC), for every recipe with a matrix of SoCs."""
    for name in catalogue.names():
        recipe = catalogue.recipe(name)
        if not any("soc" in values for values in recipe.matrix.values()):
            continue
        made = {soc: select(catalogue, [name], soc=soc)[0] for soc in SOCS}
        models = dict.fromkeys(model for each in (recipe, *made.values()) for model in _models(each))
        cells = [_cell(made[soc], recipe, soc) for soc in SOCS]
        yield (f"`{name}`", "<br>".join(f"`{model}`" for model in models), *cells)


def _models(recipe: Recipe) -> list[str]:
    if "model" in recipe.expect:
        return [str(recipe.expect["model"])]
    uses = {use.id: use for use in recipe.steps}
    places = resolve(recipe.install, lambda name: made_by(uses[name]) or None)
    found = [place.rpartition("/")[2] for place in places if place.endswith(MODELS)]
    # What Vela makes is the same model once more.
    return [name for name in found if not name.endswith("_vela.tflite")]


def _cell(recipe: Recipe, plain: Recipe, soc: str) -> str:
    if recipe.absent:
        return "-"
    text = recipe.runs_on.upper() or "CPU"
    if recipe.status == "bring-your-own":
        text += ", bring"
    return f"{text}; NPU with Neutron" if f"{soc}-npu" in plain.variants else text


def render(catalogue: Catalogue) -> str:
    """Return the text of the page."""
    lines = [HEAD]
    table = list(rows(catalogue))
    for group in dict.fromkeys(row[0].strip("`").partition("/")[0] for row in table):
        lines += [f"## {group}", ""]
        lines += [f"| recipe | models | {' | '.join(NAMES[soc] for soc in SOCS)} |", f"| {' | '.join(['---'] * 5)} |"]
        lines += [f"| {' | '.join(row)} |" for row in table if row[0].startswith(f"`{group}/")]
        lines.append("")
    return "\n".join([*lines, TAIL])


def main() -> int:
    """Write or check the page."""
    text = render(Catalogue([shipped_folder()]))
    if "--check" in sys.argv[1:]:
        return int(not PAGE.is_file() or PAGE.read_text("utf-8") != text)
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
