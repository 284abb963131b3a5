"""The bake: which weights go where, what may be changed on the way, and how it ends when something does not fit."""

from __future__ import annotations

import errno
import os
import threading
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from caffe_bytes import blob, field, layer, v1_layer, varint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelprep.errors import StepError, StorageError
from modelprep.formats.caffe import bake, write
from modelprep.formats.caffe.messages import new
from modelprep.steps import Call, find

FC = """
name: "fc"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }
"""
WEIGHTS = array("f", [1, 2, 3, 4, 5, 6]).tobytes()
BIAS = array("f", [7, 8]).tobytes()


def baked(structure: Path, weights: Path, output: Path, options: bake.Options | None = None) -> Any:
    """Bake, and read the result with protobuf itself."""
    bake.write_plan(bake.plan(structure, weights, options), output)
    net = new("NetParameter")
    net.ParseFromString(output.read_bytes())
    assert net.SerializeToString(deterministic=True) == output.read_bytes()
    return net


@pytest.fixture
def fc(net_file: Callable[..., Path]) -> Path:
    return net_file(FC)


def weights_file(folder: Path, *parts: bytes) -> Path:
    path = folder / "w.caffemodel"
    path.write_bytes(field(1, b"fc") + b"".join(parts))
    return path


def test_every_layer_gets_its_blobs_and_nothing_else_changes(
    small_net: Path, small_weights: Path, tmp_path: Path
) -> None:
    source = new("NetParameter")
    source.ParseFromString(small_weights.read_bytes())
    net = baked(small_net, small_weights, tmp_path / "out")
    given_blobs = {one.name: [list(b.data) for b in one.blobs] for one in source.layer if one.blobs}
    written = {one.name: [list(b.data) for b in one.blobs] for one in net.layer if one.blobs}
    assert written == given_blobs
    assert [one.type for one in net.layer].count("Split") == 1
    assert all(one.phase == 1 for one in net.layer)


@pytest.mark.parametrize("form", ["V1", "V2"])
def test_v1_and_v2_weights_give_the_same_file(
    form: str, small_net: Path, weights_for: Callable[..., Path], small_weights: Path, tmp_path: Path
) -> None:
    bake.write_plan(bake.plan(small_net, weights_for(small_net, form, "other")), tmp_path / "a")
    bake.write_plan(bake.plan(small_net, small_weights), tmp_path / "b")
    assert bake.compare(tmp_path / "a", tmp_path / "b") is None


def test_v0_weights_are_matched_by_the_name_inside(fc: Path, tmp_path: Path) -> None:
    inside = (
        field(1, b"fc") + field(2, b"innerproduct") + field(50, blob(WEIGHTS, (2, 3))) + field(50, blob(BIAS, (2,)))
    )
    net = baked(fc, weights_file(tmp_path, field(2, field(1, inside))), tmp_path / "out")
    assert list(net.layer[1].blobs[0].data) == [1, 2, 3, 4, 5, 6]
    assert list(net.layer[1].blobs[1].data) == [7, 8]


def test_doubles_are_rounded_to_floats(fc: Path, tmp_path: Path) -> None:
    exact = [0.1, 1e300, -1e-300, 16777217.0, 2.5, -0.0]
    doubles = field(8, array("d", exact).tobytes()) + field(7, field(1, b"\x02\x03"))
    weights = weights_file(tmp_path, layer("fc", "InnerProduct", doubles, blob(BIAS, (2,))))
    decided = bake.plan(fc, weights)
    assert any("double precision" in note for note in decided.weights.notes)
    net = baked(fc, weights, tmp_path / "out")
    got = list(net.layer[1].blobs[0].data)
    assert got == [pytest.approx(0.1), float("inf"), 0.0, 16777216.0, 2.5, 0.0]
    assert got[0] == array("f", [0.1])[0]
    assert str(got[5]) == "-0.0"


