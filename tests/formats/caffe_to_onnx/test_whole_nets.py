"""What a converted net looks like: names, inputs, outputs, batch, weights; and what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from layer_cases import Case, layer

from modelprep.errors import ModelprepError, StepError, UsageError
from modelprep.formats.caffe import prototxt
from modelprep.formats.caffe.messages import new

onnx = pytest.importorskip("onnx", reason="the tests read converted models with onnx")
pytest.importorskip("onnxruntime", reason="onnxruntime runs the converted models")

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Lay out a net in a folder of its own."""

    def made(layers: str, name: str = "net", **inputs: tuple[int, ...]) -> Path:
        folder = tmp_path / name
        oracles.lay_out_one(Case(layers, inputs or {"data": (2, 3, 8, 8)}), folder, 7)
        return folder

    return made


def conv(name: str, bottom: str, top: str, outputs: int = 4) -> str:
    return layer(
        "Convolution", f"convolution_param {{ num_output: {outputs} kernel_size: 3 pad: 1 }}", bottom, top, name
    )


IN_PLACE = (
    conv("conv", "data", "conv")
    + layer("BatchNorm", "", "conv", "conv", "bn")
    + layer("Scale", "scale_param { bias_term: true }", "conv", "conv", "scale")
    + layer("ReLU", "", "conv", "conv", "relu")
    + layer("Dropout", "", "conv", "conv", "drop")
    + layer("InnerProduct", "inner_product_param { num_output: 5 }", "conv", "ip", "ip")
    + layer("Softmax", "", "ip", "prob", "prob")
)


def loaded(folder: Path) -> Any:
    return onnx.load(folder / "net.onnx")


def test_layers_in_place_keep_their_names_and_the_last_value_has_the_blobs(make: Make) -> None:
    folder = make(IN_PLACE)
    oracles.convert(folder)
    graph = loaded(folder).graph
    assert [(node.op_type, node.name, list(node.output)) for node in graph.node] == [
        ("Conv", "conv", ["conv/conv"]),
        ("BatchNormalization", "bn", ["conv/bn"]),
        ("Relu", "relu", ["conv"]),
        ("Flatten", "ip/flatten", ["ip/flatten"]),
        ("Gemm", "ip", ["ip"]),
        ("Softmax", "prob", ["prob"]),
    ]
    assert [value.name for value in graph.output] == ["prob"]
    assert {value.name for value in graph.value_info} == {"conv/conv", "conv/bn", "conv", "ip"}


def test_an_input_that_a_layer_works_on_in_place_keeps_its_name(make: Make) -> None:
    folder = make(layer("Power", "power_param { shift: -100 }", "data", "data", "mean") + conv("c", "data", "c"))
    oracles.convert(folder)
    graph = loaded(folder).graph
    assert [value.name for value in graph.input] == ["data"]
    assert list(graph.node[0].output) == ["data/mean"] == [graph.node[1].input[0]]


def test_a_name_that_is_taken_gets_a_number(make: Make) -> None:
    folder = make(conv("c", "data", "c") + layer("ReLU", "", "c", "c", "r") + layer("ReLU", "", "c", "c/c", "r"))
    oracles.convert(folder)
    graph = loaded(folder).graph
    assert [(node.name, node.output[0]) for node in graph.node] == [("c", "c/c_2"), ("r", "c"), ("r_2", "c/c")]


@pytest.mark.parametrize("top", ["b", "own"])
def test_a_scale_is_folded_into_a_batch_norm_where_it_works_in_place(make: Make, top: str) -> None:
    scale = layer("Scale", "scale_param { bias_term: true }", "b", top, "scale")
    folder = make(layer("BatchNorm", "", "data", "b", "bn") + scale)
    oracles.convert(folder)
    kinds = [node.op_type for node in loaded(folder).graph.node]
    assert kinds == ["BatchNormalization"] if top == "b" else ["BatchNormalization", "Mul", "Add"]


