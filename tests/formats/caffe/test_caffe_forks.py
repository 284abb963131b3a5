"""Nets of Caffe's forks: their fields are read, told by name and written with that fork's own numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from caffe_bytes import blob, field

from modelprep.errors import StepError
from modelprep.formats.caffe import bake, forks, messages, prototxt
from modelprep.formats.caffe.inspect import inspect
from modelprep.formats.protowire import fields

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 dim: 8 dim: 8 } } }\n'
BOXES = 'layer { name: "rois" type: "Input" top: "rois" input_param { shape { dim: 3 dim: 5 } } }\n'

#: A layer, what names its fork, the shape of its top.
LAYERS = {
    "Faster R-CNN": (
        BOXES + 'layer { name: "x" type: "ROIPooling" bottom: "data" bottom: "rois" top: "x" '
        "roi_pooling_param { pooled_w: 3 pooled_h: 2 spatial_scale: 0.0625 } }",
        "3x4x2x3",
    ),
    "R-FCN": (
        BOXES + 'layer { name: "x" type: "PSROIPooling" bottom: "data" bottom: "rois" top: "x" '
        "psroi_pooling_param { spatial_scale: 0.1 output_dim: 2 group_size: 3 } }",
        "3x2x3x3",
    ),
    "SegNet": (
        'layer { name: "x" type: "BN" bottom: "data" top: "x" bn_param { bn_mode: INFERENCE scale_filler { value: 1 } '
        "shift_filler { value: .001 } } }",
        "1x4x8x8",
    ),
    "PSPNet": (
        'layer { name: "x" type: "BN" bottom: "data" top: "x" bn_param { slope_filler { value: 1 } frozen: true } }',
        "1x4x8x8",
    ),
    "PSPNet (hszhao": (
        'layer { name: "x" type: "Interp" bottom: "data" top: "x" interp_param { zoom_factor: 2 } }',
        "1x4x15x15",
    ),
    "ENet": (
        'layer { name: "x" type: "Upsample" bottom: "data" top: "x" upsample_param { scale: 2 pad_out_h: true } }',
        "1x4x15x16",
    ),
    "NVIDIA": (
        'layer { name: "x" type: "BatchNorm" bottom: "data" top: "x" param { lr_mult: 1 } '
        "batch_norm_param { scale_filler { value: 1 } bias_filler { value: 0 } } }",
        "1x4x8x8",
    ),
    "CRNN": (
        'layer { name: "x" type: "ContinuationIndicator" top: "x" continuation_indicator_param '
        "{ time_step: 7 batch_size: 2 } }",
        "7x2",
    ),
    "YOLO": ('layer { name: "x" type: "Reorg" bottom: "data" top: "x" reorg_param { stride: 2 } }', "unknown"),
}


@pytest.mark.parametrize("fork", LAYERS)
def test_a_layer_of_a_fork_is_named_and_its_shape_known(fork: str, net_file: Callable[..., Path]) -> None:
    text, shape = LAYERS[fork]
    found = inspect(net_file(INPUT + text))
    assert found.rows[-1].outputs == (shape,)
    assert any(fork in warning and "'x'" in warning for warning in found.warnings), found.warnings


def numbers(layer: object) -> dict[int, bytes]:
    data = forks.encode(layer)
    return {number: data[value:stop] for number, kind, value, _, stop in fields(data) if kind == 2}


@pytest.mark.parametrize(
    ("fork", "number"), [("Faster R-CNN", 8266711), ("SegNet", 45), ("PSPNet", 152), ("NVIDIA", 139)]
)
def test_fields_are_written_with_their_forks_number(fork: str, number: int, net_file: Callable[..., Path]) -> None:
    layer = bake.structure(net_file(INPUT + LAYERS[fork][0])).net.layer[-1]
    assert number in numbers(layer)
    assert all(found < forks.FIRST_NUMBER for found in numbers(layer))


def test_a_regions_pooling_is_written_byte_for_byte(net_file: Callable[..., Path]) -> None:
    # pooled_h 1, pooled_w 2, spatial_scale 3 of ROIPoolingParameter
    layer = bake.structure(net_file(INPUT + LAYERS["Faster R-CNN"][0])).net.layer[-1]
    assert numbers(layer)[8266711] == b"\x08\x02\x10\x03\x1d\x00\x00\x80\x3d"


def test_fields_of_two_forks_in_one_layer_are_refused_when_written() -> None:
    net = prototxt.read('layer { name: "x" type: "BN" bn_param { bn_mode: LEARN frozen: true } }')
    with pytest.raises(StepError, match="several forks") as caught:
        forks.encode(net.layer[0])
    assert "SegNet" in str(caught.value)
    assert "PSPNet" in str(caught.value)


def test_the_board_does_not_get_a_batch_norm_of_another_caffe(net_file: Callable[..., Path]) -> None:
    with pytest.raises(StepError, match="CF41") as caught:
        bake.structure(net_file(INPUT + LAYERS["NVIDIA"][0]), bake.Options(target="armnn-19.02"))
    assert "NVIDIA" in str(caught.value)


def test_what_is_printed_of_a_forks_net_is_the_same_net() -> None:
    for text, _ in LAYERS.values():
        net = prototxt.read(INPUT + text)
        assert prototxt.read(prototxt.write(net)) == net


def test_every_field_of_the_table_has_a_type_and_numbers_of_its_own() -> None:
    table = forks.table()
    for (message, name), given in table.numbers.items():
        field = messages.message_class(message).DESCRIPTOR.fields_by_name[name]
        assert field.number >= forks.FIRST_NUMBER
        assert given, (message, name)
    for message in {message for message, _ in table.numbers}:
        known = messages.message_class(message).DESCRIPTOR.fields_by_name
        for fork in table.titles:
            own = [table.of((message, name))[fork] for name in known if fork in table.numbers.get((message, name), "")
                   and fork in table.of((message, name))]  # fmt: skip
            assert len(own) == len(set(own)), (message, fork)


CEIL = (
    INPUT + 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param { kernel_size: 3 stride: 2 %s } }'
)


@pytest.mark.parametrize(
    ("written", "shape"), [("ceil_mode: false", "1x4x3x3"), ("ceil_mode: true", "1x4x4x4"), ("", "1x4x4x4")]
)
def test_ceil_mode_says_how_a_pooled_size_is_rounded(written: str, shape: str, net_file: Callable[..., Path]) -> None:
    found = inspect(net_file(CEIL % written))
    assert found.rows[-1].outputs == (shape,)
    assert any("ceil_mode" in change for change in found.changes) == bool(written)


def test_ceil_mode_of_an_old_layer_is_translated_too(net_file: Callable[..., Path]) -> None:
    old = 'input: "data" input_dim: [1, 4, 8, 8] layers { name: "p" type: POOLING bottom: "data" top: "p" '
    found = bake.structure(net_file(old + "pooling_param { kernel_size: 3 stride: 2 ceil_mode: false } }"))
    assert "round_mode: FLOOR" in prototxt.write(found.net)
    assert "ceil_mode" not in found.text


def test_ceil_mode_and_round_mode_may_not_contradict_each_other(net_file: Callable[..., Path]) -> None:
    assert bake.structure(net_file(CEIL % "ceil_mode: false round_mode: FLOOR"))
    with pytest.raises(StepError, match="contradict"):
        bake.structure(net_file(CEIL % "ceil_mode: true round_mode: FLOOR"))


def test_names_that_are_not_utf_8_go_through_a_bake_as_bytes(tmp_path: Path) -> None:
    text = (INPUT + 'layer { name: "fc\xe9" type: "InnerProduct" bottom: "data" top: "\xb2\xe32" '
            'inner_product_param { num_output: 1 bias_term: false } }').encode("latin-1")  # fmt: skip
    (tmp_path / "net.prototxt").write_bytes(text)
    body = field(1, b"fc\xe9") + field(2, b"InnerProduct") + field(7, blob(bytes(1024), (1, 256)))
    (tmp_path / "w").write_bytes(field(100, body))
    bake.write_plan(bake.plan(tmp_path / "net.prototxt", tmp_path / "w"), tmp_path / "out")
    made = (tmp_path / "out").read_bytes()
    assert b"\x0a\x03fc\xe9" in made
    assert b"\x22\x03\xb2\xe32" in made
    assert [row.name for row in inspect(tmp_path / "out").rows] == ["data", "fc\U0010ffe9"]
