"""What a baked model computes is what the net and its weights computed before, by OpenCV's own Caffe reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelprep.formats.caffe import bake, prototxt
from modelprep.formats.caffe.messages import new

RAW = "raw.githubusercontent.com"


@pytest.fixture
def cv2() -> Any:
    module = pytest.importorskip("cv2", reason="opencv-python-headless < 5 (the check extra) runs the nets")
    if not hasattr(module.dnn, "readNetFromCaffe"):
        pytest.skip("this OpenCV has no Caffe reader any more (5.0 dropped it)")
    return module


def outputs(cv2: Any, structure: Path, weights: Path, shape: tuple[int, ...]) -> Any:
    import numpy as np

    net = cv2.dnn.readNetFromCaffe(str(structure), str(weights))
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    net.setInput(np.random.default_rng(7).normal(0, 50, shape).astype("<f4"))
    return net.forward()


def own_prototxt(model: Path, path: Path) -> Path:
    """The structure that is in a baked file, as OpenCV wants it beside the weights."""
    net = new("NetParameter")
    net.ParseFromString(model.read_bytes())
    for layer in net.layer:
        layer.ClearField("blobs")
    path.write_text(prototxt.write(net))
    return path


def test_the_small_net_computes_the_same_from_its_baked_file(
    cv2: Any, small_net: Path, small_weights: Path, tmp_path: Path
) -> None:
    import numpy as np

    out = tmp_path / "out.caffemodel"
    bake.write_plan(bake.plan(small_net, small_weights), out)
    before = outputs(cv2, small_net, small_weights, (4, 3, 12, 12))
    after = outputs(cv2, own_prototxt(out, tmp_path / "own.prototxt"), out, (4, 3, 12, 12))
    np.testing.assert_array_equal(before, after)
    assert before.shape == (4, 5)
    assert float(np.ptp(before)) > 0


@pytest.mark.parametrize(
    ("structure", "weights"),
    [("cifar10_full", "cifar10_full_iter_60000"), ("cifar10_quick", "cifar10_quick_iter_5000")],
)
@pytest.mark.parametrize("target", [None, "armnn-19.02"])
def test_real_cifar_nets_compute_the_same_before_and_after(
    cv2: Any, structure: str, weights: str, target: str | None, upstream: Path, tmp_path: Path
) -> None:
    import numpy as np

    deploy = upstream / RAW / f"BVLC/caffe/master/examples/cifar10/{structure}.prototxt"
    commit = "91cb3b5e6fff4994616ada73c68c83801fcfd862"
    trained = upstream / RAW / f"everpeace/caffe/{commit}/examples/cifar10/{weights}.caffemodel"
    out = tmp_path / "out.caffemodel"
    bake.write_plan(bake.plan(deploy, trained, bake.Options(batch=1, target=target)), out)
    before = outputs(cv2, deploy, trained, (1, 3, 32, 32))
    after = outputs(cv2, own_prototxt(out, tmp_path / "own.prototxt"), out, (1, 3, 32, 32))
    np.testing.assert_array_equal(before, after)
    assert float(before.sum()) == pytest.approx(1, abs=1e-5)


def test_lenet_reads_digits_after_the_bake(cv2: Any, upstream: Path, tmp_path: Path) -> None:
    import gzip

    import numpy as np

    published = upstream / "github.com/ARM-software/ML-examples/raw/master/armnn-mnist/model/lenet_iter_9000.caffemodel"
    deploy = upstream / RAW / "BVLC/caffe/master/examples/mnist/lenet.prototxt"
    out = tmp_path / "out.caffemodel"
    bake.write_plan(bake.plan(deploy, published, bake.Options(batch=1, target="armnn-19.02")), out)
    images = gzip.decompress((upstream / "yann.lecun.com/exdb/mnist/t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((upstream / "yann.lecun.com/exdb/mnist/t10k-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, "u1", 200 * 784, 16).reshape(200, 1, 28, 28).astype("<f4")
    net = cv2.dnn.readNetFromCaffe(str(own_prototxt(out, tmp_path / "own.prototxt")), str(out))
    right = 0
    for i in range(200):
        net.setInput(pixels[i : i + 1])
        right += int(net.forward().argmax()) == labels[8 + i]
    assert right >= 196


def test_doubles_that_are_not_packed_compute_the_same(
    cv2: Any, small_net: Path, small_weights: Path, weights_for: Callable[..., Path], tmp_path: Path
) -> None:
    import numpy as np

    source = new("NetParameter")
    source.ParseFromString(small_weights.read_bytes())
    for layer in source.layer:
        for blob in layer.blobs:
            blob.double_data.extend(blob.data)
            blob.ClearField("data")
    doubles = tmp_path / "doubles.caffemodel"
    doubles.write_bytes(source.SerializeToString())
    bake.write_plan(bake.plan(small_net, doubles), tmp_path / "a.caffemodel")
    bake.write_plan(bake.plan(small_net, small_weights), tmp_path / "b.caffemodel")
    assert (tmp_path / "a.caffemodel").read_bytes() == (tmp_path / "b.caffemodel").read_bytes()
    before = outputs(cv2, small_net, small_weights, (4, 3, 12, 12))
    own = own_prototxt(tmp_path / "a.caffemodel", tmp_path / "own.prototxt")
    np.testing.assert_array_equal(before, outputs(cv2, own, tmp_path / "a.caffemodel", (4, 3, 12, 12)))
