"""Run inspect, lint and every conversion that applies over a folder of models of any kind, and write a table.

    make corpus DIR=models ARGS="--out corpus.tsv --each 3"

A row is one command on one file: accepted, or refused with which message; whether the result was verified; seconds;
peak memory of the process in MiB (the runtimes have a process of their own). Nothing of the folder is changed. The exit
status is 1 where a command ended in a traceback, or where a result was written that the format's checker or
the runtime refuses, or that computes different numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

SUFFIXES = {
    ".onnx": "onnx", ".tflite": "tflite", ".pb": "tf", ".pbtxt": "tf", ".meta": "tf", ".caffemodel": "caffemodel",
    ".prototxt": "prototxt",
}  # fmt: skip
KINDS = {"ONNX": "onnx", "TF Lite": "tflite", "TensorFlow": "tf", "Caffe prototxt": "prototxt", "Caffe": "caffemodel"}
COLUMNS = ("file", "command", "outcome", "status", "verified", "seconds", "MiB", "message")


@dataclass(frozen=True)
class Row:
    """What came of one command on one file."""

    file: str
    command: str
    outcome: str
    status: int
    verified: str
    seconds: float
    mebibytes: int
    message: str

    def __str__(self) -> str:
        return "\t".join(f"{value:.2f}" if isinstance(value, float) else str(value) for value in vars(self).values())


def kind_of(path: Path) -> str:
    """Return the kind of a model by its name, else by its content; empty where it is none."""
    from modelprep.formats.sniff import HEAD, looks_like_model

    if path.suffix in SUFFIXES:
        return SUFFIXES[path.suffix]
    with path.open("rb") as file:
        said = looks_like_model(file.read(HEAD))
    return next((kind for word, kind in KINDS.items() if word in said), "")


def commands(path: Path, kind: str, out: Path, *, slow: bool = True) -> tuple[list[list[str]], list[list[str]]]:
    """Return the commands that look at a model, and those that convert it."""
    from modelprep.errors import ModelprepError

    source, result = str(path), ["-o", str(out)]
    if kind == "onnx":
        looks = [["onnx", "inspect", source], ["lint", source, "--parser", "onnx"]]
        conversions = [["onnx", "fix", source, *result, "--opset", str(opset)] for opset in (7, 9, 11, 13, 15, 18, 21)]
        conversions += [["onnx", "fix", source, *result, "--batch", str(batch)] for batch in (1, 3)]
        conversions += [["onnx", "fix", source, *result, "--batch", "1", "--for", "armnn-19.02"]]
        conversions += [
            ["onnx", "fix", source, *result, "--simplify"],
            ["onnx", "fix", source, *result, "--value-info", "infer"],
        ]
        with contextlib.suppress(ModelprepError, IndexError):
            from modelprep.formats.onnx.model import read_header

            name = read_header(path).inputs()[0].name
            conversions.append(["onnx", "rename-io", source, *result, "--rename-input", f"{name}=renamed_input"])
        return looks, conversions
    if kind == "tflite":
        looks = [["tflite", "inspect", source], ["lint", source, "--parser", "tflite"]]
        return looks, [["tflite", "rename-io", source, *result, "--rename-input", "#0=renamed_input"]]
    if kind == "tf":
        looks = [["tf", "inspect", source], ["lint", source, "--parser", "tf"]]
        conversions = [["tf", "convert", source, *result], ["tf", "convert", source, *result, "--text"]]
        conversions.append(["tf", "legalise", source, *result])
        if slow:
            conversions.append(["tf", "to-onnx", source, *result])
        with contextlib.suppress(ModelprepError, IndexError):
            from modelprep.formats.tensorflow.read import read_graph
            from modelprep.formats.tensorflow.rewire import inputs_of

            name = inputs_of(read_graph(path))[0].name
            conversions.append(["tf", "rename-io", source, *result, "--rename-input", f"{name}=renamed_input"])
        return looks, conversions
    weights = path.with_suffix(".caffemodel")
    if kind == "prototxt":
        both = [source, str(weights), *result]
        pairs = [["caffe", "bake", *both], ["caffe", "bake", *both, "--batch", "1"], ["caffe", "to-onnx", *both]]
        return [["caffe", "inspect", source]], pairs if weights.is_file() else []
    return [["caffe", "inspect", source], ["lint", source, "--parser", "caffe"]], []


@contextlib.contextmanager
def _descriptors_shut() -> Iterator[None]:
    """Keep what native libraries say away from the table."""
    import os

    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def run(arguments: list[str], file: str) -> Row:
    """Run one command in this process."""
    from modelprep.cli.main import invoke

    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak begins anew
    printed, told = io.StringIO(), io.StringIO()
    began, traceback = time.monotonic(), ""
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(told), _descriptors_shut():
        try:
            status = invoke([*arguments, "--json"])
        except SystemExit as end:
            status = int(end.code or 0)
        except Exception as error:  # noqa: BLE001 - the very thing that is looked for
            status, traceback = -1, repr(error)
    seconds = time.monotonic() - began
    facts: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        found = json.loads(printed.getvalue() or told.getvalue())
        facts = found if isinstance(found, dict) else {}
    verified = facts.get("verified") or {}
    numbers = (verified.get("numbers") or {}).get("outcome")
    said = ""
    if status:
        lines = [line for line in (told.getvalue() or printed.getvalue()).splitlines() if line.strip()]
        said = str(facts.get("what") or (lines[0] if lines else "")) + (f": {facts['got']}" if facts.get("got") else "")
    if traceback or "this is a bug in modelprep" in said:
        outcome, said = "traceback", traceback or said
    elif re.search("is not valid, so it was not kept|computes different numbers", said):
        outcome = "caught"
    else:
        outcome = "accepted" if status == 0 or arguments[0] == "lint" else "refused"
    peak = (
        re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text("ascii")) if sys.platform == "linux" else None
    )
    checked = [
        name for name, there in (("structure", verified.get("structure")), ("numbers", numbers == "same")) if there
    ]
    words = [word for word in arguments if not word.startswith("/")]
    return Row(
        file, " ".join(words).replace(" -o", ""), outcome, status, "+".join(checked), seconds,
        int(peak[1]) >> 10 if peak else 0, " ".join(said.split())[:200],
    )  # fmt: skip


def independent(kind: str, source: Path, out: Path) -> str:
    """Have the format's checker and the runtime look at a result once more, by themselves; say what they refuse."""
    if kind not in ("onnx", "prototxt") or out.read_bytes()[:1] != b"\x08":
        return ""
    try:
        import onnx
        import onnxruntime
    except ImportError:
        return ""

    def refusal(path: Path) -> str:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            onnx.checker.check_model(str(path), full_check=True)
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - each raises what it likes
            return "" if "NOT_IMPLEMENTED" in str(error) else " ".join(str(error).split())[:200]
        return ""

    with _descriptors_shut():
        said = refusal(out)
        return said if said and not (kind == "onnx" and refusal(source)) else ""


