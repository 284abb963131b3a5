"""The target armnn-19.02: defaults written out, and everything that parser would get wrong refused by its rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelprep.errors import StepError
from modelprep.formats.caffe import bake
from modelprep.formats.caffe.messages import new

HEAD = (
    'name: "n" layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 dim: 9 dim: 9 } } }\n'
)
TARGET = bake.Options(target="armnn-19.02")


def one(type_: str, params: str = "", *, bottoms: int = 1) -> str:
    """A net of one layer behind the input."""
    return HEAD + f'layer {{ name: "x" type: "{type_}" ' + 'bottom: "data" ' * bottoms + f'top: "x" {params} }}'


REFUSED = {
    "CF05": one("Sigmoid"),
    "CF11": 'layer { name: "d" type: "Input" top: "a" top: "b" input_param { shape { dim: 1 dim: 3 } } }',
    "CF13": 'layer { name: "d" type: "Input" top: "a" }',
    "CF17": HEAD + 'layer { name: "a" type: "ReLU" bottom: "data" top: "r" } '
    'layer { name: "b" type: "Eltwise" bottom: "r" bottom: "data" top: "r" }',
    "CF20": one("Convolution", "convolution_param { num_output: 2 kernel_size: 3 dilation: 2 }"),
    "CF21": one("Convolution", "convolution_param { num_output: 2 kernel_size: 3 }").replace("dim: 1 dim: 4", "dim: 4"),
    "CF24": one("Convolution", "convolution_param { num_output: 8 kernel_size: 3 group: 4 }"),
    "CF25": one("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"),
    "CF27": one("Pooling", "pooling_param { pool: MAX kernel_size: 2 stride_h: 2 stride_w: 1 }"),
    "CF28": one("Pooling", "pooling_param { pool: MAX kernel_size: 2 stride: 2 round_mode: FLOOR }"),
    "CF34": one("InnerProduct", "inner_product_param { num_output: 2 transpose: true }"),
    "CF35": one("Softmax", "softmax_param { axis: 2 }"),
    "CF36": one("Eltwise", bottoms=3),
    "CF37": one("Eltwise", "eltwise_param { coeff: 1 coeff: -1 }", bottoms=2),
    "CF38": HEAD
    + 'layer { name: "f" type: "InnerProduct" bottom: "data" top: "f" inner_product_param { num_output: 2 } } '
    'layer { name: "c" type: "Concat" bottom: "f" bottom: "f" top: "c" }',
    "CF39": one("Concat", "concat_param { axis: 2 }", bottoms=2),
    "CF40": one("BatchNorm", "batch_norm_param { use_global_stats: false }"),
    "CF42": one("Scale", "scale_param { axis: 2 }"),
    "CF43": one("Scale", "scale_param { num_axes: 2 }"),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_what_the_parser_gets_wrong_is_refused_by_its_rule(rule: str, net_file: Callable[..., Path]) -> None:
    with pytest.raises(StepError) as caught:
        bake.structure(net_file(REFUSED[rule]), TARGET)
    assert f"rule {rule}" in (caught.value.expected or "")
    assert caught.value.where
    # Without the target nothing of it is the bake's business.
    if rule != "CF17":
        assert bake.structure(net_file(REFUSED[rule])).net.layer


def test_the_eltwise_operation_max_is_refused(net_file: Callable[..., Path]) -> None:
    with pytest.raises(StepError) as caught:
        bake.structure(net_file(one("Eltwise", "eltwise_param { operation: MAX }", bottoms=2)), TARGET)
    assert "MAX" in (caught.value.got or "")


def test_all_reasons_are_told_at_once(net_file: Callable[..., Path]) -> None:
    text = one("Softmax", "softmax_param { axis: 2 }") + ' layer { name: "y" type: "TanH" bottom: "x" top: "y" }'
    with pytest.raises(StepError) as caught:
        bake.structure(net_file(text), TARGET)
    assert "CF05 layer 'y'" in (caught.value.hint or "")


def test_a_loss_or_an_accuracy_is_a_warning_only(net_file: Callable[..., Path]) -> None:
    ready = bake.structure(net_file(one("Silence").replace('top: "x"', "")), TARGET)
    assert any("Silence" in text for text in ready.warnings)


def test_defaults_are_written_out(net_file: Callable[..., Path]) -> None:
    text = one("Pooling", "pooling_param { kernel_size: 3 }") + ' layer { name: "n" type: "LRN" bottom: "x" top: "n" }'
    ready = bake.structure(net_file(text), TARGET)
    pool, norm = ready.net.layer[1].pooling_param, ready.net.layer[2].lrn_param
    assert all(pool.HasField(name) for name in ("pool", "stride"))
    assert (pool.pool, pool.stride) == (0, 1)
    assert all(norm.HasField(name) for name in ("local_size", "alpha", "beta"))
    assert (norm.local_size, norm.alpha, norm.beta) == (5, 1.0, 0.75)
    assert len(ready.changes) == 5


def test_global_pooling_needs_no_stride_and_a_false_one_goes(net_file: Callable[..., Path]) -> None:
    with_true = bake.structure(net_file(one("Pooling", "pooling_param { pool: AVE global_pooling: true }")), TARGET)
    assert not with_true.net.layer[1].pooling_param.HasField("stride")
    with_false = bake.structure(
        net_file(one("Pooling", "pooling_param { kernel_size: 2 global_pooling: false }")), TARGET
    )
    pool = with_false.net.layer[1].pooling_param
    assert not pool.HasField("global_pooling")
    assert pool.HasField("stride")


def test_a_rectangular_kernel_is_written_as_height_and_width(net_file: Callable[..., Path]) -> None:
    text = one(
        "Convolution",
        "convolution_param { num_output: 2 kernel_size: 3 kernel_size: 1 pad: 1 pad: 0 stride: 2 stride: 2 }",
    )
    p = bake.structure(net_file(text), TARGET).net.layer[1].convolution_param
    assert (p.kernel_h, p.kernel_w, p.pad_h, p.pad_w) == (3, 1, 1, 0)
    assert not p.kernel_size
    assert list(p.stride) == [2, 2]


def test_fields_whose_mere_presence_counts_go(net_file: Callable[..., Path]) -> None:
    text = one("Scale", "scale_param { bias_term: false axis: -3 }") + (
        ' layer { name: "f" type: "InnerProduct" bottom: "x" top: "f" '
        "inner_product_param { num_output: 2 transpose: false } }"
    )
    ready = bake.structure(net_file(text), TARGET)
    assert not ready.net.layer[1].scale_param.HasField("bias_term")
    assert not ready.net.layer[1].scale_param.HasField("axis")
    assert not ready.net.layer[2].inner_product_param.HasField("transpose")


def test_a_missing_bias_becomes_zeros(
    net_file: Callable[..., Path], weights_for: Callable[..., Path], tmp_path: Path
) -> None:
    structure = net_file(one("InnerProduct", "inner_product_param { num_output: 3 bias_term: false }"))
    decided = bake.plan(structure, weights_for(structure), TARGET)
    bake.write_plan(decided, tmp_path / "out")
    net = new("NetParameter")
    net.ParseFromString((tmp_path / "out").read_bytes())
    fc = net.layer[1]
    assert fc.inner_product_param.bias_term
    assert (list(fc.blobs[1].data), list(fc.blobs[1].shape.dim)) == ([0.0] * 3, [3])
    with pytest.raises(StepError, match="zeros"):
        bake.write_plan(decided, tmp_path / "other", engine="pycaffe")


def test_an_unknown_target_is_an_error(net_file: Callable[..., Path]) -> None:
    with pytest.raises(StepError) as caught:
        bake.structure(net_file(one("ReLU")), bake.Options(target="armnn-21.02"))
    assert caught.value.expected == "armnn-19.02"


def test_clipping_of_a_last_window_in_the_padding_is_refused(net_file: Callable[..., Path]) -> None:
    # 9 + 2 - 3 = 8, / 5 up is 2, + 1 = 3 windows; the third starts at 10 = 9 + 1, in the padding: Caffe drops it.
    with pytest.raises(StepError) as caught:
        bake.structure(net_file(one("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 5 pad: 1 }")), TARGET)
    assert caught.value.got == "the pooled height would be 3, in Caffe it is 2"


REAL = [
    "BVLC/caffe/master/models/bvlc_alexnet/deploy.prototxt",
    "BVLC/caffe/master/models/bvlc_googlenet/deploy.prototxt",
    "BVLC/caffe/master/examples/cifar10/cifar10_full.prototxt",
    "BVLC/caffe/master/examples/mnist/lenet.prototxt",
    "pertusa/InceptionBN-21K-for-Caffe/master/deploy.prototxt",
    "KaimingHe/deep-residual-networks/master/prototxt/ResNet-50-deploy.prototxt",
    "hojel/caffe-yolo-model/master/prototxt/yolo_tiny_deploy.prototxt",
]


@pytest.mark.parametrize("path", REAL)
def test_the_nets_that_arm_tested_are_taken(path: str, upstream: Path) -> None:
    ready = bake.structure(upstream / "raw.githubusercontent.com" / path, TARGET)
    assert ready.net.layer
