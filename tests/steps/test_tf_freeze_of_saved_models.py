"""What TensorFlow 1's own writers leave (SavedModelBuilder, Saver), frozen by every name that leads to it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from modelprep.cli.main import invoke

if find_spec("tensorflow") is None:
    pytest.skip("TensorFlow writes the models", allow_module_level=True)

WRITER = """
import sys
import tensorflow as tf
v1 = tf.compat.v1
v1.disable_eager_execution()
for kind in ("reference", "resource"):
    (v1.enable_resource_variables if kind == "resource" else v1.disable_resource_variables)()
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 4], "input")
        w = v1.get_variable("w", [4, 3], initializer=v1.random_normal_initializer(seed=3))
        y = tf.nn.softmax(tf.matmul(x, w) + v1.get_variable("b", [3], initializer=v1.ones_initializer()), name="prob")
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.builder.SavedModelBuilder(sys.argv[1] + "/" + kind)
        builder.add_meta_graph_and_variables(session, ["serve"])
        builder.save()
        v1.train.Saver().save(session, sys.argv[1] + "/" + kind + "-saver/model.ckpt", global_step=5)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    subprocess.run([sys.executable, "-c", WRITER, str(folder)], check=True, capture_output=True)
    return folder


WAYS = {
    "a folder": ["{}"],
    "a folder, twice": ["{}", "{}"],
    "its file": ["{}/saved_model.pb"],
    "its file and the folder of variables": ["{}/saved_model.pb", "{}/variables"],
    "its file and the prefix": ["{}/saved_model.pb", "{}/variables/variables"],
    "its file and the index": ["{}/saved_model.pb", "{}/variables/variables.index"],
    "a .meta file": ["{}-saver/model.ckpt-5.meta"],
    "a .meta file and the folder": ["{}-saver/model.ckpt-5.meta", "{}-saver"],
    "a .meta file and the list called checkpoint": ["{}-saver/model.ckpt-5.meta", "{}-saver/checkpoint"],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["reference", "resource"])
def test_every_way_to_name_a_saved_model_gives_the_same_frozen_graph(kind: str, written: Path, tmp_path: Path) -> None:
    results = []
    for number, (way, words) in enumerate(WAYS.items()):
        out = tmp_path / f"{number}.pb"
        # The numbers are compared once for each writer.
        verify = [] if way in ("a folder", "a .meta file") else ["--no-verify"]
        names = [word.format(written / kind) for word in words]
        assert invoke(["tf", "freeze", *names, "-n", "prob", "-o", str(out), "--quiet", *verify]) == 0, way
        results.append(out.read_bytes())
    assert len(set(results[:6])) == len(set(results[6:])) == 1


@pytest.mark.slow
def test_a_folder_of_another_kind_is_told_which_of_its_files_would_do(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written / "reference-saver"
    assert invoke(["tf", "freeze", str(folder), str(folder), "-n", "prob", "-o", str(tmp_path / "x.pb")]) == 5
    said = capsys.readouterr().err
    assert "this is a folder and no SavedModel" in said
    assert "model.ckpt-5.meta" in said
