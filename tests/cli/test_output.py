"""The sink: bars and colours on a terminal, plain text elsewhere, tables that line up."""

from __future__ import annotations

import io
import json
import os
import pty
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import Run
from cli.workshop import Workshop, gzipped, sha256

from modelprep.cli.output import Output, layout, paint, size_text
from modelprep.errors import StorageError


def on_a_terminal(workshop: Workshop, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run the command with stdout and stderr on a terminal of 100 columns; give its code and all that was drawn."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = subprocess.Popen(
        workshop.command(*arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**workshop.environment(), "TERM": "xterm", **environment},
    )
    os.close(theirs)
    drawn = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        drawn += piece
    os.close(ours)
    return process.wait(timeout=60), drawn.decode()


@pytest.fixture
def slow(workshop: Workshop) -> Workshop:
    data = random.Random(7).randbytes(400_000)
    url = workshop.server.put("/slow.bin", data, pause=0.04, piece=20_000)
    workshop.simple("slow", data, urls=url)
    packed = gzipped(random.Random(8).randbytes(3_000_000))
    second = workshop.server.put("/packed.gz", packed, pause=0.02, piece=100_000)
    workshop.recipe(
        "packed",
        "schema: 1\ndemo: Packed\nsummary: s\nstatus: ready\ntree: Things\n"
        f"assets:\n  packed: {{urls: [{second}], sha256: {sha256(packed)}, size: {len(packed)}, pinned_by: test}}\n"
        "steps:\n  - {id: plain, uses: gunzip, with: {file: $packed}}\ninstall:\n  packed.bin: $plain\n",
    )
    return workshop


def test_a_terminal_gets_a_bar_for_every_download_and_step_and_a_clean_table(slow: Workshop) -> None:
    code, drawn = on_a_terminal(slow, *slow.arguments("fetch", "things"))
    assert code == 0, drawn
    assert re.search(r"slow\.bin +\[#*\.*\] +\d+%", drawn)
    assert re.search(r"packed\.gz +\[#*\.*\] +\d+%", drawn)
    assert re.search(r"total  [\d.]+ of 3\.2 MiB  \d of 2 files", drawn)
    assert "packed: gunzip" in drawn
    assert "\x1b[32m" in drawn  # green
    last = drawn.replace("\r\n", "\n").split("\r")[-1]
    assert "demo" in last
    assert "%" not in last


def test_no_color_and_quiet_are_honoured_on_a_terminal(slow: Workshop) -> None:
    _, drawn = on_a_terminal(slow, *slow.arguments("list"), NO_COLOR="1")
    assert "\x1b[3" not in drawn
    code, drawn = on_a_terminal(slow, *slow.arguments("fetch", "things", "--quiet"))
    assert (code, drawn) == (0, "")


def test_a_pipe_gets_neither_bars_nor_escapes(slow: Workshop) -> None:
    ran = slow.run("fetch", "things")
    assert ran.code == 0
    assert "\x1b" not in ran.out + ran.err
    assert "%" not in ran.err
    assert "\r" not in ran.err


def test_quiet_lists_names_only(slow: Workshop, modelprep: Run) -> None:
    names = modelprep("list", "things", "--quiet").out.split()
    assert names == ["things/packed", "things/slow"]
    assert len(modelprep("cache", "key", "--quiet", bare=True).out.split()) == 1


def test_columns_line_up_and_styles_take_no_room() -> None:
    lines = layout(["name", ">size"], [("a", 1), (paint("long name", "green"), 12345), (None, "")])
    assert lines == ["name        size", "a              1", f"{paint('long name', 'green')}  12345", ""]


class Terminal(io.StringIO):
    """A terminal that takes colours."""

    def isatty(self) -> bool:
        return True