def test_numbers_that_are_not_packed_are_packed(fc: Path, tmp_path: Path) -> None:
    loose = (
        b"".join(b"\x2d" + WEIGHTS[i : i + 4] for i in range(0, 16, 4))
        + field(5, WEIGHTS[16:])
        + field(7, field(1, b"\x02\x03"))
    )
    loose_doubles = b"".join(b"\x41" + array("d", [v]).tobytes() for v in (7.0, 8.0)) + field(7, b"\x08\x02")
    net = baked(fc, weights_file(tmp_path, layer("fc", "InnerProduct", loose, loose_doubles)), tmp_path / "out")
    assert list(net.layer[1].blobs[0].data) == [1, 2, 3, 4, 5, 6]
    assert list(net.layer[1].blobs[1].data) == [7, 8]


def test_legacy_shapes_get_the_rank_that_the_layer_wants(fc: Path, tmp_path: Path) -> None:
    def legacy(*dims: int) -> bytes:
        return b"".join(varint(n << 3) + varint(d) for n, d in enumerate(dims, 1))

    weights = weights_file(
        tmp_path, v1_layer("fc", 14, legacy(1, 1, 2, 3) + field(5, WEIGHTS), legacy(1, 1, 1, 2) + field(5, BIAS))
    )
    net = baked(fc, weights, tmp_path / "out")
    assert [list(one.shape.dim) for one in net.layer[1].blobs] == [[2, 3], [2]]
    assert not net.layer[1].blobs[0].HasField("num")


def test_gradients_stay_behind(fc: Path, tmp_path: Path) -> None:
    with_diff = blob(WEIGHTS, (2, 3)) + field(6, bytes(24))
    weights = weights_file(tmp_path, layer("fc", "InnerProduct", with_diff, blob(BIAS, (2,))))
    assert any("diff" in note for note in bake.plan(fc, weights).weights.notes)
    assert not baked(fc, weights, tmp_path / "out").layer[1].blobs[0].diff


def test_a_missing_layer_is_named_with_the_nearest_name(fc: Path, tmp_path: Path) -> None:
    weights = weights_file(tmp_path, layer("fc1", "InnerProduct", blob(WEIGHTS, (2, 3)), blob(BIAS, (2,))))
    with pytest.raises(StepError) as caught:
        bake.plan(fc, weights)
    assert "nothing for the layer 'fc'" in caught.value.what
    assert "fc1" in (caught.value.hint or "")
    assert caught.value.expected == "2x3, 2"


def test_a_name_that_two_layers_of_the_net_have_is_told(
    fc: Path, net_file: Callable[..., Path], tmp_path: Path
) -> None:
    twice = FC + FC.splitlines()[-1].replace('bottom: "data" top: "fc"', 'bottom: "data" top: "fc2"')
    weights = weights_file(tmp_path, layer("fc", "InnerProduct", blob(WEIGHTS, (2, 3)), blob(BIAS, (2,))))
    with pytest.raises(StepError) as caught:
        bake.plan(net_file(twice, "twice.prototxt"), weights)
    assert "two layers of the net" in (caught.value.hint or "")


def test_a_file_that_lost_its_last_layers_is_an_error_and_never_a_shorter_model(
    small_net: Path, small_weights: Path, tmp_path: Path
) -> None:
    from modelprep.formats.caffe.wire.index import index

    last = next(one for one in reversed(index(small_weights).layers) if one.blobs)
    cut = tmp_path / "cut"
    data = small_weights.read_bytes()
    cut.write_bytes(data[: data.rindex(field(1, last.name.encode())) - 4])
    with pytest.raises(StepError):
        bake.plan(small_net, cut)


def test_surplus_layers_are_noted_and_left(fc: Path, tmp_path: Path) -> None:
    weights = weights_file(
        tmp_path,
        layer("fc", "InnerProduct", blob(WEIGHTS, (2, 3)), blob(BIAS, (2,))),
        layer("aux", "InnerProduct", blob(BIAS, (2,))),
    )
    notes = bake.plan(fc, weights).weights.notes
    assert any("1 layers" in note and "aux" in note for note in notes)


