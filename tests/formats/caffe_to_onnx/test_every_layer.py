"""Each layer type alone computes what a real Caffe computes, and what the forks' definitions say."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import oracles
import pytest
from fork_cases import FORKS
from layer_cases import MAKERS

from modelprep.formats.caffe import prototxt
from modelprep.formats.caffe.messages import new
from modelprep.formats.caffe.shapes.rules import RULES
from modelprep.formats.caffe.to_onnx.registry import CONVERSIONS, REFUSED

pytest.importorskip("onnxruntime", reason="onnxruntime runs the converted models")
pytest.importorskip("onnx", reason="onnx checks the converted models")

#: Parameter sets of each type.
SETS = 22
#: Share of the largest value that a single layer may be off by.
TOLERANCE = 1e-5
OPSETS = range(11, 22)


@pytest.mark.slow  # Caffe computes each
@pytest.mark.parametrize("type_", MAKERS)
def test_a_layer_computes_what_caffe_computes(type_: str, tmp_path: Path, caffe: oracles.Caffe) -> None:
    cases = oracles.draw(MAKERS[type_], SETS, zlib.crc32(type_.encode()) % 1000)
    oracles.lay_out(cases, tmp_path)
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        caffe.ask(folder)
        expected = oracles.answers(folder / "caffe.npz")
        oracles.convert(folder, opset=OPSETS[number % len(OPSETS)])
        found = oracles.run(folder / "net.onnx", oracles.answers(folder / "inputs.npz"))
        for top in case.tops:
            assert oracles.difference(expected[top], found[top]) <= TOLERANCE, case.text()


@pytest.mark.parametrize("type_", FORKS)
def test_a_layer_of_a_fork_computes_what_its_definition_says(type_: str, tmp_path: Path) -> None:
    maker, reference = FORKS[type_]
    cases = oracles.draw(maker, SETS, zlib.crc32(type_.encode()) % 1000)
    oracles.lay_out(cases, tmp_path)
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        given = oracles.answers(folder / "inputs.npz")
        weights = new("NetParameter")
        weights.ParseFromString((folder / "net.caffemodel").read_bytes())
        blobs = [np.array(blob.data, float).reshape([*blob.shape.dim]) for blob in weights.layer[-1].blobs]
        doubles = {name: value.astype(np.float64) for name, value in given.items()}
        expected = reference(prototxt.read(case.text()).layer[-1], doubles, blobs)
        oracles.convert(folder, opset=OPSETS[number % len(OPSETS)])
        found = oracles.run(folder / "net.onnx", given)
        for top in case.tops:
            assert oracles.difference(expected[top], found[top]) <= TOLERANCE, case.text()


def test_every_type_whose_shape_is_known_is_converted_or_refused_for_a_reason() -> None:
    assert set(RULES) <= set(CONVERSIONS) | set(REFUSED)
    assert not set(CONVERSIONS) & set(REFUSED)


def test_every_conversion_has_its_random_cases() -> None:
    tested = {name.partition(" ")[0] for name in (*MAKERS, *FORKS)}
    assert set(CONVERSIONS) - tested == {"Input"}  # it is part of every case
