"""What is wrong with a prototxt is said with its place and the nearest known name."""

from __future__ import annotations

import contextlib
import time

import pytest
from caffe_small_nets import REFUSED, STRICTER
from hypothesis import given
from hypothesis import strategies as st

from modelprep.errors import StepError, StorageError
from modelprep.formats.caffe import forks, prototxt
from modelprep.formats.caffe.prepare import prepare


def refusal(text: str, **options: str) -> StepError:
    with pytest.raises(StepError) as caught:
        prototxt.read(text, **options)
    return caught.value


@pytest.mark.parametrize("name", [*REFUSED, *STRICTER])
def test_a_bad_net_is_refused_in_words_that_say_why(name):
    text, words = {**REFUSED, **STRICTER}[name]
    with pytest.raises(StepError) as caught:
        prepare(prototxt.read(text, origin="net.prototxt"))
    assert words in caught.value.what
    assert caught.value.where


def test_line_column_and_layer_are_told():
    error = refusal('name: "n"\nlayer {\n  name: "conv1"\n  tpye: "ReLU"\n}\n', origin="x.prototxt")
    assert error.where == "x.prototxt:4:3 (in layer 'conv1')"
    assert error.hint == "did you mean type, top?"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('layer { name: "c" kernel_size: 3 }', "belongs inside convolution_param or pooling_param"),
        ('layer { name: "c" Bottom: "x" }', "did you mean bottom? (names are case-sensitive)"),
        ('layer { name: "c" convolution_param { num_output: 1 top: "c" } }', "is a field of layer; is a '}' missing"),
        ('layer { name: "c" layer { name: "d" } }', "is a field of NetParameter; is a '}' missing"),
        ("layers { type: CONVOLUTON }", "did you mean CONVOLUTION"),
        ('layers { type: "CONVOLUTION" }', "without quotes: CONVOLUTION"),
        ("layer { type: CONVOLUTION }", "goes with 'layers'"),
        ("layer { phase: test }", "did you mean TEST"),
        ("name: lenet", 'name: "lenet"'),
        ("force_backward: TRUE", "did you mean true?"),
    ],
)
def test_the_hint_leads_on(text, hint):
    assert hint in (refusal(text).hint or "")


def test_the_end_of_a_cut_file_names_where_its_brace_opened():
    error = refusal('\nlayer {\n  name: "a"\n  convolution_param {\n    num_output: 3\n', origin="cut")
    assert "cut:4" in (error.expected or "")
    assert error.where == "cut:5:18 (in layer 'a', convolution_param)"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "LFS pointer"),
        (b"\n\x05lenet\xa2\x06\x10\n\x04data\x12\x05Input\x00\xff", "a binary caffemodel"),
        (b"\n\x05lenet\xa2\x06\x0b\n\x04data\x12\x03\x00ab", "a binary caffemodel"),
        (b"PK\x03\x04\x00\x00\xff\xff", "a zip archive"),
        (b"\x1f\x8b\x08\x00\xff\xfe", "gzip"),
        (b"", "an empty file"),
        (b" \n\t", "an empty file"),
        (b'{"name": "net"}', "JSON"),
        (b"#!/bin/sh\necho hello\n", "a script"),
    ],
)
def test_a_file_that_is_no_prototxt_is_named_for_what_it_is(data, what):
    with pytest.raises(StepError) as caught:
        prototxt.read_bytes(data, origin="f")
    assert what in (caught.value.looks_like or "")


def test_bytes_that_are_not_utf_8_are_let_through_in_comments_and_strings_only():
    assert prototxt.read_bytes(b'# caf\xe9\nname: "n"').name == "n"
    net = prototxt.read_bytes(b'name: "caf\xe9" "\\xe8"')
    assert forks.encode(net) == b"\x0a\x05caf\xe9\xe8"
    assert prototxt.read(prototxt.write(net)) == net
    with pytest.raises(StepError, match="byte 0xE9") as caught:
        prototxt.read_bytes(b"\n\xe9: 1", origin="f")
    assert caught.value.where == "f:2:1"


def test_utf_16_is_named_with_the_command_that_converts_it():
    with pytest.raises(StepError, match="UTF-16") as caught:
        prototxt.read_bytes('name: "n"'.encode("utf-16"), origin="a net.prototxt")
    assert "iconv -f UTF-16 -t UTF-8 'a net.prototxt'" in (caught.value.hint or "")


OTHERS = {
    "a solver": ('test_iter: 10\nnet: "models/x/train_val.prototxt"\nbase_lr: 0.1', "models/x/train_val.prototxt"),
    "a solver of two nets": ('train_net: "a.prototxt" test_net: "b.prototxt" type: "Adam"', "a.prototxt"),
    "a solver of a fork": ('debug_info: false plateau_winsize: 10 net: "c" ', "its net is c"),
    "a label map": ('item { name: "none" label: 0 display_name: "background" }', "label map"),
    "a TensorFlow graph": ('node { name: "a" op: "Placeholder" }', "TensorFlow graph"),
    "a list of checkpoints": ('model_checkpoint_path: "model.ckpt-1"', "list of checkpoints"),
    "a detection pipeline": ("model { ssd { } } train_config { batch_size: 1 }", "Object Detection"),
    "an ONNX text": ('ir_version: 3 graph { node { op_type: "Relu" } }', "ONNX"),
    "an inference server's": ('name: "m" platform: "caffe2" max_batch_size: 1', "inference server"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_well_known_texts_that_are_no_net_are_named(name):
    text, words = OTHERS[name]
    with pytest.raises(StepError, match="this is not a net but") as caught:
        prototxt.read(text)
    assert words in str(caught.value)
    assert caught.value.hint


def test_a_file_that_is_not_there_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError):
        prototxt.read_file(tmp_path / "none.prototxt")


def test_too_large_a_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.prototxt"
    with path.open("wb") as file:
        file.truncate(prototxt.MAX_SIZE + 1)
    with pytest.raises(StepError, match="too large"):
        prototxt.read_file(path)


@pytest.mark.parametrize(
    "text",
    [
        "layer { " * 100_000,
        "layer: [" * 100_000,
        "[" * 100_000,
        "#" * 500_000 + "\n" + "# " * 250_000 + "\n\x01",
        " " * 500_000 + "\x01",
        'name: "' + "\\a" * 250_000,
        "name: '" + "a" * 500_000,
        "input_dim: " + "9" * 500_000,
        "input_dim: 0x" + "f" * 500_000,
        "a" * 500_000,
        "state { level: -" + "-" * 500_000,
        "name: " + '"" ' * 150_000 + "x",
    ],
    ids=range(12),
)
def test_hostile_text_ends_in_an_error_soon(text):
    start = time.process_time()
    refusal(text)
    assert time.process_time() - start < 5


@given(st.text(alphabet=st.sampled_from("layer{}<>[]:;,.-\"'\\#\n 01xfe\u00e4\0")) | st.text() | st.binary())
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(StepError):
        prototxt.read_bytes(text) if isinstance(text, bytes) else prototxt.read(text)
