"""What we make of a prototxt is, byte for byte, what a real Caffe makes of it."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from caffe_small_nets import INPUT, NETS, REFUSED, TEXTS

from modelprep.errors import StepError
from modelprep.formats.caffe import messages, prototxt
from modelprep.formats.caffe.prepare import prepare

pytestmark = pytest.mark.slow  # a real Caffe prepares every net


def assert_same(saved: bytes, ours: object) -> None:
    if saved != ours.SerializeToString():  # type: ignore[attr-defined]
        theirs = messages.message_class("NetParameter").FromString(saved)
        assert prototxt.write(ours) == prototxt.write(theirs)
        raise AssertionError("equal in text, not in bytes")


@pytest.fixture(scope="module")
def saved(caffe_saves):
    return caffe_saves({**NETS, **TEXTS})


@pytest.mark.parametrize("name", [*NETS, *TEXTS])
def test_a_small_net_is_prepared_as_caffe_saves_it(name, saved):
    assert saved[name] is not None, "Caffe refuses this net, so it tells nothing"
    assert_same(saved[name], prepare(prototxt.read({**NETS, **TEXTS}[name])))


@pytest.mark.parametrize("name", [*NETS, *TEXTS])
def test_what_we_print_is_the_same_net_to_caffe(name, saved, printed):
    assert printed[name] == saved[name]


@pytest.fixture(scope="module")
def printed(caffe_saves):
    return caffe_saves({name: prototxt.write(prototxt.read(text)) for name, text in {**NETS, **TEXTS}.items()})


def test_a_saved_net_is_prepared_again_as_caffe_does(caffe_saves):
    once = {name: prepare(prototxt.read(text)) for name, text in NETS.items()}
    for name, theirs in caffe_saves({name: prototxt.write(net) for name, net in once.items()}).items():
        if theirs is None:  # a loss that is read: Caffe cannot load what it saved
            with pytest.raises(StepError):
                prepare(once[name])
        else:
            assert_same(theirs, prepare(once[name]))


def test_the_train_phase_is_prepared_as_caffe_saves_it(caffe_saves):
    names = [
        "include and exclude",
        "BatchNorm without params",
        "a phase of its own",
        "splits",
        "V1 shared parameters",
        "V0",
    ]
    for name, theirs in caffe_saves({name: NETS[name] for name in names}, "TRAIN").items():
        assert_same(theirs, prepare(prototxt.read(NETS[name]), "TRAIN"))


def test_what_we_refuse_caffe_refuses(caffe_saves):
    texts = {name: text for name, (text, _) in REFUSED.items()}
    taken = [name for name, saved in caffe_saves(texts).items() if saved is not None]
    assert taken == []


def test_data_layers_of_v1_and_v0_are_upgraded_as_caffe_does(caffe_saves, tmp_path: Path):
    header = struct.pack("<2sIHHI", b"BM", 54 + 48, 0, 0, 54) + struct.pack(
        "<IiiHHIIiiII", 40, 4, 4, 1, 24, 0, 48, 0, 0, 0, 0
    )
    (tmp_path / "x.bmp").write_bytes(header + bytes(range(48)))
    listing = tmp_path / "images.txt"
    listing.write_text(f"{tmp_path / 'x.bmp'} 0\n")
    nets = {
        "V1": f'layers {{ name: "d" type: IMAGE_DATA top: "d" top: "l" image_data_param {{ source: "{listing}" '
        "batch_size: 1 scale: 0.5 crop_size: 2 mirror: true } } "
        f'layers {{ name: "e" type: IMAGE_DATA top: "e" top: "m" image_data_param {{ source: "{listing}" '
        "batch_size: 1 } }",
        "V0": f'layers {{ layer {{ name: "d" type: "images" source: "{listing}" batchsize: 1 scale: 0.5 cropsize: 2 '
        'mirror: true shuffle_images: false new_height: 4 new_width: 4 rand_skip: 0 } top: "d" top: "l" }',
    }
    for name, theirs in caffe_saves(nets).items():
        assert theirs is not None, name
        assert_same(theirs, prepare(prototxt.read(nets[name])))


def test_the_known_types_are_those_of_caffe(pycaffe):
    done = subprocess.run(
        [pycaffe, str(Path(__file__).with_name("pycaffe_oracle.py")), "types"],
        capture_output=True,
        check=True,
        text=True,
    )
    theirs = set(done.stdout.split())
    # Clip came after this build; nothing of BVLC's may be missing, whatever a fork has on top.
    assert set(messages.known_layer_types()) - {"Clip"} <= theirs


@pytest.mark.slow
def test_every_public_deploy_file_is_prepared_as_caffe_saves_it(upstream: Path, caffe_saves):
    files = [path for path in upstream.rglob("*.prototxt") if not path.name.endswith("_tf.prototxt")]
    assert len(files) > 15
    texts = {str(path): path.read_text("utf-8") for path in files}
    for name, theirs in caffe_saves(texts).items():
        assert theirs is not None, name
        assert_same(theirs, prepare(prototxt.read(texts[name], origin=name)))


def test_an_unknown_layer_type_is_not_ours_to_refuse():
    net = prepare(prototxt.read(INPUT + 'layer { name: "x" type: "Unheard" bottom: "data" top: "x" }'))
    assert net.layer[1].type == "Unheard"
