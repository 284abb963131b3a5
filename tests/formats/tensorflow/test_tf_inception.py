"""The whole of Inception v3: the shipped graph, freezing against TensorFlow, legalising, values, memory."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from modelprep.formats.tensorflow.graphdef import VARIABLE_OPS, Node, encode_node, parse_graph
from modelprep.formats.tensorflow.read import read_graph
from modelprep.recipe.catalogue import Catalogue
from modelprep.steps import Call, find
from modelprep.targets.armnn_19_02 import TF_OPS

HERE = Path(__file__).resolve().parent
OUTPUT = "InceptionV3/Predictions/Reshape_1"


def encoded(nodes: list[Node]) -> list[bytes]:
    return [b"".join(encode_node(node)) for node in nodes]


def shipped(repository: Path) -> bytes:
    return gzip.decompress((repository / "recipes/armnn-tf/inception_v3.pb.gz").read_bytes())


def test_the_recipes_graph_lies_beside_it_with_the_digest_it_says(repository: Path) -> None:
    recipe = Catalogue([repository / "recipes"]).recipe("armnn-tf/inception-v3")
    asset = recipe.assets["graph"]
    path = Path(asset.sources[0].url.path)
    assert path == repository / "recipes/armnn-tf/inception_v3.pb.gz"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == asset.digests.values["sha256"]
    assert path.stat().st_size == asset.size


def test_the_shipped_graph_is_inception_v3_with_1001_classes(repository: Path) -> None:
    nodes = parse_graph(shipped(repository)).by_name()
    assert nodes["input"].shape("shape") == (-1, 299, 299, 3)
    assert nodes["InceptionV3/Logits/Conv2d_1c_1x1/weights"].shape("shape") == (1, 1, 2048, 1001)
    assert OUTPUT in nodes
    assert sum(node.op in VARIABLE_OPS for node in nodes.values()) == 378
    assert len(nodes) == 1186


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("tensorflow") is None or find_spec("tf_slim") is None:
        pytest.skip("the oracle is TensorFlow with tf_slim (extra tf), which is not installed")
    folder = tmp_path_factory.mktemp("inception")
    tensorflow(folder)
    return folder


def tensorflow(folder: Path, *names: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[2])}
    done = subprocess.run([sys.executable, str(HERE / "tf_inception.py"), str(folder), *names], env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_tf_slim_makes_the_shipped_graph_again(repository: Path, inception: Path) -> None:
    made = inception / "made.pb"
    find("tf.export_slim").run(Call({"network": "inception_v3", "classes": 1001, "outputs": (OUTPUT,)}, made))
    # The graph's version number is TensorFlow's own and moves with it; the nodes do not.
    assert encoded(read_graph(made).nodes) == encoded(parse_graph(shipped(repository)).nodes)


@pytest.mark.slow
def test_freezing_it_gives_tensorflows_file_and_legalising_changes_no_value(repository: Path, inception: Path) -> None:
    (inception / "shipped.pb").write_bytes(shipped(repository))
    for graph, made in (("graph.pb", "ours.pb"), ("shipped.pb", "ours_shipped.pb")):
        find("tf.freeze").run(
            Call(
                {"graph": inception / graph, "checkpoint": inception / "v1.ckpt", "outputs": (OUTPUT,)},
                inception / made,
            )
        )
    theirs = encoded(read_graph(inception / "frozen.pb").nodes)
    assert encoded(read_graph(inception / "ours.pb").nodes) == theirs
    assert encoded(read_graph(inception / "ours_shipped.pb").nodes) == theirs
    facts = find("tf.legalise").run(
        Call({"graph": inception / "ours.pb", "target": "armnn-19.02", "outputs": (OUTPUT,)}, inception / "legal.pb")
    )
    assert facts is not None
    assert facts["renamed_ops"] == {"FusedBatchNormV3 -> FusedBatchNorm": 94}
    legal = read_graph(inception / "legal.pb").nodes
    assert {node.op for node in legal} <= set(TF_OPS)
    assert not any("U" in node.attrs for node in legal)
    tensorflow(inception, "frozen.pb", "ours.pb", "legal.pb")
    ran = json.loads((inception / "run.json").read_text())
    assert ran["classes"] == 1001
    assert ran["spread"] > 0
    assert ran["differences"][0] == 0.0
    assert ran["differences"][1] <= 1e-6


_MEASURE = """
import resource, sys
from pathlib import Path
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
from modelprep.steps import Call, find
graph, checkpoint, made = map(Path, sys.argv[1:4])
find("tf.freeze").run(Call({"graph": graph, "checkpoint": checkpoint, "outputs": (sys.argv[4],)}, made))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_freezing_keeps_its_memory_small(inception: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *(str(inception / n) for n in ("graph.pb", "v1.ckpt", "again.pb")), OUTPUT],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(done.stdout) < 80  # MiB over the bare interpreter; the weights alone are 91
