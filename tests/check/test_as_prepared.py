"""A tree is judged by what it was prepared for: the version of Arm NN and the variant that its manifest names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from detectors import ssd_model

import modelprep
from modelprep.check.demos import Checked
from modelprep.errors import UsageError
from modelprep.targets.armnn_tests import of_version

pytest.importorskip("ai_edge_litert", reason="the model runs in LiteRT, of the check extra")
image = pytest.importorskip("PIL.Image", reason="the test picture is written with Pillow")

DEMO = "TfLiteMobileNetSsd-Armnn"
OTHER_BOX = "Detected bounding box for test case 0 is incorrect"
RECIPE = """schema: 1
demo: {demo}
summary: a detector whose expected box changed in 19.08
manual: '8.1.3'
status: ready
tree: Things
assets:
{assets}
install:
  models/ssd_mobilenet_v1.tflite: $old
  data/Cat.jpg: $cat
run: ./now
expect: {{armnn: "19.02"}}
variants:
  armnn-19.08:
    install: {{models/ssd_mobilenet_v1.tflite: $new}}
    run: ./later
    expect: {{armnn: "19.08"}}
  odd:
    install: {{models/ssd_mobilenet_v1.tflite: $new}}
"""


class Place:
    """One recipe and where it is fetched to."""

    def __init__(self, root: Path) -> None:
        self.root, self.out = root, root / "out"
        (root / "recipes" / "things").mkdir(parents=True)
        old, new = (of_version(version)[DEMO].cases[0] for version in ("19.02", "19.08"))
        image.new("RGB", (30, 20)).save(root / "cat.jpg", "PNG")
        files = {"cat": (root / "cat.jpg").read_bytes()}
        files |= {name: ssd_model([(16, 203 / 256, case.box)]) for name, case in (("old", old), ("new", new))}
        assets = ""
        for name, data in files.items():
            path = root / "recipes" / "things" / f"{name}.bin"  # a recipe names files in the folder of its recipes
            path.write_bytes(data)
            assets += (
                f"  {name}:\n    urls: ['{path.as_uri()}']\n    sha256: {hashlib.sha256(data).hexdigest()}\n"
                f"    size: {len(data)}\n    pinned_by: the test\n    licence: {{name: MIT, source: the test}}\n"
            )
        (root / "recipes" / "things" / "ssd.yaml").write_text(RECIPE.format(demo=DEMO, assets=assets))
        self.common: dict[str, Any] = {"out": self.out, "cache": root / "cache", "recipes": [root / "recipes"]}

    def fetch(self, target: str = "things/ssd", armnn: str | None = None) -> None:
        assert modelprep.fetch(target, armnn=armnn, **self.common).exit_code == 0

    def check(self, target: str = "things/ssd", armnn: str | None = None) -> Checked:
        (checked,) = modelprep.check(target, armnn=armnn, **self.common)
        assert checked.verdict is not None
        return checked

    def told(self, target: str = "things/ssd", armnn: str | None = None) -> tuple[str, str, str]:
        """Version, variant and message."""
        checked = self.check(target, armnn)
        assert checked.verdict is not None
        return checked.verdict.test.version, checked.recipe.variant, checked.verdict.message

    def change(self, change: Callable[[Any], None]) -> None:
        path = self.out / "Things" / "MANIFEST.json"
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    def notes(self, target: str = "things/ssd", armnn: str | None = None) -> str:
        verdict = self.check(target, armnn).verdict
        assert verdict is not None
        return " | ".join(text for text in verdict.warnings if "issue 214" not in text)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_plain_tree_is_judged_as_its_recipe_says(place: Place) -> None:
    place.fetch()
    assert place.told() == ("19.02", "", "")
    assert place.notes() == ""


def test_a_tree_for_a_later_arm_nn_is_judged_by_that_one_and_its_variant(place: Place) -> None:
    place.fetch(armnn="19.08")
    assert place.told() == ("19.08", "armnn-19.08", "")
    assert str(place.check().recipe.run) == "./later"
    assert place.notes() == ""
    # No variant is called 20.02: the one of 19.08 serves, and the tests are those of 20.02.
    place.fetch(armnn="20.02")
    assert place.told() == ("20.02", "armnn-19.08", "")


def test_armnn_overrules_the_tree_and_says_so(place: Place) -> None:
    place.fetch(armnn="19.08")
    assert place.told(armnn="19.02") == ("19.02", "", OTHER_BOX)
    assert place.notes(armnn="19.02") == "the tree was prepared for Arm NN 19.08, judged for 19.02"
    assert place.notes(armnn="19.08") == ""
    place.fetch()
    assert place.told(armnn="19.08") == ("19.08", "armnn-19.08", OTHER_BOX)
    assert place.told(armnn="19.05") == ("19.05", "", "")
    with pytest.raises(UsageError, match=r"19\.80"):
        place.check(armnn="19.80")


def test_without_a_tree_the_variant_is_chosen_and_the_hint_fetches_it(place: Place) -> None:
    checked = place.check(armnn="19.08")
    assert checked.verdict is not None
    assert (checked.recipe.variant, checked.verdict.outcome) == ("armnn-19.08", "fails")
    assert f"modelprep fetch things/ssd --armnn 19.08 --out {place.out}" in checked.verdict.hint
    assert "--armnn" not in str(place.check().verdict.hint)  # type: ignore[union-attr]


def test_a_variant_in_the_tree_is_what_is_judged_unless_another_is_named(place: Place) -> None:
    place.fetch("things/ssd@odd")
    # The box of 19.08, held to the 19.02 that this variant says nothing against.
    assert place.told() == ("19.02", "odd", OTHER_BOX)
    assert place.told("things/ssd@odd") == ("19.02", "odd", OTHER_BOX)
    assert place.told("things/ssd@armnn-19.08") == ("19.08", "armnn-19.08", "")
    assert "contains things/ssd@odd, which is judged as things/ssd@armnn-19.08" in place.notes("things/ssd@armnn-19.08")


def test_a_manifest_that_cannot_be_read_is_told_and_the_recipe_holds(place: Place) -> None:
    place.fetch(armnn="19.08")
    (place.out / "Things" / "MANIFEST.json").write_text("{")
    assert place.told() == ("19.02", "", OTHER_BOX)
    assert "judged for Arm NN 19.02" in place.notes()
    assert "MANIFEST.json" in place.notes()


def test_a_version_that_nobody_knows_is_told_and_the_recipe_holds(place: Place) -> None:
    place.fetch()

    def later(manifest: Any) -> None:
        (demo,) = manifest["demos"]
        demo["expect"]["armnn"] = "99.02"

    place.change(later)
    assert place.told() == ("19.02", "", "")
    assert place.notes() == "the tree was prepared for Arm NN 99.02, unknown here: judged for 19.02"


def test_the_search_for_pictures_goes_by_the_tree_too(place: Place, tmp_path: Path) -> None:
    place.fetch(armnn="19.08")
    album = tmp_path / "album"
    album.mkdir()
    (album / "one.png").write_bytes((tmp_path / "cat.jpg").read_bytes())
    (album / "none.txt").write_text("no picture")
    found = modelprep.find_pictures("things/ssd", album, **{k: v for k, v in place.common.items() if k != "cache"})
    assert found.test.version == "19.08"
    assert [(each.case, each.file, each.got, each.passes) for each in found.tried] == [(0, "Cat.jpg", 16, True)]
    others = {k: v for k, v in place.common.items() if k != "cache"}
    assert modelprep.find_pictures("things/ssd", album, armnn="19.02", **others).passing == ()


def test_the_search_names_the_command_that_takes_what_it_found(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex

    from modelprep.cli.main import invoke

    place.fetch()
    installed = place.out / "Things" / "data" / "Cat.jpg"
    album = tmp_path / "an album"
    album.mkdir()
    image.new("RGB", (5, 5), (9, 9, 9)).save(album / "other cat.png")
    found = modelprep.find_pictures("things/ssd", album, out=place.out, recipes=[tmp_path / "recipes"])
    words = shlex.split(found.command)
    assert words == [
        "modelprep",
        "fetch",
        "things/ssd",
        "--set",
        f"cat={album / 'other cat.png'}",
        "--out",
        str(place.out),
    ]
    monkeypatch.setenv("MODELPREP_CACHE", str(place.root / "cache"))
    assert invoke([*words[1:], "--recipes", str(tmp_path / "recipes"), "--quiet"]) == 0
    assert installed.read_bytes() == (album / "other cat.png").read_bytes()
    assert place.told() == ("19.02", "", "")


def test_a_file_of_the_tree_is_traced_to_the_one_asset_below_it(repository: Path) -> None:
    from modelprep.check.demos import asset_of
    from modelprep.recipe.catalogue import Catalogue

    known = Catalogue([repository / "recipes"])
    mobilenet, vgg = known.recipe("armnn-tflite/mobilenet-v1-quant"), known.recipe("armnn-caffe/vgg")
    assert asset_of(mobilenet, "data/Cat.jpg") == "picture-cat"
    assert asset_of(mobilenet, "data/nothing.jpg") == ""
    # Structure and weights: no one file can stand for both.
    assert asset_of(vgg, "models/VGG_CNN_S.caffemodel") == ""


def test_the_search_without_a_model_names_the_command_that_fetches_it(place: Place, tmp_path: Path) -> None:
    with pytest.raises(modelprep.errors.CheckFailed) as caught:
        modelprep.find_pictures("things/ssd", tmp_path, out=place.out, recipes=[tmp_path / "recipes"])
    assert str(caught.value.hint).startswith("modelprep fetch things/ssd --out ")