def test_what_no_layer_reads_becomes_an_output_and_keep_chooses_others(make: Make) -> None:
    folder = make(conv("a", "data", "a") + layer("TanH", "", "a", "b", "t") + layer("Sigmoid", "", "a", "c", "s"))
    oracles.convert(folder)
    assert [value.name for value in loaded(folder).graph.output] == ["b", "c"]
    plan = oracles.convert(folder, keep=("a", "b"))
    graph = loaded(folder).graph
    assert [value.name for value in graph.output] == ["a", "b"]
    assert "Sigmoid" not in {node.op_type for node in graph.node}
    assert any("'s' dropped" in change for change in plan.changes)
    with pytest.raises(StepError, match="no layer makes the output 'nope'"):
        oracles.convert(folder, keep=("nope",))


def test_a_dropout_that_makes_a_blob_of_its_own_leaves_only_a_name(make: Make) -> None:
    folder = make(conv("a", "data", "a") + layer("Dropout", "", "a", "d", "drop"))
    oracles.convert(folder)
    graph = loaded(folder).graph
    assert [(node.op_type, node.output[0]) for node in graph.node] == [("Conv", "a"), ("Identity", "d")]


def test_a_dynamic_batch_gives_what_each_fixed_batch_gives(make: Make) -> None:
    pool = layer("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }", "conv", "pool", "pool")
    shape = layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 5 } }", "pool", "shaped", "shape")
    text = IN_PLACE.partition('layer { name: "ip"')[0] + pool + shape
    text += layer("InnerProduct", "inner_product_param { num_output: 3 axis: 2 }", "shaped", "ip", "ip")
    folder = make(text, data=(2, 3, 9, 9))
    oracles.convert(folder, batch="dynamic")
    model = loaded(folder)
    assert [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == ["N", 3, 9, 9]
    for batch in (1, 2, 5):
        given = {"data": np.random.default_rng(batch).normal(size=(batch, 3, 9, 9)).astype(np.float32)}
        dynamic = oracles.session(folder / "net.onnx").run(["ip"], given)[0]
        oracles.convert(folder, batch=batch)
        assert np.array_equal(oracles.session(folder / "net.onnx").run(["ip"], given)[0], dynamic)
        oracles.convert(folder, batch="dynamic")


def test_a_net_that_names_its_batch_in_a_reshape_cannot_have_a_dynamic_one(make: Make) -> None:
    folder = make(layer("Reshape", "reshape_param { shape { dim: 2 dim: 192 } }", "data", "flat", "shape"))
    oracles.convert(folder)
    with pytest.raises(StepError) as caught:
        oracles.convert(folder, batch="dynamic")
    assert "shape" in str(caught.value.where)


@pytest.mark.parametrize("opset", range(11, 22))
def test_every_opset_gives_the_same_numbers(make: Make, opset: int) -> None:
    text = IN_PLACE + layer("Slice", "slice_param { axis: 1 slice_point: 2 }", "prob", "l r", "cut")
    text += layer("Reduction", "reduction_param { operation: MEAN axis: 1 }", "r", "mean", "mean")
    folder = make(text)
    given = oracles.answers(folder / "inputs.npz")
    oracles.convert(folder, opset=13)
    expected = oracles.run(folder / "net.onnx", given)
    oracles.convert(folder, opset=opset)
    model = loaded(folder)
    onnx.checker.check_model(model, full_check=True)
    assert [item.version for item in model.opset_import] == [opset]
    found = oracles.run(folder / "net.onnx", given)
    assert all(oracles.difference(expected[name], found[name]) < 1e-6 for name in expected)


@pytest.mark.parametrize("opset", [10, 22])
def test_an_opset_that_cannot_be_written_is_wrong_usage(make: Make, opset: int) -> None:
    with pytest.raises(UsageError, match="opset"):
        oracles.convert(make(IN_PLACE), opset=opset)


def test_the_same_input_gives_the_same_bytes_and_the_model_names_its_sources(make: Make) -> None:
    folder = make(IN_PLACE)
    oracles.convert(folder)
    first = (folder / "net.onnx").read_bytes()
    oracles.convert(folder)
    assert (folder / "net.onnx").read_bytes() == first
    model = loaded(folder)
    said = {entry.key: entry.value for entry in model.metadata_props}
    for name, file in (("prototxt", "net.prototxt"), ("weights", "net.caffemodel")):
        digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        assert said[f"caffe.{name}.sha256"] == digest
        assert digest in model.doc_string
    assert model.producer_name == "modelprep"
    assert said["converter"] == f"modelprep {model.producer_version}"


def test_weights_outside_the_model_are_the_same_weights(make: Make) -> None:
    folder = make(IN_PLACE.replace("num_output: 5", "num_output: 50"))
    given = oracles.answers(folder / "inputs.npz")
    oracles.convert(folder)
    expected = oracles.run(folder / "net.onnx", given)
    whole = (folder / "net.onnx").stat().st_size
    plan = oracles.convert(folder, external=folder / "net.onnx.data")
    assert (folder / "net.onnx").stat().st_size < whole // 4
    large = [c for c in plan.graph.constants if c.size >= 1024]
    assert large
    onnx.checker.check_model(str(folder / "net.onnx"), full_check=True)
    found = oracles.run(folder / "net.onnx", given)
    assert np.array_equal(expected["prob"], found["prob"])


def test_weights_that_layers_share_are_stored_once(make: Make, tmp_path: Path) -> None:
    shared = 'param { name: "w" } param { name: "b" }'
    text = "".join(
        layer("InnerProduct", f"{shared} inner_product_param {{ num_output: 6 }}", "data", f"y{i}", f"ip{i}")
        for i in range(2)
    )
    folder = make(text, data=(2, 6))
    plan = oracles.convert(folder)
    assert [constant.name for constant in plan.graph.constants] == ["ip0/weight", "ip0/bias"]
    found = oracles.run(folder / "net.onnx", oracles.answers(folder / "inputs.npz"))
    assert np.array_equal(found["y0"], found["y1"])


def test_double_precision_and_old_four_number_shapes_are_read_as_caffe_reads_them(make: Make) -> None:
    folder = make(IN_PLACE)
    given = oracles.answers(folder / "inputs.npz")
    oracles.convert(folder)
    expected = oracles.run(folder / "net.onnx", given)
    net = new("NetParameter")
    net.ParseFromString((folder / "net.caffemodel").read_bytes())
    for one in net.layer:
        for blob in one.blobs:
            dims = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
            blob.ClearField("shape")
            blob.num, blob.channels, blob.height, blob.width = dims
            blob.double_data.extend(blob.data)
            blob.ClearField("data")
    (folder / "net.caffemodel").write_bytes(net.SerializeToString())
    oracles.convert(folder)
    assert np.array_equal(oracles.run(folder / "net.onnx", given)["prob"], expected["prob"])


OLD = """
name: "old" input: "data" input_dim: 1 input_dim: 3 input_dim: 6 input_dim: 6
layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" convolution_param { num_output: 4 kernel_size: 3 } }
layers { name: "r" type: RELU bottom: "c" top: "c" }
layers { name: "p" type: SOFTMAX bottom: "c" top: "p" }
"""


def test_a_net_of_old_syntax_is_converted_as_what_caffe_makes_of_it(make: Make) -> None:
    folder = make(conv("c", "data", "c") + layer("ReLU", "", "c", "c", "r"), data=(1, 3, 6, 6))
    (folder / "net.prototxt").write_text(OLD)
    plan = oracles.convert(folder)
    assert plan.generation == "V1"
    assert [value.name for value in loaded(folder).graph.input] == ["data"]


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        (layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }", "data"), "draws random numbers"),
        (layer("SoftmaxWithLoss", "", "data data"), "belongs to training"),
        (layer("Python", "python_param { module: 'm' layer: 'L' }", "data"), "Python module"),
        (layer("Proposal", "", "data"), "not known"),
        (layer("HardSigmoid", "", "data"), "do not agree"),
        (layer("Pooling", "pooling_param { pool: AVE kernel_size: 1 stride: 4 }", "data"), None),
        (layer("Pooling", "pooling_param { kernel_size: 1 stride: 6 }", "data"), "beyond the input"),
        (layer("Log", "log_param { base: 1 }", "data"), "base 1"),
        (layer("DummyData", "dummy_data_param { shape { dim: 1 } data_filler { type: 'gaussian' } }", ""), "random"),
        (
            layer("DetectionOutput", "detection_output_param { num_classes: 3 nms_param { eta: 0.9 } }", "l c p"),
            "adaptive threshold",
        ),
        (layer("DetectionOutput", "detection_output_param { num_classes: 3 }", "l c c"), "more than 2 axes"),
        (layer("PriorBox", "prior_box_param { min_size: 3 aspect_ratio: 0 flip: true }", "data data"), "positive"),
        (layer("PriorBox", "prior_box_param { min_size: inf }", "data data"), "positive"),
    ],
)  # fmt: skip
def test_what_cannot_be_exact_is_refused_by_layer(make: Make, layers: str, why: str | None) -> None:
    folder = make("", data=(1, 3, 9, 9), l=(1, 16), c=(1, 12), p=(1, 2, 16))
    (folder / "net.prototxt").write_text(Case(layers, {"data": (1, 3, 9, 9), "l": (1, 16), "c": (1, 12),
                                                       "p": (1, 2, 16)}).text())  # fmt: skip
    if why is None:
        oracles.convert(folder)
        return
    with pytest.raises(StepError) as caught:
        oracles.convert(folder)
    assert why in caught.value.what
    assert "layer 'l'" in str(caught.value.where)
    assert not (folder / "net.onnx").exists()