def examine(path: Path, root: Path, each: int, slow: bool) -> list[Row]:
    """Run what applies to one file."""
    kind = kind_of(path)
    if not kind:
        return []
    name = str(path.relative_to(root))
    rows = []
    with tempfile.TemporaryDirectory(prefix="modelprep-corpus-") as folder:
        out = Path(folder) / "result"
        looks, conversions = commands(path, kind, out, slow=slow)
        if each and len(conversions) > each:
            conversions = random.Random(name).sample(conversions, each)
        rows += [run(command, name) for command in looks]
        for command in conversions:
            row = run(command, name)
            if out.is_file():
                if row.outcome == "accepted" and (said := independent(kind, path, out)):
                    row = Row(**{**vars(row), "outcome": "invalid", "message": said})
                out.unlink()
            rows.append(row)
    return rows


def over(folder: Path, each: int = 0, jobs: int = 1, *, slow: bool = True) -> Iterator[Row]:
    """Examine every model below a folder; a file whose examination kills its process gets a row that says so."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    work = partial(examine, root=folder, each=each, slow=slow)
    done = 0
    while done < len(paths):
        # A pool lasts for some files: libraries keep what they once took.
        part = paths[done : done + 100]
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            waiting = [(path, pool.submit(work, path)) for path in part]
            for path, future in waiting:
                try:
                    yield from future.result()
                except BrokenProcessPool:  # noqa: PERF203 - the others of the pool are lost with it, and say so
                    yield Row(str(path.relative_to(folder)), "", "crash", -1, "", 0.0, 0, "a process of the pool died")
        done += len(part)


def summary(rows: list[Row]) -> str:
    """Return the counts, and the messages by how often they came."""
    outcomes = Counter(row.outcome for row in rows)
    lines = [
        f"{len({row.file for row in rows})} models, {len(rows)} commands: "
        + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    ]
    made = [row for row in rows if row.outcome == "accepted" and not re.match(r"lint|\w+ inspect", row.command)]
    verified = Counter(row.verified or "nothing" for row in made)
    lines.append("verified of what was converted: " + ", ".join(f"{word} {n}" for word, n in verified.most_common()))
    messages = Counter(re.sub(r"'[^']*'|\d+", "_", row.message) for row in rows if row.outcome in ("refused", "caught"))
    lines += [f"{count:6} {message}" for message, count in messages.most_common(15)]
    slow = max(rows, key=lambda row: row.seconds, default=None)
    large = max(rows, key=lambda row: row.mebibytes, default=None)
    if slow is not None and large is not None:
        lines.append(f"slowest: {slow.seconds:.1f} s, {slow.command} on {slow.file}")
        lines.append(f"largest: {large.mebibytes} MiB, {large.command} on {large.file}")
    lines += [f"{row.outcome}: {row}" for row in rows if row.outcome in ("traceback", "invalid", "crash", "caught")][
        :60
    ]
    return "\n".join(lines)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("corpus.tsv"), help="the table")
    parser.add_argument("--each", type=int, default=0, help="at most so many conversions a file, chosen by its name")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="leave out tf to-onnx, which starts TensorFlow each time")
    given = parser.parse_args()
    rows = []
    with given.out.open("w", encoding="utf-8") as table:
        print(*COLUMNS, sep="\t", file=table)
        for row in over(given.folder.resolve(), given.each, given.jobs, slow=not given.quick):
            print(row, file=table, flush=True)
            rows.append(row)
    print(summary(rows))
    return int(any(row.outcome in ("traceback", "invalid", "crash") for row in rows))


assert len(fields(Row)) == len(COLUMNS)

if __name__ == "__main__":
    sys.exit(main())
