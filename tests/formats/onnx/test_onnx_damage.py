"""Damaged and hostile ONNX files: always an error of ours, never a traceback, never memory without bound."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_small import call, net, save

from modelprep.errors import ModelprepError, StepError
from modelprep.formats.onnx import inspect
from modelprep.formats.onnx.model import guarded, read
from modelprep.formats.onnx.pieces import block
from modelprep.formats.protowire import fields, read_varint, varint

SOUND: bytes = net(listed=True).SerializeToString()
LARGE: bytes = net(channels=64).SerializeToString()

changed = st.lists(st.tuples(st.integers(0, 2500), st.integers(0, 255)), min_size=1, max_size=8)
QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


def inspected(path: Path, out: Path) -> None:
    model = read(path)
    with guarded(str(path)):
        assert inspect.summary(model)["outputs"] is not None
        inspect.nodes(model)
        inspect.initializers(model)


def renamed(path: Path, out: Path) -> None:
    call("onnx.rename_io", out, model=path, inputs={"image": "a-name-of-another-length"})


def fixed(path: Path, out: Path) -> None:
    call("onnx.fix", out, model=path, batch=3, target="armnn-19.02")


@pytest.mark.parametrize("work", [inspected, renamed, fixed])
@settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
@given(changes=changed, cut=st.integers(0, 200), large=st.booleans())
def test_damage_is_our_error_or_no_damage(
    tmp_path: Path, work: Callable[[Path, Path], None], changes: list[tuple[int, int]], cut: int, large: bool
) -> None:
    data = bytearray(LARGE if large else SOUND)
    for at, value in changes:
        data[at] = value
    path, out = tmp_path / "in.onnx", tmp_path / "out.onnx"
    out.unlink(missing_ok=True)
    path.write_bytes(data[: len(data) - cut])
    with contextlib.suppress(ModelprepError):
        work(path, out)


@pytest.mark.parametrize("work", [inspected, renamed, fixed])
@settings(max_examples=100, deadline=None, suppress_health_check=QUIET)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_our_error(tmp_path: Path, work: Callable[[Path, Path], None], data: bytes) -> None:
    path = tmp_path / "in.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelprepError):
        work(path, tmp_path / "out.onnx")


@pytest.mark.parametrize("text", ["<html>gone</html>", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n"])
def test_what_arrived_instead_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "in.onnx"
    path.write_text(text)
    with pytest.raises(StepError, match="no ONNX file") as caught:
        read(path)
    assert caught.value.looks_like


@pytest.mark.parametrize("name", [b"Relu", b"relu", b"image", b"small", b"prob"])
def test_a_name_that_is_no_text_is_an_error(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / "in.onnx"
    path.write_bytes(SOUND.replace(name, b"\xff" * len(name)))
    with pytest.raises(StepError, match="damaged"):
        read(path)


def nested(depth: int) -> bytes:
    """Return a model whose nodes hold graphs in graphs."""
    graph = b"".join(block(12, [b"".join(block(1, [b"y"]))]))
    for _ in range(depth):
        attribute = b"".join(block(6, [graph]))
        node = b"".join(block(5, [attribute]))
        graph = b"".join([*block(1, [node]), *block(12, [b"".join(block(1, [b"y"]))])])
    return b"".join(block(7, [graph]))


@pytest.mark.parametrize("work", [inspected, fixed])
def test_graphs_nested_without_end_are_an_error(tmp_path: Path, work: Callable[[Path, Path], None]) -> None:
    path = tmp_path / "in.onnx"
    path.write_bytes(nested(5000))
    with pytest.raises(ModelprepError):
        work(path, tmp_path / "out.onnx")


def test_renaming_in_graphs_nested_without_end_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "in.onnx"
    path.write_bytes(nested(5000))
    with pytest.raises(StepError):
        call("onnx.rename_io", tmp_path / "out.onnx", model=path, outputs={"y": "z"})


def test_a_tensor_that_claims_more_than_it_has_is_an_error_and_costs_nothing(tmp_path: Path) -> None:
    model: Any = net(channels=64)
    model.graph.initializer[0].dims[0] = 2**40
    path = save(model, tmp_path / "in.onnx")
    tracemalloc.start()
    with pytest.raises(StepError, match="do not fit its dimensions"):
        call("onnx.fix", tmp_path / "out.onnx", model=path, data="typed")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_large_weights_are_not_held_in_memory(tmp_path: Path) -> None:
    """A model with 64 MiB of weights is fixed and renamed in a few MiB."""
    model: Any = net(raw=True)
    weights = next(t for t in model.graph.initializer if t.name == "fc")
    # A second large constant that no node uses: 64 MiB.
    extra = model.graph.initializer.add(name="ballast", data_type=weights.data_type, dims=[16 << 20])
    extra.raw_data = bytes(64 << 20)
    path = save(model, tmp_path / "in.onnx")
    del model, extra
    tracemalloc.start()
    call("onnx.fix", tmp_path / "out.onnx", model=path, data="typed", initialisers="inputs")
    call("onnx.rename_io", tmp_path / "out2.onnx", model=path, outputs={"prob": "another-name"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert (tmp_path / "out.onnx").stat().st_size > 64 << 20


@given(value=st.integers(0, 2**64 - 1))
def test_a_number_comes_back_from_the_wire(value: int) -> None:
    data = varint(value)
    assert read_varint(memoryview(data), 0, len(data)) == (value, len(data))


def test_a_field_longer_than_its_message_is_an_error() -> None:
    data = b"".join(block(1, [b"abc"]))[:-1]
    with pytest.raises(ValueError, match="longer than what holds it"):
        list(fields(memoryview(data)))