def test_only_our_own_styles_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    hostile = "a\x1b[31mb\x9bc\u202ed\udcffe\x07\r"
    out, err = Terminal(), Terminal()
    output = Output(out=out, err=err)
    output.line(f"{output.style(hostile, 'red')} {hostile}")
    output.table(hostile, [">n", "t"], [(hostile, output.style("x\ny", "bold"))])
    output.warning(hostile)
    output.error(StorageError(hostile, where=hostile, hint=hostile))
    shown = r"a\x1b[31mb\x9bc\u202ed\xffe\x07\r"
    assert out.getvalue().startswith(f"\x1b[31m{shown}\x1b[0m {shown}\n\x1b[1m{shown}\x1b[0m\n")
    assert "x\\ny" in out.getvalue()
    for written in (out.getvalue(), err.getvalue()):
        rest = re.sub("\x1b\\[[0-9;]*m", "", written)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", rest)


def test_json_holds_hostile_text_and_no_control_character() -> None:
    hostile = "a\x1b[31mb\x9bc\u202ed\udcffe"
    out = io.StringIO()
    Output("json", out=out).result({"text": hostile})
    assert json.loads(out.getvalue()) == {"text": hostile}
    assert out.getvalue().replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, "?"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (574671192, "548.0 MiB"), (1 << 50, "1024.0 TiB")],
)
def test_sizes_read_well(size: int | None, text: str) -> None:
    assert size_text(size) == text


def test_list_show_and_doctor_print_one_object_each(slow: Workshop, modelprep: Run) -> None:
    listed = modelprep("list", "things", "--json").object
    assert [demo["letter"] for demo in listed["demos"]] == ["M", "M"]
    shown = modelprep("show", "things/packed", "--json").object
    assert shown["assets"][0]["here"] is False
    (step,) = shown["steps"]
    assert (step["id"], step["uses"], step["with"]) == ("plain", "gunzip", {"file": "$packed"})
    assert step["proof"]["needed"] is False
    assert modelprep("show", "things", "--json").object["exit_code"] == 2
    doctor = modelprep("doctor", "--json", "--mirror", str(slow.root), "--mirror", slow.server.url("/")).object
    assert [mirror["ok"] for mirror in doctor["mirrors"]] == [True, True]
    assert doctor["recipes"][-1]["recipes"] == 2
    assert set(doctor["extras"]) == {"tf", "onnx", "check", "socks"}
    info = modelprep("cache", "info", "--json", "--cache", str(slow.cache), bare=True).object
    assert info["blobs"] == 0


def test_list_shows_each_state_with_its_letter(slow: Workshop, modelprep: Run) -> None:
    slow.recipe("none", "schema: 1\ndemo: None\nsummary: s\nstatus: needs-nothing\ntree: Things\n")
    slow.recipe(
        "mine",
        "schema: 1\ndemo: Mine\nsummary: s\nstatus: bring-your-own\nwhy: nobody has it\ntree: Things\n"
        "assets:\n  model: {provide: true}\ninstall:\n  m.bin: $model\n",
    )
    slow.simple("stale", b"1")
    slow.simple("here", b"2")
    assert modelprep("fetch", "things/stale", "things/here").code == 0
    slow.simple("stale", b"3")
    letters = {demo["recipe"]: demo["letter"] for demo in modelprep("list", "--json", "things").object["demos"]}
    assert letters == {
        "things/here": "P", "things/mine": "B", "things/none": "-", "things/packed": "M", "things/slow": "M",
        "things/stale": "S",
    }  # fmt: skip
    text = modelprep("list", "things").out
    assert re.search(r"^B +Mine", text, re.MULTILINE)


def test_doctor_tries_the_interpreters_that_the_user_named(
    modelprep: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELPREP_PYCAFFE", str(tmp_path / "nowhere" / "python"))
    monkeypatch.setenv("MODELPREP_PYARMNN", sys.executable)
    found = modelprep("doctor", "--json").object["interpreters"]
    assert found["MODELPREP_PYCAFFE"]["ok"] is False
    assert "does not run" in found["MODELPREP_PYCAFFE"]["says"]
    assert found["MODELPREP_PYARMNN"]["ok"] is False
    assert "pyarmnn" in found["MODELPREP_PYARMNN"]["says"]
    monkeypatch.delenv("MODELPREP_PYCAFFE")
    assert modelprep("doctor", "--json").object["interpreters"]["MODELPREP_PYCAFFE"]["ok"] is None
