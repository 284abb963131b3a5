"""The demos of later boards: every recipe is planned for every SoC, and the page of boards is what the recipes say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import modelprep
from modelprep.errors import MissingTool, NeedsBringing
from modelprep.pipeline.plan.board import select
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.schema import Recipe
from modelprep.recipe.spread import source_of
from modelprep.targets import armnn_tests, bsp

CATALOGUE = Catalogue.open()
GROUPS = ("gopoint", "gopoint-6.1", "eiq-examples", "nnstreamer", "tflite", "onnxruntime", "pyeiq")
LATER = [name for name in CATALOGUE.names() if name.partition("/")[0] in GROUPS]
UPSTREAM = Path(__file__).resolve().parents[2].parent / "shared" / "upstream"


def on(name: str, soc: str) -> Recipe:
    (recipe,) = select(CATALOGUE, [name], soc=soc)
    return recipe


@pytest.mark.parametrize("soc", bsp.SOCS)
def test_every_recipe_is_planned_for_every_soc(soc: str, tmp_path: Path) -> None:
    plan = modelprep.plan(["all"], soc=soc, out=tmp_path / "out", cache=tmp_path / "cache")
    assert {demo.recipe.name for demo in plan.demos} == set(CATALOGUE.names())
    for demo in plan.demos:
        # A step's program that is not on this machine, and files that are the user's: nothing else stands in the way.
        assert demo.problem is None or isinstance(demo.problem, MissingTool | NeedsBringing), (
            demo.recipe.name,
            demo.problem,
        )
        if isinstance(demo.problem, NeedsBringing):
            assert demo.recipe.status == "bring-your-own", demo.recipe.name
        if demo.state == "absent":
            assert demo.recipe.absent == f"not on {soc}"


@pytest.mark.parametrize("name", LATER)
def test_every_variant_says_where_it_runs(name: str) -> None:
    recipe = CATALOGUE.recipe(name)
    assert any("soc" in values for values in recipe.matrix.values())
    for variant in recipe.matrix:
        assert CATALOGUE.recipe(name, variant).runs_on in ("npu", "cpu"), variant


def test_vela_is_used_where_the_npu_of_imx93_is() -> None:
    """What runs on its NPU has a file that Vela made, under the name that the demo opens."""
    for name in LATER:
        recipe = on(name, "imx93")
        made = {use.id for use in recipe.steps if use.uses == "tflite.vela"}
        compiled = {place for place, ref in recipe.install.items() if ref.name in made}
        assert all(place.endswith("_vela.tflite") for place in compiled), name
        if recipe.runs_on == "npu" and not recipe.absent:
            assert compiled, name


@pytest.mark.parametrize(
    ("name", "soc", "files"),
    [
        ("gopoint/dms", "imx93", ["face_detection_ptq_vela.tflite", "imx93_dms_info.jpeg"]),
        ("gopoint/dms", "imx8mp", ["face_detection_ptq.tflite", "imx8mp_dms_info.jpeg"]),
        ("gopoint/ml-gateway", "imx93", ["mobilenet_ssd_v2_coco_quant_postprocess_vela.tflite", "coco_labels.txt"]),
        (
            "eiq-examples/dms",
            "imx93",
            ["models/iris_landmark_quant.tflite", "vela_models/iris_landmark_quant_vela.tflite"],
        ),
        ("eiq-examples/gesture-detection", "imx8mp", ["models/hand_landmark_3d_256_integer_quant.tflite"]),
        ("nnstreamer/pose", "imx93", ["downloads/models/pose-estimation/movenet_quant.tflite"]),
        ("tflite/label-image", "imx93", ["mobilenet_v1_1.0_224_quant_vela.tflite"]),
        ("onnxruntime/squeezenet", "imx95", ["squeezenet/model.onnx"]),
    ],
)
def test_the_files_have_the_names_that_the_demos_open(name: str, soc: str, files: list[str]) -> None:
    for file in files:
        assert source_of(on(name, soc), file) is not None, file


NEUTRON = [name for name in LATER if "imx95-npu" in CATALOGUE.recipe(name).variants]


@pytest.mark.parametrize("name", NEUTRON)
def test_every_file_for_neutron_is_made_by_the_plug_in_and_has_the_name_that_the_demo_opens(name: str) -> None:
    recipe = CATALOGUE.recipe(name, "imx95-npu")
    assert "untried on a real converter" in recipe.summary
    made = {use.id: use.params["model"] for use in recipe.steps if use.uses == "neutron"}
    plain = CATALOGUE.recipe(name).install
    converted = {place: made[ref.name] for place, ref in recipe.install.items() if ref.name in made}
    assert converted
    for place, model in converted.items():
        assert place.endswith("_imx95.tflite")
        assert plain[place.replace("_imx95.tflite", ".tflite")] == model
    assert recipe.runs_on == "npu"


def test_without_the_plug_in_a_variant_for_neutron_says_how_to_install_it(tmp_path: Path) -> None:
    (demo,) = modelprep.plan(["tflite/label-image@imx95-npu"], out=tmp_path, cache=tmp_path / "c").demos
    assert isinstance(demo.problem, MissingTool)
    assert "modelprep-neutron" in str(demo.problem.hint)
    assert demo.folder.relative_to(tmp_path).parts[0].endswith("-imx95")


def test_the_page_of_boards_is_what_the_recipes_say(repository: Path) -> None:
    command = [sys.executable, "docs/make_boards.py", "--check"]
    made = subprocess.run(command, cwd=repository, env={**os.environ, "PYTHONPATH": str(repository)}, check=False)
    assert made.returncode == 0, "python docs/make_boards.py writes it"
    text = (repository / "docs" / "boards.md").read_text("utf-8")
    for name in LATER:
        assert f"| `{name}` |" in text


def test_every_asset_of_the_demo_lists_has_a_digest_or_says_that_nobody_states_one() -> None:
    for name in LATER:
        for asset in CATALOGUE.recipe(name).assets.values():
            assert asset.digests or asset.members or asset.pin == "first-use" or asset.provide, asset.key


def test_the_tests_of_every_releases_arm_nn_are_known() -> None:
    """A release with an Arm NN that the facts do not know has to say so: it is read from a list of its own then."""
    versions = {name: release.armnn.version for name in bsp.names() if (release := bsp.load(name)).armnn is not None}
    assert len(versions) > 10
    assert {name: version for name, version in versions.items() if version not in armnn_tests.versions()} == {}


def test_what_lies_in_the_store_of_real_files_is_really_prepared(tmp_path: Path) -> None:
    if not UPSTREAM.is_dir():
        pytest.skip("there are no real model files beside the repository")
    names = ["tflite/label-image", "tflite/benchmark", "eiq-examples/image-classification", "onnxruntime/mnist"]
    report = modelprep.fetch(names, soc="imx8mp", out=tmp_path, cache=tmp_path / "c", mirrors=[UPSTREAM], offline=True)
    assert {demo.outcome for demo in report.demos} <= {"installed", "unchanged"}, report.demos
    (tree,) = tmp_path.glob("*-imx8mp")
    assert (tree / "eiq-examples/models/mobilenet_v1_1.0_224_quant.tflite").stat().st_size == 4276352
    assert "delegate" not in (tree / "tflite-examples/run-tests.sh").read_text().splitlines()[0]