@pytest.mark.parametrize(
    ("blobs", "what", "expected", "got"),
    [
        ([blob(WEIGHTS, (3, 2)), blob(BIAS, (2,))], "another shape", "2x3", "3x2"),
        ([blob(WEIGHTS, (6,)), blob(BIAS, (2,))], "another shape", "2x3", "6"),
        ([blob(WEIGHTS, (2, 3))], "takes 2 blobs and the weights hold 1", "2x3, 2", "2x3"),
        ([blob(WEIGHTS, (2, 3)), blob(BIAS, (2,)), blob(BIAS, (2,))], "hold 3", "2x3, 2", "2x3, 2, 2"),
        ([], "hold 0", "2x3, 2", "none"),
    ],
)
def test_misshapen_weights_say_what_was_expected(
    blobs: list[bytes], what: str, expected: str, got: str, fc: Path, tmp_path: Path
) -> None:
    with pytest.raises(StepError) as caught:
        bake.plan(fc, weights_file(tmp_path, layer("fc", "InnerProduct", *blobs)))
    assert what in caught.value.what
    assert (caught.value.expected, caught.value.got) == (expected, got)


def test_a_name_written_twice_gives_the_last_weights_as_in_caffe(fc: Path, tmp_path: Path) -> None:
    first = layer("fc", "InnerProduct", blob(bytes(24), (2, 3)), blob(bytes(8), (2,)))
    second = layer("fc", "InnerProduct", blob(WEIGHTS, (2, 3)), blob(BIAS, (2,)))
    net = baked(fc, weights_file(tmp_path, first, second), tmp_path / "out")
    assert list(net.layer[1].blobs[1].data) == [7, 8]


def test_shared_weights_are_written_for_every_layer_that_shares_them(
    net_file: Callable[..., Path], tmp_path: Path
) -> None:
    def inner(name: str, bottom: str) -> str:
        return (
            f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" param {{ name: "w" }} '
            "inner_product_param { num_output: 3 bias_term: false } }"
        )

    head = 'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 3 } } }'
    structure = net_file(head + inner("a", "d") + inner("b", "a"))
    numbers = array("f", range(9)).tobytes()
    net = baked(structure, weights_file(tmp_path, layer("b", "InnerProduct", blob(numbers, (3, 3)))), tmp_path / "out")
    assert [list(one.blobs[0].data) for one in net.layer if one.blobs] == [list(range(9))] * 2


def test_an_unknown_layer_type_passes_with_a_warning(net_file: Callable[..., Path], tmp_path: Path) -> None:
    structure = net_file(
        FC.replace('bottom: "data" top: "fc"', 'bottom: "odd" top: "fc"').replace(
            'layer { name: "fc"', 'layer { name: "odd" type: "Odd" bottom: "data" top: "odd" } layer { name: "fc"'
        )
    )
    weights = weights_file(
        tmp_path,
        layer("odd", "Odd", blob(BIAS, (2,))),
        layer("fc", "InnerProduct", blob(WEIGHTS, (2, 3)), blob(BIAS, (2,))),
    )
    decided = bake.plan(structure, weights)
    assert any("'Odd'" in text for text in decided.structure.warnings)
    net = baked(structure, weights, tmp_path / "out")
    assert [len(one.blobs) for one in net.layer] == [0, 1, 2]


def test_batch_sets_the_first_dimension_of_the_inputs_and_nothing_else(
    small_net: Path, small_weights: Path, tmp_path: Path
) -> None:
    plain = baked(small_net, small_weights, tmp_path / "a")
    one = baked(small_net, small_weights, tmp_path / "b", bake.Options(batch=1))
    assert list(one.layer[0].input_param.shape[0].dim) == [1, 3, 12, 12]
    one.layer[0].input_param.shape[0].dim[0] = 4
    assert one == plain


def test_a_batch_that_is_there_already_is_no_error(small_net: Path, small_weights: Path) -> None:
    assert bake.plan(small_net, small_weights, bake.Options(batch=4)).structure.changes == ()


