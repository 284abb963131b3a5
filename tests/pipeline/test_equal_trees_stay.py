"""A tree with the same files is not stale: because a pin moved, or because a folder is now written as one entry."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

import modelprep
from modelprep.pipeline.authoring import pin_targets
from modelprep.pipeline.catalogue import open_catalogue


def state(recipe: Path, out: Path, cache: Path) -> str:
    (demo,) = modelprep.plan([str(recipe)], out=out, cache=cache).demos
    return demo.state


def test_a_pin_that_moves_into_the_recipe_leaves_the_tree_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "model.bin").write_bytes(b"weights of a model" * 10)
    recipe = tmp_path / "g" / "r.yaml"
    recipe.write_text(
        "schema: 1\ndemo: Pinned\nassets: {model: {urls: ['file:model.bin'], pin: first-use, licence: MIT}}\n"
        "steps: [{id: same, uses: copy, with: {file: $model}}]\ninstall: {a.bin: $model, b.bin: $same}\n"
    )
    out, cache = tmp_path / "out", tmp_path / "cache"
    assert modelprep.fetch([str(recipe)], out=out, cache=cache).ok
    assert state(recipe, out, cache) == "present"
    pin_targets([str(recipe)], open_catalogue(), out / "modelprep.lock")
    assert "sha256" in recipe.read_text()
    assert state(recipe, out, cache) == "present"
    (out / "modelprep.lock").unlink()
    assert state(recipe, out, cache) == "present"


FOLDER = """\
schema: 1
demo: Folder
assets: {archive: {urls: ['file:model.tar'], pin: first-use}}
steps: [{id: tests, uses: onnx.testdata, with: {archive: $archive}}]
install:
"""
ONE_BY_ONE = """\
  net/model.onnx: $tests/model.onnx
  net/test_data_set_0/input_0.pb: $tests/test_data_set_0/input_0.pb
  net/test_data_set_0/output_0.pb: $tests/test_data_set_0/output_0.pb
"""


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """A folder with a recipe's archive: a model and one test set."""
    onnx = pytest.importorskip("onnx", reason="the dev dependency onnx is not installed")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value("x", 1, [2])], [value("y", 1, [2])]
    )
    tensor = onnx.helper.make_tensor("", 1, [2], [1.0, 2.0]).SerializeToString()
    files = {"m.onnx": onnx.helper.make_model(graph).SerializeToString()}
    files |= {f"test_data_set_0/{name}_0.pb": tensor for name in ("input", "output")}
    folder = tmp_path / "g"
    folder.mkdir()
    with tarfile.open(folder / "model.tar", "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return folder


def test_a_folder_written_as_one_entry_gives_the_same_tree(group: Path, tmp_path: Path) -> None:
    recipe, out, cache = group / "r.yaml", tmp_path / "out", tmp_path / "cache"
    recipe.write_text(FOLDER + ONE_BY_ONE)
    first = modelprep.fetch([str(recipe)], out=out, cache=cache)
    assert first.ok
    recipe.write_text(FOLDER + "  net/: $tests\n")
    # With and without what the step made in the cache; nothing is downloaded or written to find out.
    assert state(recipe, out, cache) == "present"
    assert state(recipe, out, tmp_path / "other") == "present"
    recipe.write_text(FOLDER + "  net/: $tests/*.onnx\n")
    assert state(recipe, out, cache) == "stale"
    assert modelprep.fetch([str(recipe)], out=out, cache=cache).ok
    assert sorted(path.name for path in (out / "g" / "net").iterdir()) == ["model.onnx"]


def test_a_folder_is_filled_and_a_second_run_has_nothing_to_do(group: Path, tmp_path: Path) -> None:
    recipe, out, cache = group / "r.yaml", tmp_path / "out", tmp_path / "cache"
    recipe.write_text(FOLDER + "  ./: $tests\n  sets/: $tests/test_data_set_*/*.pb\n")
    report = modelprep.fetch([str(recipe)], out=out, cache=cache)
    assert report.ok
    tree = out / "g"
    assert {path.relative_to(tree).as_posix() for path in tree.rglob("*.pb")} == {
        f"{top}test_data_set_0/{name}_0.pb" for top in ("", "sets/") for name in ("input", "output")
    }
    assert state(recipe, out, cache) == "present"
    shutil.rmtree(cache)
    assert state(recipe, out, cache) == "present"
    (tree / "model.onnx").unlink()
    assert state(recipe, out, cache) == "stale"
    assert modelprep.fetch([str(recipe)], out=out, cache=cache).ok
    assert (tree / "model.onnx").is_file()


def test_a_pattern_that_fits_nothing_is_told(group: Path, tmp_path: Path) -> None:
    recipe = group / "r.yaml"
    recipe.write_text(FOLDER + "  net/: $tests/*.caffemodel\n")
    report = modelprep.fetch([str(recipe)], out=tmp_path / "out", cache=tmp_path / "cache")
    (demo,) = report.demos
    assert "makes no file that matches '$tests/*.caffemodel'" in str(demo.error)
