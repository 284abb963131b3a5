"""What is read of a TF Lite file, against LiteRT's own schema; and that damage is never more than an error."""

from __future__ import annotations

import contextlib
import inspect
import re
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny_tflite import Builder, T, tiny

from modelprep.errors import ModelprepError, StepError
from modelprep.formats.tflite import flatbuffer, model, tables
from modelprep.formats.tflite.model import parse, read


def load(data: bytes) -> model.Model:
    return parse(memoryview(data), "test.tflite")


def test_a_small_model_is_read_whole() -> None:
    found = load(tiny())
    assert [t.name for t in found.main.tensors] == ["input", "weights", "MobilenetV2/Predictions/Softmax"]
    assert (found.main.inputs, found.main.outputs) == ((0,), (2,))
    (operator,) = found.main.operators
    assert (operator.name, operator.inputs) == ("ADD", (0, 1))
    assert operator.options == {"fused_activation_function": "RELU", "pot_scale_int16": True}
    assert found.main.tensors[1].bytes == 16
    assert [(s.key, s.inputs[0].name, s.inputs[0].tensor) for s in found.signatures] == [("serving_default", "x", 0)]


def same_as_litert(data: bytes) -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="LiteRT is the oracle here")
    theirs = schema.ModelT.InitFromPackedBuf(data, 0)
    ours = load(data)
    types = {v: k for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
    builtin = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    assert len(ours.subgraphs) == len(theirs.subgraphs)
    for mine, other in zip(ours.subgraphs, theirs.subgraphs, strict=True):
        assert list(mine.inputs) == list(other.inputs)
        assert list(mine.outputs) == list(other.outputs)
        assert len(mine.tensors) == len(other.tensors)
        for a, b in zip(mine.tensors, other.tensors, strict=True):
            assert a.name == b.name.decode()
            assert list(a.shape) == list(b.shape)
            assert a.dtype == types[b.type]
            held = theirs.buffers[b.buffer].data
            assert a.bytes == (0 if held is None else len(held))
            scale = None if b.quantization is None else b.quantization.scale
            assert (list(a.quantisation.scale) if a.quantisation else []) == ([] if scale is None else list(scale))
            if a.quantisation:
                assert list(a.quantisation.zero_point) == list(b.quantization.zeroPoint)
        for a, b in zip(mine.operators, other.operators, strict=True):
            code = theirs.operatorCodes[b.opcodeIndex]
            assert a.name == builtin[max(code.builtinCode, code.deprecatedBuiltinCode)]
            assert list(a.inputs) == list(b.inputs)
            assert list(a.outputs) == list(b.outputs)
            for name, value in a.options.items():
                first, *rest = name.split("_")
                theirs_ = getattr(b.builtinOptions, first + "".join(part.capitalize() for part in rest))
                if name == "padding":
                    theirs_ = {v: k for k, v in vars(schema.Padding).items() if isinstance(v, int)}[theirs_]
                elif name == "fused_activation_function":
                    theirs_ = {v: k for k, v in vars(schema.ActivationFunctionType).items() if isinstance(v, int)}[
                        theirs_
                    ]
                elif isinstance(value, tuple):
                    theirs_ = tuple(() if theirs_ is None else theirs_)
                assert value == theirs_, name


def test_the_small_model_reads_as_litert_reads_it() -> None:
    same_as_litert(tiny())


REAL = (
    "extra/google-coral_edgetpu/test_data/mobilenet_v2_1.0_224_quant.tflite",
    "extra/google-coral_edgetpu/test_data/mobilenet_v1_0.25_128_quant.tflite",
)


@pytest.mark.parametrize("path", REAL)
def test_a_real_model_reads_as_litert_reads_it(upstream: Path, path: str) -> None:
    same_as_litert((upstream / path).read_bytes())


def test_the_table_of_operators_is_litert_s() -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="LiteRT is the oracle here")
    for name, code in vars(schema.BuiltinOperator).items():
        if isinstance(code, int):
            assert model.operator_name(code) == name
    assert list(model.TYPES) == [k for k, v in vars(schema.TensorType).items() if isinstance(v, int)]
    assert model.operator_name(4711) == "OPERATOR_4711"


