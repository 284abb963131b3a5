"""Makes models with TensorFlow and runs ``tf.to_tflite`` on them, all in one process: its start is what takes time.

``python tflite_workshop.py FOLDER`` writes models, converts each case of :data:`CASES`, and writes ``told.json``: for
each case its facts, or the error.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

SHAPE = (8, 8, 3)
QUANTISED = {"mode": "int8", "calibration": "pictures", "preprocess": {"scale": 1 / 255}, "samples": 24}
#: Case -> parameters; files by their names in the folder.
CASES: dict[str, dict[str, Any]] = {
    "frozen": {"model": "frozen.pb", "shapes": {"input": [1, 8, 8, 3]}},
    "frozen-again": {"model": "frozen.pb", "shapes": {"input": [1, 8, 8, 3]}},
    "text": {"model": "frozen.pbtxt", "shapes": {"input": [1, 8, 8, 3]}},
    "named": {"model": "frozen.pb", "inputs": ["input"], "outputs": ["logits"], "shapes": {"input": [1, 8, 8, 3]}},
    "saved": {"model": "saved/saved_model.pb", "variables": "saved/variables"},
    "keras": {"model": "net.keras"},
    "h5": {"model": "net.h5"},
    "two-inputs": {"model": "two.keras"},
    "float16": {"model": "net.keras", "mode": "float16"},
    "dynamic": {"model": "net.keras", "mode": "dynamic"},
    "int8": {"model": "net.keras", **QUANTISED, "input_type": "int8", "output_type": "int8"},
    "int8-again": {"model": "net.keras", **QUANTISED, "input_type": "int8", "output_type": "int8"},
    "int8-other-seed": {"model": "net.keras", **QUANTISED, "samples": 2, "seed": 7},
    "int8-float": {"model": "net.keras", **QUANTISED},
    "int8-uint8": {"model": "frozen.pb", "shapes": {"input": [1, 8, 8, 3]}, **QUANTISED, "input_type": "uint8",
                   "output_type": "uint8"},
    "two-int8": {"model": "two.keras", "mode": "int8", "calibration": "sets", "samples": 30, "input_type": "int8"},
    "bytes": {"model": "bytes.pb"},
    "bytes-int8": {"model": "bytes.pb", "mode": "int8", "calibration": "pictures", "samples": 24,
                   "preprocess": {"scale": 1}},
    "refused-names": {"model": "two.keras", "mode": "int8", "calibration": "others"},
    "refused-range": {"model": "bytes.pb", "mode": "int8", "calibration": "pictures", "preprocess": {"mean": 128}},
    "refused-cosine": {"model": "net.keras", **QUANTISED, "min_cosine": 1.0},
    "refused-size": {"model": "net.keras", **QUANTISED, "preprocess": {"size": [4, 4]}},
    "refused-two-inputs": {"model": "two.keras", **QUANTISED},
    "refused-open-shape": {"model": "frozen.pb"},
    "refused-other-shape": {"model": "net.keras", "shapes": {"x": [1, 9, 9, 3]}},
    "refused-output": {"model": "frozen.pb", "outputs": ["nothing"], "shapes": {"input": [1, 8, 8, 3]}},
    "refused-variables": {"model": "open.pb", "shapes": {"input": [1, 4]}},
    "refused-operator": {"model": "odd.pb", "shapes": {"input": [1, 4]}},
    "refused-page": {"model": "page.html"},
    "refused-half": {"model": "half.keras"},
    "refused-lambda": {"model": "code.keras"},
}  # fmt: skip


def make(folder: Path) -> None:
    """Write the models and the pictures."""
    import numpy as np
    import tensorflow as tf

    from modelprep.steps.picture import bmp

    tf1 = tf.compat.v1
    rng = np.random.default_rng(5)

    def graph(build: Any, name: str) -> Any:
        with tf1.Graph().as_default() as made:
            build()
        (folder / f"{name}.pb").write_bytes(made.as_graph_def().SerializeToString())
        return made.as_graph_def()

    def classifier() -> None:
        x = tf1.placeholder(tf.float32, None, name="input")
        y = tf1.nn.conv2d(x, tf1.constant(rng.normal(0, 0.5, (3, 3, 3, 8)).astype("f4")), [1, 2, 2, 1], "SAME")
        y = tf1.reshape(tf1.nn.relu(y), [1, 128])
        y = tf1.matmul(y, tf1.constant(rng.normal(0, 0.5, (128, 5)).astype("f4")), name="logits")
        tf1.nn.softmax(y, name="prob")

    frozen = graph(classifier, "frozen")
    (folder / "frozen.pbtxt").write_text(str(frozen))

    def variables() -> None:
        x = tf1.placeholder(tf.float32, [None, 4], name="input")
        tf1.identity(x * tf1.get_variable("w", [4]), name="out")

    graph(variables, "open")

    def odd() -> None:
        x = tf1.placeholder(tf.float32, [None, 4], name="input")
        tf1.math.betainc(x, x, x, name="out")

    graph(odd, "odd")

    def of_bytes() -> None:
        x = tf1.placeholder(tf.uint8, [1, *SHAPE], name="input")
        y = tf1.reshape(tf1.cast(x, tf.float32) / 255, [1, 192])
        tf1.matmul(y, tf1.constant(rng.normal(0, 0.5, (192, 5)).astype("f4")), name="out")

    graph(of_bytes, "bytes")
    keras = tf.keras
    keras.utils.set_random_seed(3)
    net = keras.Sequential([
        keras.layers.Input(SHAPE, name="x"), keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.Flatten(), keras.layers.Dense(5),
    ])  # fmt: skip
    net.save(folder / "net.keras")
    net.save(folder / "net.h5")
    net.export(folder / "saved", verbose=False)
    a, b = keras.layers.Input((4,), name="zebra"), keras.layers.Input((6,), name="ant")
    keras.Model([a, b], [keras.layers.Dense(3)(a), keras.layers.Dense(2)(b)]).save(folder / "two.keras")
    keras.Sequential([keras.layers.Input((4,)), keras.layers.Lambda(lambda x: x + 1)]).save(folder / "code.keras")
    (folder / "page.html").write_text("<html><body>not found</body></html>")
    whole = (folder / "net.keras").read_bytes()
    (folder / "half.keras").write_bytes(whole[: len(whole) // 2])
    (folder / "sets").mkdir()
    np.savez(folder / "sets" / "a.npz", zebra=rng.normal(0, 1, (20, 4)), ant=rng.normal(0, 1, (20, 6)))
    np.savez(folder / "sets" / "b.npz", ant=rng.normal(0, 1, (30, 6)), zebra=rng.normal(0, 1, (30, 4)))
    (folder / "others").mkdir()
    np.savez(folder / "others" / "a.npz", zebra=np.ones((2, 4)), bee=np.ones((2, 6)))
    (folder / "pictures").mkdir()
    for n in range(24):
        (folder / "pictures" / f"{n}.bmp").write_bytes(bmp(rng.integers(0, 256, SHAPE, np.uint8)))


def files(folder: Path) -> dict[str, Path]:
    """Return the files of a folder by name."""
    return {path.name: path for path in sorted(folder.iterdir())}


def convert(folder: Path, name: str) -> dict[str, Any]:
    """Run the step on one case; what it makes is ``NAME.tflite``."""
    from modelprep.errors import ModelprepError
    from modelprep.steps import Call, find

    step = find("tf.to_tflite")
    params = {key: param.default for key, param in step.params.items()} | CASES[name]
    params["model"] = folder / params["model"]
    for key in ("calibration", "variables"):
        if params[key]:
            params[key] = files(folder / params[key])
    try:
        return {"facts": step.run(Call(params, folder / f"{name}.tflite"))}
    except ModelprepError as error:
        return {"error": error.to_json()}


def main(folder: Path) -> None:
    """Do all cases."""
    from modelprep.steps import _subprocess

    def here(module: str, request: Any, **_: object) -> Any:
        return importlib.import_module(module).work(request)

    _subprocess.call = here  # type: ignore[assignment]
    make(folder)
    (folder / "told.json").write_text(json.dumps({name: convert(folder, name) for name in CASES}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
