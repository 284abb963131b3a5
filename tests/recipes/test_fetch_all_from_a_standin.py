"""Every recipe goes through `fetch all`, from a stand-in upstream with the true inner layouts to finished trees."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from here import run_here
from once import standin_mirror

pytest.importorskip("numpy", reason="the stand-in is fitted with numpy")
pytestmark = pytest.mark.slow


class Ran(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Ground:
    """Where the stand-in lies and where `fetch all` put its trees."""

    repository: Path
    options: tuple[str, ...]
    out: Path
    fetched: Ran


def modelprep(repository: Path, *arguments: str | Path) -> Ran:
    return Ran(*run_here([*map(str, arguments)], repository, {**os.environ, "PYTHONPATH": str(repository)}))


@pytest.fixture(scope="module")
def ground(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("everything")
    upstream, recipes = standin_mirror(tmp_path_factory)
    options = ("--recipes", str(recipes), "--out", str(folder / "out"), "--cache", str(folder / "cache"))
    more = ("--mirror", str(upstream), "--offline", "--json")
    return Ground(repository, options, folder / "out", modelprep(repository, "fetch", "all", *options, *more))


def listed(ground: Ground) -> dict[str, dict[str, Any]]:
    run = modelprep(ground.repository, "list", *ground.options, "--json")
    assert run.returncode == 0, run.stderr
    return {demo["recipe"]: demo for demo in json.loads(run.stdout)["demos"]}


def test_fetch_all_leaves_nothing_but_what_has_to_be_brought(ground: Ground) -> None:
    assert ground.fetched.returncode == 8, ground.fetched.stderr + ground.fetched.stdout[-4000:]
    for recipe, demo in listed(ground).items():
        expected = {"ready": "present", "bring-your-own": "bring", "needs-nothing": "nothing"}[demo["status"]]
        assert demo["state"] == expected, recipe


def test_every_file_of_every_ready_recipe_is_there(ground: Ground) -> None:
    count = 0
    for demo in listed(ground).values():
        for place in demo["files"] if demo["state"] == "present" else ():
            assert (Path(demo["tree"]) / place).stat().st_size > 0
            count += 1
    assert count > 100


def test_the_sums_of_every_tree_hold_and_name_every_file(ground: Ground) -> None:
    trees = sorted(path for path in ground.out.iterdir() if path.is_dir())
    assert len(trees) >= 6
    own = {"MANIFEST.json", "SHA256SUMS", "run-tests.sh"}
    for tree in trees:
        sums = dict(reversed(line.split("  ", 1)) for line in (tree / "SHA256SUMS").read_text("utf-8").splitlines())
        there = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
        assert set(sums) - own == there - own
        for name, digest in sums.items():
            assert hashlib.sha256((tree / name).read_bytes()).hexdigest() == digest, name


def test_a_second_run_has_nothing_to_do(ground: Ground) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        found = [path for path in ground.out.rglob("*") if path.is_file() and path.suffix != ".lock"]
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}

    lock, before = (ground.out / "modelprep.lock").read_bytes(), state()
    # No mirror any more: whatever it wanted to fetch could not be had.
    run = modelprep(ground.repository, "fetch", "all", *ground.options, "--offline", "--locked", "--json")
    assert run.returncode == 8
    assert (ground.out / "modelprep.lock").read_bytes() == lock
    assert state() == before


def test_the_pictures_that_went_through_the_step_are_the_fetched_ones(ground: Ground) -> None:
    from demo.families import imagenet

    made = {item.asset: item.data for item in imagenet.make()}
    data = ground.out / "ArmnnTests" / "data"
    assert (data / "Dog.jpg").read_bytes() == made["picture-dog"]
    assert (data / "Cat.jpg").read_bytes() == made["picture-cat"]
    assert (data / "shark.jpg").read_bytes() == made["picture-shark"]


def test_a_picture_of_the_users_own_is_made_fit_for_the_board(ground: Ground, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="the picture is made with Pillow")
    image.new("L", (30, 20), 120).save(tmp_path / "mine.png")
    options = [*ground.options[:2], "--out", tmp_path / "out", *ground.options[4:]]
    run = modelprep(
        ground.repository, "fetch", "armnn-tflite/mobilenet-v1-quant", *options, "--offline",
        "--set", f"picture-dog={tmp_path / 'mine.png'}",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "grey" in run.stdout + run.stderr
    with image.open(tmp_path / "out/ArmnnTests/data/Dog.jpg") as seen:
        assert (seen.mode, seen.size, seen.getpixel((3, 3))) == ("RGB", (30, 20), (120, 120, 120))
    (tmp_path / "page.jpg").write_text("<!DOCTYPE html><html><body>not a picture</body></html>")
    run = modelprep(
        ground.repository, "fetch", "armnn-tflite/mobilenet-v1-quant", *options, "--offline",
        "--set", f"picture-dog={tmp_path / 'page.jpg'}",
    )  # fmt: skip
    assert run.returncode == 5
    assert "a web page" in run.stderr
    # What stood there stands there still.
    with image.open(tmp_path / "out/ArmnnTests/data/Dog.jpg") as seen:
        assert seen.size == (30, 20)


@pytest.mark.parametrize("version", ["19.05", "19.08", "21.02"])
def test_another_arm_nn_gets_its_own_trees_and_the_manifest_says_which(
    ground: Ground, tmp_path: Path, version: str
) -> None:
    (tmp_path / "vgg.tflite").write_bytes(b"\x1c\0\0\0TFL3 a file of the user's own")
    options = [*ground.options[:2], "--out", tmp_path / "out", *ground.options[4:]]
    names = ["TfLiteVGG16Quantized-Armnn", "CaffeAlexNet-Armnn"]
    run = modelprep(
        ground.repository, "fetch", *names, *options, "--offline", "--armnn", version,
        "--set", f"armnn-tflite/vgg16-quant:model={tmp_path / 'vgg.tflite'}", "--accept-any",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    tree = tmp_path / "out/ArmnnTests"
    assert (tree / "models/vgg_16_int8.tflite").is_file()
    assert not (tree / "models/vgg_16_u8_batch1.tflite").exists()
    demos = json.loads((tree / "MANIFEST.json").read_text("utf-8"))["demos"]
    entries = demos.values() if isinstance(demos, dict) else demos
    assert {entry["expect"]["armnn"] for entry in entries} == {version}


def test_the_check_reads_every_standin_and_passes_those_that_are_fitted(ground: Ground) -> None:
    """Held to the parsers' rules and run: nothing but a wrong class may be said against a stand-in's model."""
    for module in ("cv2", "onnxruntime", "ai_edge_litert"):
        pytest.importorskip(module, reason="the check runs models")
    run = modelprep(ground.repository, "check", "armnn-caffe", "armnn-tflite", "armnn-onnx", *ground.options, "--json")
    assert run.returncode == 1, run.stderr
    verdicts = {one["test"]: one for one in json.loads(run.stdout.splitlines()[-1])["checks"] if "outcome" in one}
    passing = {name for name, verdict in verdicts.items() if verdict["outcome"] == "passes"}
    assert {"CaffeMnist-Armnn", "OnnxMnist-Armnn"} <= passing
    assert {name for name in verdicts if name.startswith("TfLite")} - passing == {
        "TfLiteMobileNetSsd-Armnn", "TfLiteVGG16Quantized-Armnn",
    }  # fmt: skip
    for name in ("CaffeAlexNet-Armnn", "CaffeInception_BN-Armnn", "CaffeResNet-Armnn", "CaffeVGG-Armnn"):
        assert "is incorrect (should be" in verdicts[name]["message"], name