def test_the_table_of_options_is_litert_s() -> None:
    """Each field of an options table, in its slot, with its kind and default, as the generated code reads it."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="LiteRT is the oracle here")
    generated = {}
    for union, number in vars(schema.BuiltinOptions).items():
        if not union.endswith("Options"):
            continue
        for name, method in vars(getattr(schema, union)).items():
            code = inspect.getsource(method) if inspect.isfunction(method) else ""
            slot = re.search(r"_tab\.Offset\((\d+)\)", code)
            read = re.search(r"number_types\.(\w+)Flags, (?:a|o \+ self\._tab\.Pos)", code)
            if slot is None or read is None or name.endswith("AsNumpy"):
                continue
            vector = "_tab.Vector(o)" in code
            default = float(eval(code.rstrip().rpartition("return ")[2]))
            kind = f"[{read[1]}]" if vector else read[1]
            generated[union, number, name.lower(), (int(slot[1]) - 4) // 2, kind] = default
    ours = {
        (union, int(number), name.replace("_", ""), int(slot), kind): float(default or 0)
        for number, union, name, slot, kind, default in tables.rows("options.tsv")
    }
    # A later schema may have more of them.
    assert ours.items() <= generated.items()
    assert len(ours) > 140


@pytest.mark.parametrize("count", [0, 1, 7, 8, 40, 200, 700])
def test_a_truncated_model_is_an_error(tmp_path: Path, count: int) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(tiny()[:count])
    with pytest.raises(StepError):
        read(path)


def test_a_web_page_is_told_as_one(tmp_path: Path) -> None:
    path = tmp_path / "page.tflite"
    path.write_text("<!DOCTYPE html><html><body>not found</body></html>")
    with pytest.raises(StepError) as caught:
        read(path)
    assert caught.value.looks_like == "a web page"


def test_a_missing_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(ModelprepError) as caught:
        read(tmp_path / "none.tflite")
    assert caught.value.exit_code == 6


def test_an_operator_that_names_a_tensor_that_is_not_there_is_an_error() -> None:
    data = bytearray(tiny())
    # The operator's inputs are [0, 1]; make the second 99.
    at = data.index(struct.pack("<3I", 2, 0, 1)) + 8
    struct.pack_into("<i", data, at, 99)
    with pytest.raises(StepError, match="tensor 99 of 3"):
        load(bytes(data))


SOUND = tiny()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=12),
    cut=st.integers(8, len(SOUND)),
)
@example(changes=[(0, 255)], cut=len(SOUND))
def test_damage_is_an_error_or_still_a_model(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(SOUND)
    for at, value in changes:
        data[at] = value
    with contextlib.suppress(StepError):
        assert load(bytes(data[:cut])).subgraphs


@settings(max_examples=200, deadline=None)
@given(words=st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 256), max_size=64))
def test_a_heap_of_offsets_is_an_error_or_a_model(words: list[int]) -> None:
    data = struct.pack(f"<I4s{len(words)}I", 8, b"TFL3", *words)
    with contextlib.suppress(StepError):
        load(data)


def test_a_file_whose_entries_all_share_one_long_vector_cannot_blow_up() -> None:
    """2000 tensors whose shapes are one vector of 20,000 numbers: 40 million numbers out of 250 kB."""
    shape = list(range(1, 20_001))
    tensors = [T({0: ("shared [i32]", shape), 1: ("i8", 0), 2: ("u32", 0)}) for _ in range(2000)]
    data = Builder().finish(T({2: ("tables", [T({0: ("tables", tensors)})]), 4: ("tables", [T({})])}))
    assert len(data) < 250_000
    tracemalloc.start()
    with pytest.raises(StepError, match=r"share so many parts|more than"):
        load(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * len(data)


def test_more_tables_than_any_model_has_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatbuffer, "MAX_TABLES", 5)
    with pytest.raises(StepError, match="more than 5 tables"):
        load(tiny())


def test_more_numbers_than_any_model_has_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatbuffer, "MAX_NUMBERS", 3)
    with pytest.raises(StepError, match="or 3 numbers"):
        load(tiny())
