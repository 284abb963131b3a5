"""What ``caffe.bake`` says it will write at most, against what it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from modelprep.steps import Call, find

BAKE = find("caffe.bake")


def most(prototxt: Path, weights: Path) -> int:
    sizes: Mapping[str, int | None] = {"prototxt": prototxt.stat().st_size, "weights": weights.stat().st_size}
    bound = BAKE.room({}, sizes)
    assert bound is not None
    return bound


@pytest.mark.parametrize("form", ["V0", "V1", "V2"])
def test_a_baked_net_is_no_larger_than_was_said(
    tmp_path: Path, small_net: Path, weights_for: Callable[..., Path], form: str
) -> None:
    weights = weights_for(small_net, form)
    params = {name: param.default for name, param in BAKE.params.items()}
    BAKE.run(Call({**params, "prototxt": small_net, "weights": weights}, tmp_path / "out"))
    assert (tmp_path / "out").stat().st_size <= most(small_net, weights)


def test_a_net_of_many_layers_without_weights_is_no_larger_than_was_said(
    tmp_path: Path, net_file: Callable[..., Path], weights_for: Callable[..., Path]
) -> None:
    text = 'layer{name:"a" type:"Input" top:"t" input_param{shape{dim:1 dim:3 dim:4 dim:4}}}\n'
    text += "".join(f'layer{{name:"{n}" type:"ReLU" bottom:"t" top:"t"}}\n' for n in range(3000))
    text += 'layer{name:"ip" type:"InnerProduct" bottom:"t" top:"o" inner_product_param{num_output:2}}\n'
    net = net_file(text)
    weights = weights_for(net)
    params = {name: param.default for name, param in BAKE.params.items()}
    BAKE.run(Call({**params, "prototxt": net, "weights": weights}, tmp_path / "out"))
    assert (tmp_path / "out").stat().st_size <= most(net, weights)


def test_nothing_is_said_of_weights_of_unknown_size() -> None:
    assert BAKE.room({}, {"prototxt": 1, "weights": None}) is None
