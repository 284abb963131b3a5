"""Renaming in place and at the end, and that LiteRT gives the same outputs under the new names."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tflite import tiny

from modelprep.errors import RecipeError, StepError
from modelprep.formats.tflite import rename
from modelprep.formats.tflite.model import read
from modelprep.steps import Call, find

SOFTMAX = "MobilenetV2/Predictions/Softmax"


def renamed(
    tmp_path: Path, data: bytes, inputs: dict[str, str] | None = None, outputs: dict[str, str] | None = None
) -> tuple[bytes, rename.Plan]:
    source, output = tmp_path / "in.tflite", tmp_path / "out.tflite"
    source.write_bytes(data)
    output.unlink(missing_ok=True)
    plan = rename.plan(source, inputs or {}, outputs or {})
    rename.apply(source, plan, output)
    return output.read_bytes(), plan


def litert_run(data: bytes, seed: int = 0) -> tuple[list[str], list[Any]]:
    interpreter_ = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is the oracle here")
    np = pytest.importorskip("numpy")
    interpreter = interpreter_.Interpreter(model_content=data)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(seed)
    for detail in interpreter.get_input_details():
        shape, dtype = detail["shape"], detail["dtype"]
        value = rng.integers(0, 256, shape).astype(dtype) if dtype == np.uint8 else rng.normal(size=shape).astype(dtype)
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    details = interpreter.get_output_details()
    return [d["name"] for d in details], [interpreter.get_tensor(d["index"]) for d in details]


def test_a_shorter_name_is_written_in_place_and_nothing_moves(tmp_path: Path) -> None:
    before = tiny(signature=False)
    after, plan = renamed(tmp_path, before, outputs={SOFTMAX: "output"})
    assert len(after) == len(before)
    at = before.index(SOFTMAX.encode())
    differing = {i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
    assert differing <= set(range(at - 4, at + len(SOFTMAX) + 1))
    assert [item.place for item in plan.renamed] == ["in place"]
    assert after[at - 4 : at + 7] == b"\6\0\0\0output\0"
    assert litert_run(after)[0] == ["output"]
    assert (litert_run(after)[1][0] == litert_run(before)[1][0]).all()


def test_a_longer_name_goes_to_the_end_and_one_offset_changes(tmp_path: Path) -> None:
    before = tiny(signature=False)
    new = SOFTMAX + "/and/something/more"
    after, plan = renamed(tmp_path, before, outputs={SOFTMAX: new})
    ((at, data),) = plan.patches
    assert len(data) == 4
    assert after[:at] + after[at + 4 : len(before)] == before[:at] + before[at + 4 :]
    assert len(after) % 4 == 0
    assert litert_run(after)[0] == [new]
    assert (litert_run(after)[1][0] == litert_run(before)[1][0]).all()


def test_the_padding_of_the_old_name_may_be_used_but_no_more(tmp_path: Path) -> None:
    # "input" takes 4 + 5 + 1 bytes and two of padding: names of up to 7 bytes fit.
    data = tiny(signature=False)
    assert renamed(tmp_path, data, inputs={"input": "seven77"})[1].renamed[0].place == "in place"
    assert renamed(tmp_path, data, inputs={"input": "eight888"})[1].renamed[0].place == "appended"


def test_an_argument_of_a_signature_follows_where_it_bore_the_same_name(tmp_path: Path) -> None:
    after, _ = renamed(tmp_path, tiny(), inputs={"input": "image"}, outputs={SOFTMAX: "output"})
    path = tmp_path / "out.tflite"
    (signature,) = read(path).signatures
    # The input's argument was called x, which is the caller's own name for it, and stays.
    assert [a.name for a in signature.inputs] == ["x"]
    assert [a.name for a in signature.outputs] == ["output"]
    assert litert_run(after)[0] == ["output"]


def test_a_string_that_two_tensors_share_is_not_changed_for_both(tmp_path: Path) -> None:
    after, plan = renamed(tmp_path, tiny(shared=True, signature=False), outputs={SOFTMAX: "out"})
    found = read(tmp_path / "out.tflite")
    assert found.main.tensors[2].name == "out"
    assert found.subgraphs[1].tensors[0].name == SOFTMAX
    assert plan.renamed[0].place == "appended"
    assert after


def test_two_names_can_be_swapped(tmp_path: Path) -> None:
    renamed(tmp_path, tiny(signature=False), inputs={"input": SOFTMAX}, outputs={SOFTMAX: "input"})
    found = read(tmp_path / "out.tflite")
    assert [t.name for t in found.main.tensors] == [SOFTMAX, "weights", "input"]


def test_a_zip_of_metadata_behind_the_model_can_still_be_read(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    after, _ = renamed(tmp_path, tiny(signature=False) + packed.getvalue(), outputs={SOFTMAX: "x" * 60})
    with zipfile.ZipFile(io.BytesIO(after)) as archive:
        assert archive.read("labels.txt") == b"cat\ndog\n"
    assert litert_run(after)[0] == ["x" * 60]


@pytest.mark.parametrize(
    ("outputs", "what"),
    [
        ({"Softmax": "output"}, "no output called 'Softmax'"),
        ({SOFTMAX: "input"}, "already taken"),
        ({SOFTMAX: "weights"}, "already taken"),
        ({SOFTMAX: SOFTMAX}, "nothing to rename"),
        ({SOFTMAX: ""}, "printable"),
        ({SOFTMAX: "a\0b"}, "printable"),
        ({SOFTMAX: "x" * 5000}, "printable"),
        ({"input": "image"}, "no output called 'input'"),
    ],
)
def test_a_name_that_cannot_be_given_is_an_error(tmp_path: Path, outputs: dict[str, str], what: str) -> None:
    with pytest.raises(StepError, match=what):
        renamed(tmp_path, tiny(), outputs=outputs)
    assert not (tmp_path / "out.tflite").exists()


def test_an_absent_name_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        renamed(tmp_path, tiny(), outputs={"MobilenetV2/Softmax": "output"})
    assert SOFTMAX in str(caught.value.got)
    assert SOFTMAX in str(caught.value.hint)


@settings(max_examples=60, deadline=None)
@given(name=st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=80))
def test_any_printable_name_comes_out_as_it_went_in(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    if name in ("input", "weights", SOFTMAX):
        return
    tmp_path = tmp_path_factory.mktemp("rename")
    renamed(tmp_path, tiny(), outputs={SOFTMAX: name})
    assert read(tmp_path / "out.tflite").main.tensors[2].name == name


def test_the_step_tells_what_it_did(tmp_path: Path) -> None:
    source = tmp_path / "in.tflite"
    source.write_bytes(tiny())
    step = find("tflite.rename_io")
    facts = step.run(Call({"model": source, "inputs": None, "outputs": {SOFTMAX: "output"}}, tmp_path / "out.tflite"))
    assert facts == {"renamed": {SOFTMAX: "output"}, "signature_arguments": [SOFTMAX], "appended_bytes": 0}
    with pytest.raises(RecipeError, match="nothing to rename"):
        step.run(Call({"model": source, "inputs": None, "outputs": None}, tmp_path / "out2.tflite"))
    with pytest.raises(RecipeError, match="mapping of old names"):
        step.run(Call({"model": source, "inputs": {"input": 3}, "outputs": None}, tmp_path / "out2.tflite"))


@pytest.mark.parametrize("new", ["output", "a/name/longer/than/the/one/that/the/publisher/chose"])
def test_the_mobilenet_v2_of_another_publisher_gives_the_same_outputs(upstream: Path, tmp_path: Path, new: str) -> None:
    before = (upstream / "extra/google-coral_edgetpu/test_data/mobilenet_v2_1.0_224_quant.tflite").read_bytes()
    after, _ = renamed(tmp_path, before, outputs={SOFTMAX: new})
    names, values = litert_run(after)
    assert names == [new]
    assert (values[0] == litert_run(before)[1][0]).all()
    assert values[0].any()


@pytest.mark.parametrize("name", ["x", "a/very/long/name" * 50, "n\u00e4me"])
def test_the_step_writes_no_more_than_it_says(tmp_path: Path, name: str) -> None:
    step, source, output = find("tflite.rename_io"), tmp_path / "in.tflite", tmp_path / "out.tflite"
    source.write_bytes(tiny(signature=True))
    old = read(source).main
    names = {"outputs": {old.tensors[old.outputs[0]].name: name}, "inputs": {}}
    step.run(Call({"model": source, **names}, output))
    bound = step.room(names, {"model": source.stat().st_size})
    assert bound is not None
    assert output.stat().st_size <= bound <= source.stat().st_size + len(name.encode()) + 16
    assert step.room(names, {"model": None}) is None