@pytest.mark.parametrize("batch", [0, -1, 2**31, 2**63, 10**20])
def test_a_batch_that_no_blob_can_have_is_an_error(small_net: Path, small_weights: Path, batch: int) -> None:
    with pytest.raises(StepError, match="no such batch"):
        bake.plan(small_net, small_weights, bake.Options(batch=batch))


def test_an_input_layer_without_a_name_is_an_error(small_net: Path, small_weights: Path) -> None:
    with pytest.raises(StepError, match="needs a name"):
        bake.plan(small_net, small_weights, bake.Options(input=""))


def test_a_batch_for_a_net_without_input_is_an_error(net_file: Callable[..., Path], small_weights: Path) -> None:
    structure = net_file('layer { name: "d" type: "Data" top: "data" data_param { source: "x" batch_size: 3 } }')
    with pytest.raises(StepError) as caught:
        bake.plan(structure, small_weights, bake.Options(batch=1))
    assert "'d' (Data)" in (caught.value.got or "")
    assert "deploy" in (caught.value.hint or "")


def test_the_input_layer_is_renamed_and_its_blob_is_not(small_net: Path, small_weights: Path, tmp_path: Path) -> None:
    net = baked(small_net, small_weights, tmp_path / "out", bake.Options(input="input"))
    assert (net.layer[0].name, list(net.layer[0].top)) == ("input", ["data"])
    assert list(net.layer[1].bottom) == ["data"]


def test_an_input_name_that_another_layer_has_is_an_error(small_net: Path, small_weights: Path) -> None:
    with pytest.raises(StepError, match="called 'conv' already"):
        bake.plan(small_net, small_weights, bake.Options(input="conv"))


def test_outputs_drop_what_they_do_not_need(small_net: Path, small_weights: Path, tmp_path: Path) -> None:
    net = baked(small_net, small_weights, tmp_path / "out", bake.Options(outputs=("left",)))
    # The branch is gone, so nothing reads 'pool' twice and there is no Split.
    assert [one.name for one in net.layer] == ["data", "conv", "relu", "norm", "pool", "left"]


def test_an_output_that_is_not_there_is_an_error(small_net: Path, small_weights: Path) -> None:
    with pytest.raises(StepError) as caught:
        bake.plan(small_net, small_weights, bake.Options(outputs=("probb",)))
    assert "prob" in (caught.value.hint or "")


def test_a_field_is_set_by_path(small_net: Path, small_weights: Path, tmp_path: Path) -> None:
    options = bake.Options(
        set={
            "layer[type=LRN].lrn_param.norm_region": "ACROSS_CHANNELS",
            "layer[name=data].input_param.shape[0].dim": [2, 3, 12, 12],
            "layer[name=conv].convolution_param.pad[0]": 1,
            "net.name": "other",
        }
    )
    with pytest.raises(StepError, match="changes nothing"):
        bake.plan(small_net, small_weights, options)
    edits = {key: value for key, value in options.set.items() if "pad" not in key}
    net = baked(small_net, small_weights, tmp_path / "out", bake.Options(set=edits))
    assert (net.name, net.layer[3].lrn_param.norm_region, net.layer[0].input_param.shape[0].dim[0]) == ("other", 0, 2)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("layer[type=Lrn].lrn_param.k", 1.0, "matches no layer"),
        ("layer[type=LRN].lrn_param.norm_reg", "X", "no field 'norm_reg'"),
        ("layer[type=LRN].lrn_param.norm_region", "SIDEWAYS", "cannot take this value"),
        ("layer[type=LRN].lrn_param.local_size", "five", "cannot take this value"),
        ("layer[type=LRN].lrn_param.local_size", True, "cannot take this value"),
        ("layer[type=LRN].lrn_param", 3, "is a message"),
        ("layer[kind=LRN].lrn_param.k", 1.0, "condition is malformed"),
        ("layers.name", "x", "path is malformed"),
        ("layer[name=data].input_param.shape[3].dim", [1], "no shape[3]"),
        ("layer[name=data].input_param.shape.dim", [1], "leads through 'shape'"),
        ("layer[name=data].name.x", 1, "leads through 'name'"),
    ],
)
def test_an_edit_that_cannot_be_made_is_an_error(
    path: str, value: object, said: str, small_net: Path, small_weights: Path
) -> None:
    with pytest.raises(StepError) as caught:
        bake.plan(small_net, small_weights, bake.Options(set={path: value}))
    assert said in caught.value.what


