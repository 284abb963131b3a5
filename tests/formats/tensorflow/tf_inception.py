"""Inception v3 with random weights as TensorFlow makes, saves, freezes and runs it (``python tf_inception.py FOLDER``).

Leaves the V1 checkpoint ``v1.ckpt``, the whole graph ``graph.pb`` and TensorFlow's ``frozen.pb``. With names of graphs
in the folder behind it, runs these on one seeded picture and writes their largest differences.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

OUTPUT = "InceptionV3/Predictions/Reshape_1"


def make(folder: Path) -> None:
    from tensorflow.python.tools import freeze_graph

    from modelprep.steps.tf_export_slim import _import, nets_scope

    tf, nets = _import("inception")
    with tf.Graph().as_default() as graph, tf.Session() as session:
        image = tf.placeholder(tf.float32, [None, 299, 299, 3], name="input")
        with nets_scope(nets, "inception_v3_arg_scope"):
            nets.inception_v3(image, num_classes=1001, is_training=False)
        (folder / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
        tf.set_random_seed(1)
        session.run(tf.global_variables_initializer())
        tf.train.Saver(write_version=1).save(
            session, str(folder / "v1.ckpt"), write_meta_graph=False, write_state=False
        )
    freeze_graph.freeze_graph(
        str(folder / "graph.pb"), "", True, str(folder / "v1.ckpt"), OUTPUT, "", "", str(folder / "frozen.pb"), True, ""
    )


def run(folder: Path, names: list[str]) -> None:
    import numpy as np
    import tensorflow.compat.v1 as tf

    picture = np.random.default_rng(0).random((1, 299, 299, 3), dtype=np.float32)
    found = []
    for name in names:
        with tf.Graph().as_default(), tf.Session() as session:
            tf.import_graph_def(tf.GraphDef.FromString((folder / name).read_bytes()), name="")
            found.append(session.run(f"{OUTPUT}:0", {"input:0": picture}))
    differences = [float(np.abs(other - found[0]).max()) for other in found[1:]]
    (folder / "run.json").write_text(json.dumps({"differences": differences, "classes": found[0].shape[1],
                                                 "spread": float(found[0].max() - found[0].min())}))  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 2:
        run(Path(sys.argv[1]), sys.argv[2:])
    else:
        make(Path(sys.argv[1]))
