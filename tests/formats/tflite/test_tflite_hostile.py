"""Damage in a real file and in a custom operator's options: one error, soon, with little memory; never a traceback."""

from __future__ import annotations

import contextlib
import random
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tflite import tiny

from modelprep.errors import StepError
from modelprep.formats.tflite.flexbuffer import read_map
from modelprep.formats.tflite.model import parse

ROOT = Path(__file__).resolve().parents[3]
SMALLEST = "extra/google-coral_edgetpu/test_data/mobilenet_v1_0.25_128_quant.tflite"
#: What a damaged offset, length or count may be: nothing, everything, the sign's border.
WORDS = (0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000)


def damaged(sound: bytes, seed: int) -> bytes:
    """Change some bytes, words and half words where the tables are: at both ends of the file."""
    dice = random.Random(seed)
    data = bytearray(sound)
    for _ in range(dice.choice((1, 1, 2, 4, 8))):
        at = dice.randrange(20_000) if dice.random() < 0.5 else len(data) - 8 - dice.randrange(20_000)
        kind = dice.random()
        if kind < 0.4:
            data[at] = dice.randrange(256)
        elif kind < 0.8:
            struct.pack_into("<I", data, at & ~3, dice.choice((*WORDS, len(data), dice.randrange(len(data)))))
        else:
            struct.pack_into("<H", data, at & ~1, dice.choice((0, 2, 4, 6, 0xFFFF)))
    return bytes(data[: dice.randrange(8, len(data))] if dice.random() < 0.1 else data)


@pytest.mark.slow
def test_a_real_model_with_damage_is_an_error_or_still_a_model(upstream: Path) -> None:
    sound = (upstream / SMALLEST).read_bytes()
    refused, slowest = 0, 0.0
    tracemalloc.start()
    for seed in range(150):
        data = damaged(sound, seed)
        tracemalloc.reset_peak()
        before, started = tracemalloc.get_traced_memory()[0], time.process_time()
        try:
            assert parse(memoryview(data), "damaged.tflite").subgraphs
        except StepError:
            refused += 1
        slowest = max(slowest, time.process_time() - started)
        assert tracemalloc.get_traced_memory()[1] - before < 20e6
    tracemalloc.stop()
    assert refused > 20
    assert slowest < 5


#: What LiteRT's own verifier (FlatBuffers' C++ one) says of each file in a folder; a line a file.
VERIFY = """
import sys
from pathlib import Path
from ai_edge_litert.interpreter import Interpreter
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        Interpreter(model_content=path.read_bytes())
        print(path.name, "taken")
    except ValueError as error:
        print(path.name, "damaged" if "not a valid Flatbuffer" in str(error) else "other")
"""


def test_what_the_runtime_s_own_verifier_refuses_is_refused(upstream: Path, tmp_path: Path) -> None:
    """Arm NN's parser calls that verifier before all else; a file that it refuses must not pass for a sound one."""
    pytest.importorskip("ai_edge_litert", reason="LiteRT is the oracle here")
    sound = (upstream / SMALLEST).read_bytes()
    for seed in range(120):
        (tmp_path / f"{seed:03}").write_bytes(damaged(sound, seed))
    command = [sys.executable, "-c", VERIFY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = dict(line.split() for line in done.stdout.splitlines() if line.count(" ") == 1)
    refused = [name for name, word in said.items() if word == "damaged"]
    assert len(said) == 120
    assert len(refused) > 20
    for name in refused:
        with pytest.raises(StepError):
            parse(memoryview((tmp_path / name).read_bytes()), name)


def options(**values: object) -> bytes:
    from flatbuffers import flexbuffers

    return bytes(flexbuffers.Dumps(values))


def test_the_numbers_of_a_custom_operator_are_read_whatever_their_width() -> None:
    values = {"small": 3, "negative": -70_000, "long": 2**40, "half": 0.5, "tiny": 1e-300, "yes": True, "no": False}
    assert read_map(options(**values)) == values
    assert read_map(options(text="no number", many=[1, 2], number=1)) == {"text": None, "many": None, "number": 1}
    assert read_map(options()) == {}


@pytest.mark.parametrize("data", [b"", b"\0", b"\1\2", b"\0\0\0", b"\0\0\0\0\0\x24\x03", bytes(64)])
def test_what_is_no_map_is_an_error(data: bytes) -> None:
    with pytest.raises(StepError, match="options of a custom operator"):
        read_map(data, "m.tflite")


SOUND = options(max_detections=10, use_regular_nms=False, nms_iou_threshold=0.6, y_scale=10.0, big=2**40, text="t")


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, len(SOUND)),
)
def test_damaged_options_are_an_error_or_still_a_map(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(SOUND)
    for at, value in changes:
        data[at] = value
    with contextlib.suppress(StepError):
        assert len(read_map(bytes(data[cut:]))) <= 1024


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_an_error_or_a_map(data: bytes) -> None:
    with contextlib.suppress(StepError):
        read_map(data)


def test_a_model_is_read_where_there_is_no_numpy(tmp_path: Path) -> None:
    """A plain installation has none, and the library imports it where it is there."""
    (tmp_path / "m.tflite").write_bytes(tiny())
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'numpy': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import importlib.machinery\n"
        "found = importlib.machinery.PathFinder.find_spec\n"
        "hide = classmethod(lambda cls, name, *a: None if name == 'numpy' else found(name, *a))\n"
        "importlib.machinery.PathFinder.find_spec = hide\n"
        "from modelprep.cli.main import invoke\n"
        "code = invoke(['lint', sys.argv[1], '--for', 'armnn-19.02'])\n"
        "assert 'numpy' not in sys.modules\n"
        "sys.exit(code)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "m.tflite")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
