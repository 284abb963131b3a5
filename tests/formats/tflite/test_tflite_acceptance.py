"""What LiteRT accepts is read and can be renamed: files without names, with empty lists, with parts left out."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_tflite import Builder, T

from modelprep.errors import StepError
from modelprep.formats.tflite import rename
from modelprep.formats.tflite.model import read

pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is the oracle here")
#: In a process of its own: LiteRT crashes on some files.
PROGRAM = """
import json, os, sys
from ai_edge_litert.interpreter import Interpreter
for path in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            runtime = Interpreter(path)
            runtime.allocate_tensors()
            names = [d["name"] for d in (*runtime.get_input_details(), *runtime.get_output_details())]
            print(json.dumps([path, names]), flush=True)
        except (ValueError, RuntimeError):
            pass
        os._exit(0)
    os.waitpid(child, 0)
"""


def accepted(paths: list[Path]) -> dict[str, list[str]]:
    """Return the names of inputs and outputs of the files that LiteRT loads."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, paths)], capture_output=True, text=True, check=True, timeout=300
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return {Path(path).name: names for path, names in lines}


def generated(seed: int) -> bytes:
    """Return a file of one ADD with parts left out, empty, wrong or repeated, as the seed has it."""
    pick = random.Random(seed)

    def tensor(name: str, buffer: int = 0) -> T:
        slots: dict[int, tuple[str, Any]] = {1: ("i8", 0), 3: ("text", name), 0: ("[i32]", [1, 4]), 2: ("u32", buffer)}
        if pick.random() < 0.5:
            del slots[3]
        if pick.random() < 0.1:
            slots[3] = ("text", pick.choice([b"\xff\xfe", b"", b"same"]))
        if pick.random() < 0.15:
            slots[2] = ("u32", pick.choice([0, 1, 5]))
        if pick.random() < 0.2:
            slots[4] = ("table", T({2: ("[f32]", [0.5]), 3: ("[i64]", [3]), 6: ("i32", 0)}))
        if pick.random() < 0.2:
            slots[7] = ("[i32]", [-1, 4])
        if pick.random() < 0.2:
            slots[8] = ("u8", 1)
        return T(slots)

    def arguments() -> tuple[str, Any]:
        return "tables", [T({0: ("text", "a"), 1: ("u32", pick.choice([0, 1, 9]))})]

    operator = T({0: ("u32", 0), 1: ("[i32]", [0, 0]), 2: ("[i32]", [1])})
    if pick.random() < 0.3:
        operator.slots |= {3: ("u8", 11), 4: ("table", T({0: ("i8", 1)}))}
    graph = T(
        {
            0: ("tables", [tensor("in"), tensor("out"), *(tensor("more") for _ in range(pick.choice([0, 0, 1])))]),
            1: ("[i32]", pick.choice([[0], [0], [0, -1], []])),
            2: ("[i32]", pick.choice([[1], [1], [1, 1], []])),
            3: ("tables", pick.choice([[operator], [operator], []])),
            4: ("text", "main"),
        }
    )
    for slot in (3, 4):
        if pick.random() < 0.1:
            del graph.slots[slot]
    root: dict[int, tuple[str, Any]] = {
        0: ("u32", 3), 1: ("tables", [T({0: ("i8", 0), 3: ("i32", 0), 2: ("i32", 1)})]), 2: ("tables", [graph]),
        4: ("tables", pick.choice([[], [T({})], [T({}), T({0: ("[u8]", [0] * 16)})]])),
    }  # fmt: skip
    if pick.random() < 0.2:
        root[3] = ("text", "made by a test")
    if pick.random() < 0.3:
        root[6] = ("tables", [T({0: ("text", "m"), 1: ("u32", pick.choice([0, 9]))})])
    if pick.random() < 0.3:
        root[7] = (
            "tables",
            [T({0: arguments(), 1: arguments(), 2: ("text", "k"), 4: ("u32", pick.choice([0, 0, 9]))})],
        )
    return Builder().finish(T(root)) + pick.choice([b"", b"", b"tail"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[str]]:
    folder = tmp_path_factory.mktemp("tflite")
    paths = []
    for seed in range(300):
        path = folder / f"{seed}.tflite"
        path.write_bytes(generated(seed))
        paths.append(path)
    names = accepted(paths)
    return {path: names[path.name] for path in paths if path.name in names}


def test_what_litert_accepts_is_read_with_the_same_names(files: dict[Path, list[str]]) -> None:
    assert len(files) >= 150
    for path, names in files.items():
        main = read(path).main
        ours = [main.tensors[index].name for index in itertools.chain(main.inputs, main.outputs)]
        if all(name.isascii() and "\\" not in name for name in ours):
            assert ours == names, path


def test_what_litert_accepts_can_be_renamed_by_position_and_litert_reads_the_new_name(
    files: dict[Path, list[str]],
) -> None:
    made = {}
    for path in files:
        main = read(path).main
        if not main.inputs or main.inputs[0] in main.outputs:
            continue
        output = path.with_suffix(".renamed")
        rename.apply(path, rename.plan(path, {"#0": "the_input"}, {"#0": "the_output"} if main.outputs else {}), output)
        assert read(output).main.tensors[main.inputs[0]].name == "the_input"
        made[output] = ["the_input", *(["the_output"] if main.outputs else [])]
    assert len(made) >= 100
    found = accepted(list(made))
    for output, names in made.items():
        assert set(names) <= set(found[output.name])


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    path.write_bytes(next(data for data in map(generated, range(99)) if b"main" in data))
    with pytest.raises(StepError, match="no input called '#7'"):
        rename.plan(path, {"#7": "x"}, {})


def test_a_nameless_tensor_keeps_its_quantisation(tmp_path: Path) -> None:
    quantised = T({0: ("[f32]", [-1.0]), 1: ("[f32]", [2.5]), 2: ("[f32]", [0.5]), 3: ("[i64]", [-7])})
    tensor = T({0: ("[i32]", [1, 4]), 1: ("i8", 3), 2: ("u32", 0), 4: ("table", quantised)})
    graph = T({0: ("tables", [tensor]), 1: ("[i32]", [0]), 2: ("[i32]", [0]), 3: ("tables", [])})
    path = tmp_path / "a.tflite"
    path.write_bytes(Builder().finish(T({0: ("u32", 3), 2: ("tables", [graph]), 4: ("tables", [T({})])})))
    rename.apply(path, rename.plan(path, {"#0": "quantised"}, {}), tmp_path / "b.tflite")
    before, after = read(path).main.tensors[0], read(tmp_path / "b.tflite").main.tensors[0]
    assert after.name == "quantised"
    assert (after.quantisation, after.shape, after.dtype) == (before.quantisation, before.shape, before.dtype)
