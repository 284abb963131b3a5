# ruff: noqa: E501 - nets are easier to read when a layer keeps to its line
"""Upgrades say what they changed, change nothing twice, and leave the input of `prepare` alone."""

from __future__ import annotations

import pytest
from caffe_small_nets import INPUT, NETS

from modelprep.errors import StepError, UsageError
from modelprep.formats.caffe import prototxt
from modelprep.formats.caffe.messages import copy_of, generation, known_layer_types, new
from modelprep.formats.caffe.phase import filter_net
from modelprep.formats.caffe.prepare import insert_splits, prepare
from modelprep.formats.caffe.upgrades import upgrade
from modelprep.formats.caffe.upgrades.v1 import V1_TYPES


@pytest.mark.parametrize("name", NETS)
def test_an_upgraded_net_needs_no_upgrade(name):
    net = prototxt.read(NETS[name])
    before = copy_of(net)
    said = upgrade(net)
    assert (net != before) == bool(said)
    assert upgrade(net) == []
    assert generation(net) in ("V2", "empty")


@pytest.mark.parametrize("name", NETS)
def test_preparing_leaves_the_net_alone(name):
    net = prototxt.read(NETS[name])
    before = net.SerializeToString()
    prepare(net)
    assert net.SerializeToString() == before


@pytest.mark.parametrize(
    ("name", "form"), [("V0", "V0"), ("V1", "V1"), ("splits", "V2"), ("an empty type of net", "empty")]
)
def test_the_generation_is_told(name, form):
    assert generation(prototxt.read(NETS[name])) == form


def test_the_v0_upgrade_says_what_it_folded_and_dropped():
    said = upgrade(prototxt.read(NETS["V0"]))
    assert "1 padding layers went into the layers they pad" in said
    assert "layer 'g': 'stride' was dropped, since a V0 layer of type 'flatten' does not know it" in said
    assert "the header's input data became an Input layer named 'input'" in said


def test_the_legacy_input_layer_is_named_input_whatever_the_blob():
    net = prototxt.read(NETS["legacy dims"])
    upgrade(net)
    assert (net.layer[0].name, list(net.layer[0].top)) == ("input", ["data"])
    assert list(net.layer[0].input_param.shape[0].dim) == [1, 2, 5, 5]


@pytest.mark.parametrize(
    "text", ['input: "a" input_dim: [1, 2, 3]', 'input: "a" input: "b" input_dim: [1, 2, 3, 4]',
             'input: "a" input: "b" input_shape { dim: 1 }'],
)  # fmt: skip
def test_too_few_legacy_dimensions_are_an_error(text):
    with pytest.raises(StepError, match="too few input"):
        upgrade(prototxt.read(text))


def test_every_v1_type_has_a_v2_type_that_caffe_knows():
    names = set(new("V1LayerParameter").DESCRIPTOR.fields_by_name["type"].enum_type.values_by_name)
    assert set(V1_TYPES) == names
    assert set(V1_TYPES.values()) - {""} <= set(known_layer_types())


def test_data_parameters_move_to_transform_param():
    net = prototxt.read(
        'layers { name: "d" type: DATA top: "d" data_param { source: "s" scale: 0.5 mean_file: "m" crop_size: 3 mirror: true } } '
        'layers { name: "w" type: WINDOW_DATA top: "w" }'
    )
    upgrade(net)
    first, second = net.layer
    assert prototxt.write(first.transform_param) == 'scale: 0.5\nmirror: true\ncrop_size: 3\nmean_file: "m"\n'
    assert prototxt.write(first.data_param) == 'source: "s"\n'
    assert second.HasField("transform_param")
    assert second.HasField("window_data_param")


def test_an_unknown_phase_is_a_usage_error():
    with pytest.raises(UsageError, match="no phase"):
        filter_net(prototxt.read(INPUT), "test")


def test_stages_and_levels_can_be_given():
    net = prototxt.read(
        INPUT + 'layer { name: "a" type: "ReLU" bottom: "data" top: "a" include { stage: "deploy" min_level: 2 } }'
    )
    assert [layer.name for layer in filter_net(net).layer] == ["in"]
    assert [layer.name for layer in filter_net(net, level=2, stages=["deploy"]).layer] == ["in", "a"]


def test_split_names_are_those_of_caffe():
    net = insert_splits(
        prototxt.read(
            INPUT
            + 'layer { name: "a" type: "ReLU" bottom: "data" top: "x" } layer { name: "b" type: "ReLU" bottom: "data" top: "y" }'
        )
    )
    assert [layer.name for layer in net.layer] == ["in", "data_in_0_split", "a", "b"]
    assert list(net.layer[1].top) == ["data_in_0_split_0", "data_in_0_split_1"]
    assert [layer.bottom[0] for layer in net.layer[2:]] == ["data_in_0_split_0", "data_in_0_split_1"]


def test_a_chain_in_place_needs_no_split():
    net = prototxt.read(
        INPUT
        + 'layer { name: "a" type: "ReLU" bottom: "data" top: "data" } layer { name: "b" type: "ReLU" bottom: "data" top: "data" }'
    )
    assert [layer.type for layer in insert_splits(net).layer] == ["Input", "ReLU", "ReLU"]


def test_an_unknown_bottom_is_told_with_its_nearest_blob():
    with pytest.raises(StepError) as caught:
        insert_splits(prototxt.read(INPUT + 'layer { name: "r" type: "ReLU" bottom: "dat" }'))
    assert caught.value.where == "layer 'r' of type ReLU"
    assert caught.value.hint == "did you mean data?"


def test_a_bottom_made_further_down_is_told_by_its_layer():
    with pytest.raises(StepError) as caught:
        insert_splits(prototxt.read('layer { name: "r" type: "ReLU" bottom: "data" } ' + INPUT))
    assert "layer 'in' makes it, further down" in (caught.value.hint or "")
