"""The facts about i.MX Linux releases are whole, and paths move with the release."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from modelprep.errors import UsageError
from modelprep.targets import bsp


def test_every_release_names_its_source_and_sane_folders() -> None:
    assert len(bsp.names()) > 40
    for name in bsp.names():
        release = bsp.load(name)
        assert release.source.startswith("nxp-imx/")
        for family, component in release.components.items():
            assert family in bsp.FAMILIES
            assert not component.folder or component.folder.startswith("/usr/")
        assert all(each.startswith("/usr/") for each in release.on_image)


def test_releases_are_in_order_of_their_numbers() -> None:
    names = bsp.names()
    assert names.index("L5.4.70-2.3.2") < names.index("L5.4.70-2.3.10") < names.index("L5.10.9-1.0.0")
    assert names.index("L6.6.36-2.1.0") < names.index("L6.12.3-1.0.0")


def test_the_manuals_release_is_the_default_and_builds_a_commit_of_its_own() -> None:
    default = bsp.load(bsp.DEFAULT)
    assert default.armnn is not None
    assert (default.armnn.version, default.armnn.commit[:8]) == ("19.02", "dbfb8549")


def test_arm_nn_is_gone_from_the_releases_of_today() -> None:
    assert bsp.load("L5.15.32-2.0.0").armnn is None
    last = bsp.load("L5.10.72-2.2.0").armnn
    assert last is not None
    assert (last.version, last.folder, last.parsers) == ("21.08", "/usr/bin/armnn-21.08", ("tflite", "onnx"))


@pytest.mark.parametrize(
    ("release", "before", "after"),
    [
        ("L5.10.72-2.2.0", "/usr/bin", "/usr/bin/armnn-21.08"),
        ("L6.6.36-2.1.0", "/usr/bin/tensorflow-lite-1.12.0/examples", "/usr/bin/tensorflow-lite-2.16.2/examples"),
        ("L5.4.3-2.0.0", "/usr/bin/tensorflow-lite-1.12.0/examples/a", "/usr/bin/tensorflow-lite-2.1.0/examples/a"),
        ("L6.18.20-2.0.0", "/usr/share/OpenCV/samples/bin", "/usr/share/opencv4/samples/bin"),
        ("L6.6.36-2.1.0", "/usr/share/elsewhere", "/usr/share/elsewhere"),
        (bsp.DEFAULT, "/usr/share/OpenCV/samples/bin", "/usr/share/OpenCV/samples/bin"),
    ],
)  # fmt: skip
def test_a_folder_of_the_manual_moves_with_the_release(release: str, before: str, after: str) -> None:
    assert bsp.load(release).relocate(before) == after


def test_a_release_may_be_written_without_its_letter_and_an_unknown_one_is_told_the_nearest() -> None:
    assert bsp.load("6.6.36-2.1.0").name == bsp.load("l6.6.36-2.1.0").name == "L6.6.36-2.1.0"
    with pytest.raises(UsageError, match=r"did you mean L6\.6\.36-2\.1\.0"):
        bsp.load("L6.6.36-2.1")


@pytest.mark.parametrize("spelling", ["lf-6.6.36_2.1.0", "LF_v6.6.36-2.1.0", "l6.6.36-2.1.0", "6.6.36_2.1.0"])
def test_nxps_other_spellings_of_a_release_serve(spelling: str) -> None:
    assert bsp.load(spelling).name == "L6.6.36-2.1.0"


def test_the_commands_list_and_show() -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "modelprep", "bsp", *words], capture_output=True, text=True)

    listed = json.loads(run("list", "--json").stdout)
    assert listed["default"] == bsp.DEFAULT
    assert [each["bsp"] for each in listed["releases"]] == bsp.names()
    shown = run("show", "L6.6.36-2.1.0")
    assert "/usr/bin/tensorflow-lite-2.16.2/examples" in shown.stdout
    assert "3.12.0" in shown.stdout
    assert run("show", "L9").returncode == 2
