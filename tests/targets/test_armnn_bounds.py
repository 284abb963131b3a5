"""Arm NN acted out on graphs that no model has: what is asked of them does not grow with the square of their size."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelprep.formats.onnx.graphs import claim
from modelprep.targets.armnn.caffe_records import records
from modelprep.targets.armnn.network import Info, Network, Shape, Stop, topological
from modelprep.targets.armnn.optimizer import _overlap, merge_reshapes


def test_a_chain_of_reshapes_becomes_one() -> None:
    network, shapes = Network(), (Shape((1, 4)), Shape((2, 2)))
    slot = network.add("Input", "in", inputs=0, id=0).out
    slot.info = Info(shapes[0])
    for number in range(3001):
        layer = network.add("Reshape", f"r{number}", target=shapes[number % 2])
        slot.connect(layer)
        slot = layer.out
        slot.info = Info(shapes[number % 2])
    slot.connect(network.add("Output", "out", outputs=0, id=0))
    merge_reshapes(network)
    network.sort()
    assert [layer.kind for layer in network.layers] == ["Input", "Reshape", "Output"]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=6))
def test_views_overlap_as_every_two_of_them_say(spans: list[tuple[int, int]]) -> None:
    assert _overlap(spans) == any(a[1] > b[0] and b[1] > a[0] for a, b in itertools.combinations(spans, 2))


def test_a_node_of_many_inputs_is_looked_through_once() -> None:
    looked = 0

    def inputs_of(node: tuple[int, ...]) -> list[tuple[int, ...]]:
        nonlocal looked
        looked += 1
        return leaves if node == () else []

    leaves = [(number,) for number in range(1000)]
    assert topological([()], inputs_of) == [*leaves, ()]
    assert looked == 1001


def test_a_network_that_no_board_holds_is_out_of_memory() -> None:
    with pytest.raises(Stop, match="bad_alloc"):
        Network().add("Splitter", "s", outputs=1 << 31)


def test_lengths_that_lead_back_end_as_a_circle() -> None:
    with pytest.raises(Stop, match="round in circles"):
        records(b"\x12\xfa\xff\xff\xff\x0f")  # a field of -6 bytes, which is how long it is


@given(st.sets(st.text("ab_1", max_size=4), max_size=20), st.lists(st.sampled_from(["a", "b", "a_"]), max_size=40))
def test_free_names_are_free(taken: set[str], asked: list[str]) -> None:
    before = set(taken)
    made = [claim(name, taken) for name in asked]
    assert len(set(made)) == len(made)
    assert not before & set(made)
    assert taken == before | set(made)
