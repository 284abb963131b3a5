"""--bsp for one release of every Arm NN version: list, fetch, check and export yocto, with that version's paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.conftest import Run, modelprep
from cli.test_exit_codes import pinned
from cli.workshop import Workshop

from modelprep.deliver.yocto import OLD_RELEASES
from modelprep.targets import bsp

__all__ = ["modelprep"]

#: Arm NN version -> its last release, as the facts have it.
RELEASES = {each.armnn.version: each for each in map(bsp.load, bsp.names()) if each.armnn is not None}
SAMPLES = bsp.load(bsp.DEFAULT).components["opencv"].folder


def test_there_are_seven_versions() -> None:
    assert list(RELEASES) == ["19.02", "19.05", "19.08", "20.02", "20.08", "21.02", "21.08"]


@pytest.fixture
def demos(workshop: Workshop) -> Workshop:
    """A test of each of two parsers, and a demo of another family."""
    head = "schema: 1\ndemo: {}\nsummary: s\nstatus: ready\ntree: {}\ninstall: {{models/mnist_onnx.onnx: $file}}\n"
    for name, more in {
        "onnx": "run: OnnxMnist-Armnn -d data\nexpect: {armnn: '19.02', parser: onnx}\n",
        "caffe": "run: CaffeMnist-Armnn -d data\nexpect: {armnn: '19.02', parser: caffe}\n",
        "samples": f"board: {SAMPLES}\nrun: ./example_x\n",
    }.items():
        url = workshop.server.put(f"/{name}", name.encode())
        tree = "samples" if name == "samples" else f"Armnn{name}"
        demo = "OnnxMnist-Armnn" if name == "onnx" else name
        workshop.recipe(name, head.format(demo, tree) + more + "assets:\n" + pinned(url, name.encode()))
    return workshop


@pytest.mark.parametrize("version", RELEASES)
def test_list_fetch_check_and_export_have_the_paths_of_the_release(
    version: str, demos: Workshop, modelprep: Run, tmp_path: Path
) -> None:
    release = RELEASES[version]
    assert release.armnn is not None
    board = ("--bsp", release.name)
    absent = {name for name in ("onnx", "caffe") if name not in release.armnn.parsers}

    listed = json.loads(modelprep("list", "things", *board, "--json").out)["demos"]
    assert {each["recipe"].partition("/")[2] for each in listed if each["state"] == "absent"} == absent
    assert {each["absent"] for each in listed if each["absent"]} <= {f"not in {version}"}

    fetched = modelprep("fetch", "things", *board, "--json")
    assert fetched.code == 0, fetched.err
    root = demos.out if release.name == bsp.DEFAULT else demos.out / release.name
    assert {path.name for path in root.glob("Armnn*")} == {"Armnnonnx", "Armnncaffe"} - {f"Armnn{x}" for x in absent}
    script = (root / "Armnnonnx" / "run-tests.sh").read_text()
    programs = release.armnn.folder
    assert (f'$here:$PATH":{programs}\n' in script) == (programs != "/usr/bin")

    checked = modelprep("check", "things/onnx", *board, "--json")
    assert checked.code == 1  # the stand-in is no model
    (check,) = json.loads(checked.out.splitlines()[-1])["checks"]
    assert (check["armnn"], check["outcome"]) == (version, "fails")

    layer = tmp_path / "layer"
    exported = modelprep(
        "export",
        "yocto",
        "things/onnx",
        "things/samples",
        str(layer),
        *board,
        "--recipes",
        str(demos.recipes),
        "--out",
        str(demos.out),
        bare=True,
    )
    assert exported.code == 0, exported.err
    recipes = {path.name: path.read_text() for path in layer.rglob("*.bb")}
    shown = json.loads(modelprep("show", "things/samples", *board, "--json").out)
    assert shown["board"] == release.components["opencv"].folder
    assert any(f'MODELPREP_DIR ?= "{shown["board"]}"' in text for text in recipes.values())
    assert all(
        ("RDEPENDS_${PN}" in text) == (release.yocto in OLD_RELEASES) for text in recipes.values() if "RDEPENDS" in text
    )
    assert release.yocto in (layer / "conf" / "layer.conf").read_text()