def test_all_layers_that_cannot_be_converted_are_named_at_once(make: Make) -> None:
    folder = make(IN_PLACE)
    (folder / "net.prototxt").write_text(
        Case(layer("Alpha", "", "data", "a", "first") + layer("Beta", "", "a", "b", "second"), {"data": (1, 2)}).text()
    )
    with pytest.raises(StepError) as caught:
        oracles.convert(folder)
    assert "'first'" in caught.value.what
    assert "'second' (Beta)" in str(caught.value.hint)


def test_an_input_without_a_shape_is_refused(make: Make) -> None:
    folder = make(IN_PLACE)
    text = (folder / "net.prototxt").read_text()
    head, _, rest = text.partition("input_param")
    (folder / "net.prototxt").write_text(head + rest[rest.index("} } }") + 4 :])
    with pytest.raises(ModelprepError) as caught:
        oracles.convert(folder)
    assert "shape" in caught.value.what


SSD = (
    layer("PriorBox", "prior_box_param { min_size: 30 aspect_ratio: 2 variance: 0.1 variance: 0.1 variance: 0.2 "
          "variance: 0.2 }", "f data", "priors", "priors")
    + layer("DetectionOutput", "detection_output_param { num_classes: 3 code_type: CENTER_SIZE keep_top_k: 5 "
            "confidence_threshold: 0.4 nms_param { nms_threshold: 0.4 top_k: 9 } }", "loc conf priors", "found",
            "found")
)  # fmt: skip


