"""A Caffe net with a TensorFlow graph's weights computes what the graph computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelprep.errors import StepError
from modelprep.formats.caffe import bake, prototxt
from modelprep.formats.caffe.messages import new
from modelprep.steps import Call, find

NAMES = {layer: [f"{layer}/weights", f"{layer}/biases"] for layer in ("conv1", "conv2", "conv3", "ip1")}
RAW = "raw.githubusercontent.com"


@pytest.fixture
def twin(upstream: Path) -> Path:
    return upstream / RAW / "ARM-software/armnn/v18.02/tests/TfCifar10-Armnn/cifar10_tf.prototxt"


@pytest.fixture
def deploy(upstream: Path) -> Path:
    return upstream / RAW / "BVLC/caffe/master/examples/cifar10/cifar10_full.prototxt"


def rebuilt(twin: Path, deploy: Path, folder: Path) -> Path:
    step = find("caffe.from_tf")
    step.run(Call({"graph": twin, "prototxt": deploy, "constants": NAMES}, folder / "trained"))
    options = bake.Options(
        batch=1, target="armnn-19.02", set={"layer[type=LRN].lrn_param.norm_region": "ACROSS_CHANNELS"}
    )
    bake.write_plan(bake.plan(deploy, folder / "trained", options), folder / "net.caffemodel")
    return folder / "net.caffemodel"


@pytest.mark.slow
def test_the_rebuilt_cifar_net_computes_what_its_twin_computes(twin: Path, deploy: Path, tmp_path: Path) -> None:
    np = pytest.importorskip("numpy", reason="the outputs are compared with numpy")
    cv2 = pytest.importorskip("cv2", reason="opencv-python-headless < 5 (the check extra) runs the Caffe net")
    tf = pytest.importorskip("tensorflow", reason="TensorFlow (the tf extra) runs the twin")
    from google.protobuf import text_format

    model = rebuilt(twin, deploy, tmp_path)
    net = new("NetParameter")
    net.ParseFromString(model.read_bytes())
    for layer in net.layer:
        layer.ClearField("blobs")
    (tmp_path / "own.prototxt").write_text(prototxt.write(net))
    reader = cv2.dnn.readNetFromCaffe(str(tmp_path / "own.prototxt"), str(model))
    graph = tf.compat.v1.GraphDef()
    text_format.Parse(twin.read_text(), graph)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph, name="")
        for seed in range(8):
            picture = np.random.default_rng(seed).integers(0, 256, (1, 3, 32, 32)).astype("<f4")
            reader.setInput(picture)
            ours = reader.forward().ravel()
            theirs = session.run("prob:0", {"data:0": picture.transpose(0, 2, 3, 1)}).ravel()
            np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-5)


def graph_of(tmp_path: Path, **tensors: tuple[tuple[int, ...], list[float]]) -> Path:
    """A text GraphDef of constants."""
    text = ""
    for name, (dims, values) in tensors.items():
        shape = " ".join(f"dim {{ size: {d} }}" for d in dims)
        numbers = " ".join(f"float_val: {v}" for v in values)
        text += f'node {{ name: "{name}" op: "Const" attr {{ key: "dtype" value {{ type: DT_FLOAT }} }} '
        tensor = f"tensor {{ dtype: DT_FLOAT tensor_shape {{ {shape} }} {numbers} }}"
        text += f'attr {{ key: "value" value {{ {tensor} }} }} }}\n'
    path = tmp_path / "graph.pbtxt"
    path.write_text(text)
    return path


NET = """
layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 2 dim: 1 dim: 3 } } }
layer { name: "f" type: "InnerProduct" bottom: "d" top: "f" inner_product_param { num_output: 2 } }
"""


def run(graph: Path, structure: Path, folder: Path, constants: dict[str, Any]) -> Any:
    out = folder / "out"
    find("caffe.from_tf").run(Call({"graph": graph, "prototxt": structure, "constants": constants}, out))
    net = new("NetParameter")
    net.ParseFromString(out.read_bytes())
    return net


def test_a_flattened_picture_goes_from_channels_last_to_channels_first(
    net_file: Callable[..., Path], tmp_path: Path
) -> None:
    # Three places of two channels: (w0 c0), (w0 c1), (w1 c0), ...; two outputs each.
    graph = graph_of(tmp_path, w=((6, 2), [10.0 * k + n for k in range(6) for n in range(2)]), b=((2,), [7.0, 8.0]))
    net = run(graph, net_file(NET), tmp_path, {"f": ["w", "b"]})
    assert list(net.layer[1].blobs[0].data) == [0, 20, 40, 10, 30, 50, 1, 21, 41, 11, 31, 51]
    assert list(net.layer[1].blobs[1].data) == [7, 8]


def test_a_convolution_goes_from_hwio_to_oihw(net_file: Callable[..., Path], tmp_path: Path) -> None:
    structure = net_file(
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 2 dim: 3 dim: 3 } } } '
        'layer { name: "c" type: "Convolution" bottom: "d" top: "c" '
        "convolution_param { num_output: 3 kernel_h: 1 kernel_w: 2 bias_term: false } }"
    )
    values = [100.0 * w + 10 * i + o for w in range(2) for i in range(2) for o in range(3)]
    net = run(graph_of(tmp_path, w=((1, 2, 2, 3), values)), structure, tmp_path, {"c": "w"})
    expected = [100.0 * w + 10 * i + o for o in range(3) for i in range(2) for w in range(2)]
    assert list(net.layer[1].blobs[0].data) == expected
    assert list(net.layer[1].blobs[0].shape.dim) == [3, 2, 1, 2]


@pytest.mark.parametrize(
    ("constants", "said"),
    [
        ({"f": ["w"]}, "takes 2 blobs and 1 constants"),
        ({}, "takes 2 blobs and 0 constants"),
        ({"f": ["w", "bb"]}, "no node 'bb'"),
        ({"g": ["w", "b"]}, "no layer 'g'"),
        ({"f": ["b", "w"]}, "not known here"),
        ({"f": ["w", "long"]}, "does not fit"),
        ({"f": ["w", 3]}, "lists of names"),
    ],
)
def test_constants_that_do_not_fit_are_errors(
    constants: dict[str, Any], said: str, net_file: Callable[..., Path], tmp_path: Path
) -> None:
    graph = graph_of(tmp_path, w=((6, 2), [0.5] * 12), b=((2,), [1.0, 2.0]), long=((3,), [1.0, 2.0, 3.0]))
    with pytest.raises(StepError) as caught:
        run(graph, net_file(NET), tmp_path, constants)
    assert said in caught.value.what
    assert not (tmp_path / "out").exists()
