"""What OpenCV is told of a Caffe net, so that it computes what Caffe computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelprep.check.runtimes import host
from modelprep.errors import CheckFailed
from modelprep.formats.caffe import prototxt

INPUT = 'layer { name: "in" type: "Input" top: "in" input_param { shape { dim: 1 dim: 5 dim: 2 dim: 2 } } }'
#: The same layer, with nothing but its size said, in the format of today and in V1's.
NETS = {
    "layer": INPUT + 'layer { name: "n" type: "LRN" bottom: "in" top: "n" lrn_param { local_size: 3 beta: 0.5 } }',
    "no parameters": INPUT + 'layer { name: "n" type: "LRN" bottom: "in" top: "n" }',
    "V1": 'input: "in" input_dim: 1 input_dim: 5 input_dim: 2 input_dim: 2 '
    'layers { name: "n" type: LRN bottom: "in" top: "n" lrn_param { local_size: 3 beta: 0.5 } }',
}


@pytest.mark.parametrize("name", NETS)
def test_an_lrn_without_alpha_is_computed_with_caffes_alpha_of_1(name: str, tmp_path: Path) -> None:
    np = pytest.importorskip("numpy", reason="OpenCV runs the net")
    pytest.importorskip("cv2", reason="needs OpenCV before version 5")
    if host.opencv() is None:
        pytest.skip("OpenCV 5 has no Caffe reader")
    weights = tmp_path / "net.caffemodel"
    weights.write_bytes(b"")
    _, net = host.caffe_net(NETS[name].encode(), weights)
    given = np.random.default_rng(3).uniform(1, 4, (1, 5, 2, 2)).astype("f4")
    net.setInput(given)
    # caffe.proto: local_size 5, alpha 1, beta 0.75, k 1; the sum is divided by local_size.
    size, beta = (5, 0.75) if name == "no parameters" else (3, 0.5)
    squares = np.pad(given.astype("f8") ** 2, ((0, 0), (size // 2, size // 2), (0, 0), (0, 0)))
    sums = sum(squares[:, start : start + 5] for start in range(size))
    assert net.forward("n") == pytest.approx(given / (1 + sums / size) ** beta, rel=1e-5)


def test_an_alpha_that_is_said_and_a_net_without_lrn_stay_as_they_are() -> None:
    said = (INPUT + 'layer { name: "n" type: "LRN" bottom: "in" top: "n" lrn_param { alpha: 1e-4 } }').encode()
    other = (INPUT + 'layer { name: "r" type: "ReLU" bottom: "in" top: "r" }').encode()
    assert [host.with_defaults(text) for text in (said, other)] == [said, other]
    assert prototxt.read_bytes(host.with_defaults(NETS["V1"].encode())).layers[0].lrn_param.HasField("alpha")


def test_what_opencv_refuses_is_told_with_the_file(tmp_path: Path) -> None:
    if host.opencv() is None:
        pytest.skip("needs OpenCV before version 5")
    weights = tmp_path / "net.caffemodel"
    weights.write_bytes(b"\xff\xff not a model")
    with pytest.raises(CheckFailed) as failed:
        host.caffe_net(NETS["layer"].encode(), weights)
    assert str(weights) in str(failed.value.where)
