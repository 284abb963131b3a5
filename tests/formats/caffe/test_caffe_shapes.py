# ruff: noqa: E501 - a table of cases, one a line or two
"""Shape rules by hand-worked examples; the whole zoo is held against a real Caffe in test_caffe_against_pycaffe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelprep.errors import StepError
from modelprep.formats.caffe import prototxt
from modelprep.formats.caffe.shapes.infer import infer


def net(layer: str, *inputs: tuple[int, ...]) -> Any:
    text = ""
    for i, shape in enumerate(inputs or ((2, 6, 9, 8),)):
        dims = " ".join(f"dim: {d}" for d in shape)
        text += f'layer {{ name: "i{i}" type: "Input" top: "b{i}" input_param {{ shape {{ {dims} }} }} }}\n'
    return prototxt.read(text + f'layer {{ name: "x" {layer} }}')


B0, B01 = 'bottom: "b0"', 'bottom: "b0" bottom: "b1"'
CASES: dict[str, tuple[str, tuple[tuple[int, ...], ...], list[tuple[int, ...]], list[tuple[int, ...]]]] = {
    "convolution": (
        f'type: "Convolution" {B0} top: "t" convolution_param {{ num_output: 4 kernel_size: 3 stride: 2 }}',
        ((2, 6, 9, 8),), [(2, 4, 4, 3)], [(4, 6, 3, 3), (4,)],
    ),
    "convolution, dilated, grouped, no bias": (
        f'type: "Convolution" {B0} top: "t" convolution_param {{ num_output: 4 kernel_size: 3 dilation: 2 group: 2 bias_term: false }}',
        ((2, 6, 9, 8),), [(2, 4, 5, 4)], [(4, 3, 3, 3)],
    ),
    "convolution, rectangular": (
        f'type: "Convolution" {B0} top: "t" convolution_param {{ num_output: 4 kernel_h: 1 kernel_w: 5 pad_h: 0 pad_w: 2 }}',
        ((2, 6, 9, 8),), [(2, 4, 9, 8)], [(4, 6, 1, 5), (4,)],
    ),
    "convolution, three axes of space": (
        f'type: "Convolution" {B0} top: "t" convolution_param {{ num_output: 4 kernel_size: 3 kernel_size: 2 kernel_size: 1 }}',
        ((2, 6, 9, 8, 7),), [(2, 4, 7, 7, 7)], [(4, 6, 3, 2, 1), (4,)],
    ),
    "deconvolution": (
        f'type: "Deconvolution" {B0} top: "t" convolution_param {{ num_output: 3 kernel_size: 4 stride: 2 pad: 1 group: 3 }}',
        ((2, 6, 9, 8),), [(2, 3, 18, 16)], [(6, 1, 4, 4), (3,)],
    ),
    "pooling rounds up": (
        f'type: "Pooling" {B0} top: "t" pooling_param {{ kernel_size: 2 stride: 2 }}', ((2, 6, 9, 8),), [(2, 6, 5, 4)], [],
    ),
    "pooling clips a window in the padding": (
        f'type: "Pooling" {B0} top: "t" pooling_param {{ kernel_size: 3 stride: 5 pad: 1 }}', ((2, 6, 9, 9),), [(2, 6, 2, 2)], [],
    ),
    "pooling of all": (
        f'type: "Pooling" {B0} top: "t" pooling_param {{ global_pooling: true }}', ((2, 6, 9, 8),), [(2, 6, 1, 1)], [],
    ),
    "pooling with a mask": (
        f'type: "Pooling" {B0} top: "t" top: "m" pooling_param {{ kernel_size: 3 }}',
        ((2, 6, 9, 8),), [(2, 6, 7, 6), (2, 6, 7, 6)], [],
    ),
    "inner product along an axis": (
        f'type: "InnerProduct" {B0} top: "t" inner_product_param {{ num_output: 5 axis: 2 }}',
        ((2, 6, 9, 8),), [(2, 6, 5)], [(5, 72), (5,)],
    ),
    "inner product, transposed": (
        f'type: "InnerProduct" {B0} top: "t" inner_product_param {{ num_output: 5 transpose: true }}',
        ((2, 6, 9, 8),), [(2, 5)], [(432, 5), (5,)],
    ),
    "concat": (f'type: "Concat" {B01} top: "t"', ((2, 6, 9, 8), (2, 1, 9, 8)), [(2, 7, 9, 8)], []),
    "concat from the end": (
        f'type: "Concat" {B01} top: "t" concat_param {{ axis: -1 }}', ((2, 6), (2, 3)), [(2, 9)], [],
    ),
    "concat_dim": (f'type: "Concat" {B01} top: "t" concat_param {{ concat_dim: 0 }}', ((2, 6), (1, 6)), [(3, 6)], []),
    "prelu": (f'type: "PReLU" {B0} top: "t"', ((2, 6, 9, 8),), [(2, 6, 9, 8)], [(6,)]),
    "prelu, shared": (
        f'type: "PReLU" {B0} top: "t" prelu_param {{ channel_shared: true }}', ((2, 6),), [(2, 6)], [()],
    ),
    "batch norm": (f'type: "BatchNorm" {B0} top: "t"', ((2, 6, 9, 8),), [(2, 6, 9, 8)], [(6,), (6,), (1,)]),
    "scale with bias": (
        f'type: "Scale" {B0} top: "t" scale_param {{ bias_term: true }}', ((2, 6, 9, 8),), [(2, 6, 9, 8)], [(6,), (6,)],
    ),
    "scale of several axes": (
        f'type: "Scale" {B0} top: "t" scale_param {{ axis: 1 num_axes: -1 }}', ((2, 6, 9),), [(2, 6, 9)], [(6, 9)],
    ),
    "scale by another blob": (f'type: "Scale" {B01} top: "t"', ((2, 6, 9), (6,)), [(2, 6, 9)], []),
    "bias": (f'type: "Bias" {B0} top: "t"', ((2, 6),), [(2, 6)], [(6,)]),
    "crop": (f'type: "Crop" {B01} top: "t" crop_param {{ axis: 2 offset: 1 }}', ((2, 6, 9, 8), (1, 1, 4, 5)), [(2, 6, 4, 5)], []),
    "flatten": (f'type: "Flatten" {B0} top: "t"', ((2, 6, 9, 8),), [(2, 432)], []),
    "flatten a part": (
        f'type: "Flatten" {B0} top: "t" flatten_param {{ axis: 2 end_axis: 3 }}', ((2, 6, 9, 8),), [(2, 6, 72)], [],
    ),
    "reshape with 0 and -1": (
        f'type: "Reshape" {B0} top: "t" reshape_param {{ shape {{ dim: 0 dim: -1 dim: 4 }} }}', ((2, 6, 9, 8),), [(2, 108, 4)], [],
    ),
    "reshape of some axes": (
        f'type: "Reshape" {B0} top: "t" reshape_param {{ shape {{ dim: 3 dim: 2 }} axis: 1 num_axes: 1 }}',
        ((2, 6, 9),), [(2, 3, 2, 9)], [],
    ),
    "slice evenly": (f'type: "Slice" {B0} top: "t" top: "u"', ((2, 6, 9),), [(2, 3, 9), (2, 3, 9)], []),
    "slice at points": (
        f'type: "Slice" {B0} top: "t" top: "u" slice_param {{ slice_point: 2 }}', ((2, 6, 9),), [(2, 2, 9), (2, 4, 9)], [],
    ),
    "argmax": (f'type: "ArgMax" {B0} top: "t" argmax_param {{ top_k: 3 out_max_val: true }}', ((2, 6, 9, 8),), [(2, 2, 3, 1)], []),
    "argmax along an axis": (f'type: "ArgMax" {B0} top: "t" argmax_param {{ axis: 1 }}', ((2, 6, 9),), [(2, 1, 9)], []),
    "reduction": (f'type: "Reduction" {B0} top: "t" reduction_param {{ axis: 1 }}', ((2, 6, 9),), [(2,)], []),
    "tile": (f'type: "Tile" {B0} top: "t" tile_param {{ axis: 1 tiles: 3 }}', ((2, 6),), [(2, 18)], []),
    "embed": (f'type: "Embed" {B0} top: "t" embed_param {{ num_output: 4 input_dim: 9 }}', ((2, 6),), [(2, 6, 4)], [(9, 4), (4,)]),
    "spp": (f'type: "SPP" {B0} top: "t" spp_param {{ pyramid_height: 3 }}', ((2, 6, 9, 8),), [(2, 126)], []),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_layer_gives_these_shapes(name: str) -> None:
    text, inputs, tops, weights = CASES[name]
    found = infer(net(text, *inputs)).layers[-1]
    assert list(found.tops) == tops
    assert list(found.weights or ()) == weights


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_real_caffe_gives_the_same(
    name: str, caffe_shapes: Callable[[Path], dict[str, Any]], net_file: Callable[..., Path]
) -> None:
    text, inputs, tops, weights = CASES[name]
    asked = caffe_shapes(net_file(prototxt.write(net(text, *inputs))))
    assert [tuple(asked["blobs"][top]) for top in ("t", "u", "m") if top in asked["blobs"]] == tops
    assert [tuple(shape) for shape in asked["weights"].get("x", [])] == weights


WRONG = {
    "an unknown blob": ('type: "ReLU" bottom: "bb" top: "t"', "no earlier layer makes"),
    "a window too large": (
        f'type: "Convolution" {B0} top: "t" convolution_param {{ num_output: 1 kernel_size: 30 }}', "larger than the padded",
    ),
    "a group that does not divide": (
        f'type: "Convolution" {B0} top: "t" convolution_param {{ num_output: 4 kernel_size: 1 group: 4 }}', "group does not divide",
    ),
    "no kernel": (f'type: "Convolution" {B0} top: "t" convolution_param {{ num_output: 4 }}', "not given"),
    "two ways to say the kernel": (
        f'type: "Convolution" {B0} top: "t" convolution_param {{ num_output: 4 kernel_size: 1 kernel_h: 1 kernel_w: 1 }}', "not both",
    ),
    "padding as large as the kernel": (
        f'type: "Pooling" {B0} top: "t" pooling_param {{ kernel_size: 2 pad: 2 }}', "smaller than the kernel",
    ),
    "an axis that is not there": (f'type: "Concat" {B0} top: "t" concat_param {{ axis: 4 }}', "no such axis"),
    "a reshape that does not fit": (
        f'type: "Reshape" {B0} top: "t" reshape_param {{ shape {{ dim: 7 }} }}', "another number of values",
    ),
    "two holes": (f'type: "Reshape" {B0} top: "t" reshape_param {{ shape {{ dim: -1 dim: -1 }} }}', "only one dimension"),
    "a slice that does not divide": (f'type: "Slice" {B0} top: "t" top: "u" top: "v" top: "w"', "equal parts"),
    "one bottom for a sum": (f'type: "Eltwise" {B0} top: "t"', "wrong number of bottoms"),
    "a factor of another shape": ('type: "Scale" bottom: "b0" bottom: "b1" top: "t"', "no part of the first"),
    "too many values": (f'type: "Tile" {B0} top: "t" tile_param {{ axis: 1 tiles: 2000000000 }}', "more than 2^31"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_an_error_at_its_layer(name: str) -> None:
    text, said = WRONG[name]
    with pytest.raises(StepError) as caught:
        infer(net(text, (2, 6, 9, 8), (2, 6)))
    assert said in caught.value.what
    assert "'x'" in (caught.value.where or "")


def test_behind_an_unknown_type_what_is_known_is_still_checked() -> None:
    text = net(f'type: "Odd" {B0} top: "o"')
    text.layer.add(name="fc", type="InnerProduct", bottom=["o"], top=["f"]).inner_product_param.num_output = 3
    found = infer(text)
    assert found.layers[-1].weights == ((3, None), (3,))
    assert any("'Odd'" in warning for warning in found.warnings)
