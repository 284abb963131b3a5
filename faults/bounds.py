"""Memory and time that files of 1 MB can take: every one of :mod:`hostile` in a separate process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import hostile_graphs  # noqa: F401 - adds its files
from card import ROOT, Row
from hostile import FILES

#: What our own code may take for a file of 1 MB.
MAX_MEMORY = 300_000_000
MAX_SECONDS = 10.0

#: Host runtimes are no code of ours: modules of these names that cannot be imported stand before them.
HOST_RUNTIMES = ("tensorflow", "onnxruntime", "cv2", "ai_edge_litert", "tf2onnx")

#: Starts a command and tells its exit status, memory (KiB) and processor time. A process inherits the peak memory of
#: the one that forked it, so the one that forks must be small: the test process may have 1 GB itself.
#: The limits are far above what is allowed: an offender ends, and the machine lives on.
_STARTER = """
import os, resource, sys
child = os.fork()
if not child:
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execv(sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(child, 0)
code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
print([code, used.ru_maxrss, used.ru_utime + used.ru_stime])
"""


@dataclass(frozen=True)
class Cost:
    """What a command took: bytes of memory at most, seconds of processor time."""

    command: str
    memory: int
    seconds: float
    status: int
    told: str

    @property
    def within(self) -> bool:
        said = self.told[-3000:]
        return (
            self.memory <= MAX_MEMORY and self.seconds <= MAX_SECONDS and 0 <= self.status < 128
            and "bug in modelprep" not in said and ("Traceback" not in said or "modelprep.errors." in said)
        )  # fmt: skip


def costs(name: str) -> list[Cost]:
    """Make a file and run its commands; it must not be larger than 1 MB and a little."""
    hostile = FILES[name]
    data = hostile.make()
    assert len(data) <= 1_100_000, f"{name} has {len(data)} bytes"
    with tempfile.TemporaryDirectory(prefix="modelprep-bounds-") as folder:
        path = Path(folder) / f"{name}{hostile.suffix}"
        path.write_bytes(data)
        for module in HOST_RUNTIMES:
            (Path(folder) / "without" / module).mkdir(parents=True)
            (Path(folder) / "without" / module / "__init__.py").write_text("raise ImportError('left out')")
        (Path(folder) / "empty.caffemodel").write_bytes(b"\x0a\x01n\xa2\x06\x03\x0a\x01a")
        return [_cost(Path(folder), [word.replace("{}", str(path)) for word in words]) for words in hostile.commands]


def _cost(folder: Path, words: list[str]) -> Cost:
    start = [sys.executable, "-c"] if words[0] == "python" else [sys.executable, "-m", "modelprep"]

    with (folder / "told").open("w+b") as told:
        starter = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _STARTER, *start, *words[words[0] == "python" :]], cwd=folder,
            stdout=subprocess.PIPE, stderr=told, check=True,
            env={**os.environ, "PYTHONPATH": f"{folder / 'without'}:{ROOT}", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        status, memory, seconds = json.loads(starter.stdout)
        told.seek(0)
        text = told.read().decode("utf-8", "replace")
    return Cost(" ".join(words[:2])[:40], memory << 10, seconds, status, text)


def all_costs(names: Collection[str] = ()) -> str:
    """Try every file, as many side by side as there are processors, and tell the worst."""
    names = list(names or FILES)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        measured = [(name, cost) for name, each in zip(names, pool.map(costs, names), strict=True) for cost in each]
    wrong = [(name, cost) for name, cost in measured if not cost.within]
    for name, cost in wrong:
        print(name, cost.command, f"{cost.memory >> 20} MiB", f"{cost.seconds:.1f} s", cost.status, cost.told[-300:])
    assert not wrong, "; ".join(f"{name}: {c.memory >> 20} MiB, {c.seconds:.1f} s, {c.status}" for name, c in wrong[:9])
    memory = max(measured, key=lambda each: each[1].memory)
    seconds = max(measured, key=lambda each: each[1].seconds)
    return (
        f"{len(measured)} runs over {len(names)} files; at most {memory[1].memory / 1e6:.0f} MB ({memory[0]}) "
        f"and {seconds[1].seconds:.1f} s ({seconds[0]})"
    )


ROWS = [Row("5: no file of 1 MB takes more than 300 MB or 10 s", all_costs)]

if __name__ == "__main__":
    print(all_costs(sys.argv[1:]))
