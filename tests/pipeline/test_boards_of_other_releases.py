"""--bsp and --soc: what a release has decides which demos there are, where they lie, and what is prepared."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cli.conftest import Run, modelprep
from cli.test_exit_codes import pinned
from cli.workshop import Workshop

import modelprep as library
from modelprep.errors import UsageError
from modelprep.pipeline.plan.board import select
from modelprep.recipe.catalogue import Catalogue
from modelprep.targets import bsp

__all__ = ["modelprep"]

TODAY = "L6.6.36-2.1.0"
MANUALS_FOLDER = "/usr/bin/tensorflow-lite-1.12.0/examples"
HEAD = "schema: 1\ndemo: {demo}\nsummary: s\nstatus: ready\n"


def recipe(workshop: Workshop, name: str, data: bytes, more: str) -> None:
    url = workshop.server.put(f"/{name}", data)
    workshop.recipe(name, HEAD.format(demo=name) + more + "assets:\n" + pinned(url, data))


@pytest.fixture
def label_image(workshop: Workshop) -> Workshop:
    """A demo of TensorFlow Lite's family: one file is on the image of later releases, the other is not."""
    more = (
        f"tree: label-image\nboard: {MANUALS_FOLDER}\nrun: ./label_image -m x.tflite\n"
        "install: {mobilenet_v1_1.0_224_quant.tflite: $file, mine.txt: $file}\n"
    )
    recipe(workshop, "label", b"model", more)
    return workshop


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_folder_on_the_board_and_the_tree_are_those_of_the_release(label_image: Workshop, modelprep: Run) -> None:
    ran = modelprep("fetch", "things/label", "--bsp", TODAY, "--json")
    assert ran.code == 0, ran.err
    tree = label_image.out / TODAY / "label-image"
    manifest = json.loads((tree / "MANIFEST.json").read_text())
    shown = json.loads(modelprep("show", "things/label", "--bsp", TODAY, "--json").out)
    assert shown["board"] == "/usr/bin/tensorflow-lite-2.16.2/examples"
    assert shown["tree"] == str(tree)
    assert [demo["recipe"] for demo in manifest["demos"]] == ["things/label"]


def test_what_the_image_holds_is_told_and_not_prepared_unless_asked_for(label_image: Workshop, modelprep: Run) -> None:
    ran = modelprep("fetch", "things/label", "--bsp", TODAY)
    tree = label_image.out / TODAY / "label-image"
    assert "mine.txt" in files(tree)
    assert "mobilenet_v1_1.0_224_quant.tflite" not in files(tree)
    assert "/usr/bin/tensorflow-lite-2.16.2/examples/mobilenet_v1_1.0_224_quant.tflite" in ran.err
    assert modelprep("fetch", "things/label", "--bsp", TODAY, "--image-files").code == 0
    assert "mobilenet_v1_1.0_224_quant.tflite" in files(tree)


def test_the_manuals_release_is_the_default_and_its_trees_stay_where_they_were(
    label_image: Workshop, modelprep: Run
) -> None:
    assert modelprep("fetch", "things/label", "--bsp", bsp.DEFAULT).code == 0
    assert (label_image.out / "label-image" / "mobilenet_v1_1.0_224_quant.tflite").is_file()
    assert modelprep("fetch", "things/label", "--bsp", TODAY).code == 0
    assert (label_image.out / "label-image" / "mobilenet_v1_1.0_224_quant.tflite").is_file()


def test_a_family_that_a_release_lacks_is_absent_and_no_error(workshop: Workshop, modelprep: Run) -> None:
    recipe(workshop, "old", b"x", "board: /usr/bin/tensorflow-1.12.0/examples\ninstall: {a: $file}\n")
    ran = modelprep("fetch", "things/old", "--bsp", TODAY, "--json")
    assert ran.code == 0
    summary = json.loads(ran.out.splitlines()[-1])
    assert [demo["outcome"] for demo in summary["demos"]] == ["absent"]
    listed = json.loads(modelprep("list", "things/old", "--bsp", TODAY, "--json").out)["demos"]
    assert [(demo["state"], demo["letter"], demo["absent"]) for demo in listed] == [("absent", "x", f"not in {TODAY}")]
    assert workshop.server.log == []