@pytest.mark.parametrize("batch", [None, "dynamic"])
def test_raw_detections_are_the_boxes_and_scores_that_the_rows_are_chosen_from(make: Make, batch: str | None) -> None:
    folder = make(SSD, data=(1, 3, 64, 64), f=(1, 2, 3, 3), loc=(1, 3 * 3 * 3 * 4), conf=(1, 3 * 3 * 3 * 3))
    given = oracles.answers(folder / "inputs.npz")
    given["conf"] = np.random.default_rng(3).uniform(0, 1, given["conf"].shape).astype(np.float32)
    oracles.convert(folder, batch=batch)
    rows = oracles.run(folder / "net.onnx", given)["found"][0, 0]
    oracles.convert(folder, batch=batch, raw_detections=True)
    raw = oracles.run(folder / "net.onnx", given)
    boxes, scores = raw["found/boxes"][0], raw["found/scores"][0]
    assert boxes.shape == (27, 4)
    assert scores.shape == (3, 27)
    assert 0 < len(rows) <= 5
    for row in rows:
        at = int(np.argmin(np.abs(scores[int(row[1])] - row[2])))
        assert scores[int(row[1]), at] == row[2]
        assert np.array_equal(boxes[at], row[3:])


def test_a_prototxt_read_back_says_what_the_schema_of_the_forks_says() -> None:
    text = 'layer { name: "u" type: "Upsample" bottom: "x" top: "y" upsample_param { scale: 3 } }'
    assert prototxt.read(text).layer[0].upsample_param.scale == 3