def test_the_step_tells_what_it_did(small_net: Path, small_weights: Path, tmp_path: Path) -> None:
    step = find("caffe.bake")
    params = {name: param.default for name, param in step.params.items()}
    seen: list[tuple[int, int | None]] = []
    call = Call(
        {**params, "prototxt": small_net, "weights": small_weights, "batch": 1},
        tmp_path / "out",
        lambda *a: seen.append(a),
    )
    facts = step.run(call) or {}
    assert facts["changes"] == ["batch of the input 'data': 4 -> 1"]
    assert facts["size"] == (tmp_path / "out").stat().st_size == seen[-1][0] == seen[-1][1]
    assert facts["parameters"] == 6 * 27 + 6 + 4 * 6 + 4 + 4 * 6 + 5 * 144 + 5


def test_nothing_stays_when_the_disk_is_full(
    small_net: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(write.os, "write", full)
    with pytest.raises(StorageError, match="No space left"):
        bake.write_plan(bake.plan(small_net, small_weights), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_there_is_never_overwritten(small_net: Path, small_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(StorageError):
        bake.write_plan(bake.plan(small_net, small_weights), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


BIG_FC = FC.replace("dim: 3", "dim: 3000").replace("num_output: 2", "num_output: 500")  # 6 MB: two threads


@pytest.mark.parametrize("broken", [(), ("copy_file_range",), ("copy_file_range", "sendfile")])
@pytest.mark.parametrize("how", ["error", "zero"])
def test_every_way_of_moving_bytes_gives_the_same_file(
    broken: tuple[str, ...],
    how: str,
    net_file: Callable[..., Path],
    weights_for: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    structure = net_file(BIG_FC)
    weights = weights_for(structure)
    bake.write_plan(bake.plan(structure, weights), tmp_path / "good")

    def refuse(*_: object) -> int:
        if how == "zero":
            return 0
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    for name in broken:
        if hasattr(os, name):
            monkeypatch.setattr(write.os, name, refuse)
    bake.write_plan(bake.plan(structure, weights), tmp_path / "other")
    assert bake.compare(tmp_path / "good", tmp_path / "other") is None


def test_weights_that_shrink_meanwhile_are_an_error(
    net_file: Callable[..., Path], weights_for: Callable[..., Path], tmp_path: Path
) -> None:
    structure = net_file(BIG_FC)
    weights = weights_for(structure)
    decided = bake.plan(structure, weights)
    os.truncate(weights, 1_000_000)
    with pytest.raises(StepError, match="shorter"):
        bake.write_plan(decided, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_ends_both_threads(
    net_file: Callable[..., Path],
    weights_for: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    structure = net_file(BIG_FC)
    decided = bake.plan(structure, weights_for(structure))
    really, seen = os.write, []

    def full_later(fd: int, data: bytes) -> int:
        seen.append(threading.active_count())
        if len(data) > 1 << 19 and len(seen) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(fd, data)

    monkeypatch.setattr(write.os, "write", full_later)
    before = threading.active_count()
    with pytest.raises(StorageError, match="No space left"):
        bake.write_plan(decided, tmp_path / "out")
    assert threading.active_count() == before
    assert not (tmp_path / "out").exists()


def test_a_difference_is_told_with_its_layer(fc: Path, tmp_path: Path) -> None:
    good = weights_file(tmp_path, layer("fc", "InnerProduct", blob(WEIGHTS, (2, 3)), blob(BIAS, (2,))))
    bake.write_plan(bake.plan(fc, good), tmp_path / "a")
    data = bytearray((tmp_path / "a").read_bytes())
    data[data.index(WEIGHTS) + 3] ^= 1
    (tmp_path / "b").write_bytes(data)
    difference = bake.compare(tmp_path / "a", tmp_path / "b")
    assert difference is not None
    assert (difference.layer, difference.offset) == ("fc", data.index(WEIGHTS[4:]) - 1)


# -- random nets ---------------------------------------------------------------------------------------------------


@st.composite
def nets(draw: st.DrawFn) -> str:
    """A chain of layers with branches; sizes that always fit."""
    lines = [
        'name: "n"',
        'layer { name: "data" type: "Input" top: "b0" input_param { shape { dim: 2 dim: 4 dim: 9 dim: 8 } } }',
    ]
    tops = ["b0"]
    for i in range(1, draw(st.integers(1, 7)) + 1):
        bottom = draw(st.sampled_from(tops))
        kind = draw(st.sampled_from(["conv", "depthwise", "pool", "relu", "bn", "scale", "concat", "prelu", "bias"]))
        head = f'layer {{ name: "l{i}" bottom: "{bottom}" top: "b{i}"'
        said = f"bias_term: {draw(st.sampled_from(['true', 'false']))}"
        body = {
            "conv": f'type: "Convolution" convolution_param {{ num_output: 4 kernel_size: 3 pad: 1 {said} }}',
            "depthwise": 'type: "Convolution" convolution_param { num_output: 4 kernel_size: 1 group: 4 }',
            "pool": 'type: "Pooling" pooling_param { kernel_size: 3 pad: 1 stride: 1 }',
            "relu": 'type: "ReLU"',
            "bn": 'type: "BatchNorm"',
            "scale": f'type: "Scale" scale_param {{ {said} }}',
            "concat": f'bottom: "{bottom}" type: "Eltwise"',
            "prelu": 'type: "PReLU"',
            "bias": 'type: "Bias"',
        }[kind]
        lines.append(f"{head} {body} }}")
        tops.append(f"b{i}")
    lines.append(
        f'layer {{ name: "fc" type: "InnerProduct" bottom: "{tops[-1]}" top: "fc" '
        "inner_product_param { num_output: 2 } }"
    )
    return "\n".join(lines)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=nets(), form=st.sampled_from(["V1", "V2"]))
def test_a_baked_net_bakes_to_itself(
    text: str, form: str, net_file: Callable[..., Path], weights_for: Callable[..., Path], tmp_path: Path
) -> None:
    from modelprep.formats.caffe.prototxt import write as print_net

    structure = net_file(text)
    files = [tmp_path / name for name in ("first", "second", "third")]
    for path in files:
        path.unlink(missing_ok=True)
    weights = weights_for(structure, form)
    for path in files:
        net = baked(structure, weights, path)
        for one in net.layer:
            one.ClearField("blobs")
        # Its own structure as the prototxt and itself as the weights: the same file again.
        structure, weights = net_file(print_net(net), f"{path.name}.prototxt"), path
    # Caffe adds decay_mult: 0 to the three param entries that it gave a BatchNorm itself, once it reads them.
    if "BatchNorm" not in text:
        assert bake.compare(files[0], files[1]) is None
    assert bake.compare(files[1], files[2]) is None


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=nets())
def test_a_random_net_bakes_to_what_caffe_saves(
    text: str, pycaffe: str, net_file: Callable[..., Path], weights_for: Callable[..., Path], tmp_path: Path
) -> None:
    structure = net_file(text)
    decided = bake.plan(structure, weights_for(structure))
    native, caffe = tmp_path / "native", tmp_path / "caffe"
    for path in (native, caffe):
        path.unlink(missing_ok=True)
    bake.write_plan(decided, native)
    bake.write_plan(decided, caffe, engine="pycaffe")
    assert bake.compare(native, caffe) is None