@pytest.mark.parametrize(
    ("release", "test", "absent"),
    [
        ("L5.10.72-2.2.0", "armnn-caffe/mnist", "not in 21.08"),
        ("L5.10.72-2.2.0", "armnn-onnx/mnist", ""),
        ("L5.10.52-2.1.0", "armnn-caffe/mnist", ""),
        (TODAY, "armnn-onnx/mnist", f"no Arm NN in {TODAY}"),
    ],
)
def test_a_test_whose_parser_is_not_built_is_not_in_that_version(release: str, test: str, absent: str) -> None:
    (found,) = select(Catalogue.open(), [test], bsp=release)
    assert found.absent == absent
    version = bsp.load(release).armnn
    if not absent and version is not None:
        assert found.expect["armnn"] == version.version


def test_a_release_and_another_arm_nn_contradict_each_other(label_image: Workshop, modelprep: Run) -> None:
    assert modelprep("fetch", "things/label", "--bsp", "L5.10.72-2.2.0", "--armnn", "19.02").code == 2
    assert modelprep("fetch", "things/label", "--bsp", "L5.10.72-2.2.0", "--armnn", "21.08").code == 0
    ran = modelprep("fetch", "things/label", "--bsp", "L6.6.37-2.1.0")
    assert ran.code == 2
    assert "did you mean L6.6.36-2.1.0" in ran.err


def test_a_soc_selects_the_variant_of_its_name_and_a_tree_of_its_own(workshop: Workshop, modelprep: Run) -> None:
    more = (
        "tree: t\ninstall: {model.tflite: $file}\n"
        "variants: {imx93: {summary: for the NPU, install: {model.tflite: null, model_vela.tflite: $file}}}\n"
    )
    recipe(workshop, "npu", b"x", more)
    assert modelprep("fetch", "things/npu", "--soc", "imx93", "--bsp", TODAY).code == 0
    assert (workshop.out / f"{TODAY}-imx93" / "t" / "model_vela.tflite").is_file()
    assert modelprep("fetch", "things/npu", "--soc", "imx95").code == 0
    assert (workshop.out / f"{bsp.DEFAULT}-imx95" / "t" / "model.tflite").is_file()
    ran = modelprep("fetch", "things/npu", "--soc", "imx99")
    assert ran.code == 2
    assert "imx93" in ran.err


def test_the_script_for_the_board_finds_programs_in_the_folder_of_the_release(
    workshop: Workshop, modelprep: Run, tmp_path: Path
) -> None:
    more = "tree: ArmnnTests\ninstall: {models/m: $file}\nrun: Mine-Armnn -d data\n"
    more += "expect: {armnn: '19.02', parser: onnx}\n"
    recipe(workshop, "mine", b"x", more)
    assert modelprep("fetch", "things/mine", "--bsp", "L5.10.72-2.2.0").code == 0
    text = (workshop.out / "L5.10.72-2.2.0" / "ArmnnTests" / "run-tests.sh").read_text()
    assert 'PATH="${MODELPREP_BIN:+$MODELPREP_BIN:}$here:$PATH":/usr/bin/armnn-21.08\n' in text
    # The folder is another one on this machine; the script is run as it stands otherwise.
    programs = tmp_path / "programs of the board"
    programs.mkdir()
    (programs / "Mine-Armnn").write_text("#!/bin/sh\necho ran\n")
    (programs / "Mine-Armnn").chmod(0o755)
    from modelprep.tree.runtests import BoardCommand, script

    made = tmp_path / "run-tests.sh"
    made.write_text(script([BoardCommand("Mine-Armnn", "Mine-Armnn -d data", takes_backends=True)], [str(programs)]))
    ran = subprocess.run(["sh", made, "-s"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_bundles_take_the_trees_of_the_release_under_their_own_names(label_image: Workshop, modelprep: Run) -> None:
    assert modelprep("fetch", "things/label", "--bsp", TODAY).code == 0
    archive = label_image.out / "x.tar"
    assert modelprep("bundle", "things/label", "-o", str(archive), bare=True).code == 2
    made = library.bundle("things/label", archive, out=label_image.out, recipes=[label_image.recipes], bsp=TODAY)
    assert made.files > 0
    import tarfile

    with tarfile.open(archive) as packed:
        assert "label-image/mine.txt" in packed.getnames()


def test_python_takes_the_same_words(label_image: Workshop) -> None:
    common = {"out": label_image.out, "cache": label_image.cache, "recipes": [label_image.recipes]}
    report = library.fetch("things/label", bsp="6.6.36-2.1.0", **common)  # type: ignore[arg-type]
    assert report.ok
    assert report.demos[0].folder == label_image.out / TODAY / "label-image"
    with pytest.raises(UsageError, match="did you mean"):
        library.plan("things/label", bsp="L6.6.36-2.1.1", **common)  # type: ignore[arg-type]
