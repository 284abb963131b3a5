"""The real command on a finished tree, against one SHA-256 pass over its files: CPU and wall, side by side.

``python benchmarks/second_run.py [--size MiB] [--rounds N] [--folder DIR]``. The command is `modelprep fetch` in an
interpreter of its own, start included, with bytecode written as an installation has it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Give the CPU seconds (of children too) and the seconds that something takes."""

    def cpu() -> float:
        both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(each.ru_utime + each.ru_stime for each in both)

    before, began = cpu(), time.perf_counter()
    work()
    return cpu() - before, time.perf_counter() - began


def hash_all(paths: list[Path]) -> None:
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while data := file.read(MIB):
                digest.update(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=1024, help="MiB in all, in eight files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work; default the system's temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelprep-bench-", dir=options.folder) as name:
        work = Path(name)
        (work / "recipes" / "bench").mkdir(parents=True)
        assets, install, paths = "", "", []
        block = os.urandom(MIB)
        for number in range(8):
            path = work / f"{number}.bin"
            digest = hashlib.sha256()
            with path.open("wb") as file:
                for count in range(options.size // 8):
                    piece = bytes([number]) + count.to_bytes(8, "big") + block[9:]
                    digest.update(piece)
                    file.write(piece)
            paths.append(path)
            assets += f"  f{number}: {{urls: ['{path.as_uri()}'], sha256: {digest.hexdigest()}, pinned_by: bench}}\n"
            install += f"  {number}.bin: $f{number}\n"
        text = f"schema: 1\ndemo: Bench\nstatus: ready\ntree: Bench\nassets:\n{assets}install:\n{install}"
        (work / "recipes" / "bench" / "bench.yaml").write_text(text)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(work / "bytecode")}
        command = [sys.executable, "-m", "modelprep", "fetch", "bench/bench", "--quiet", "--link"]
        command += ["--recipes", str(work / "recipes"), "--out", str(work / "out"), "--cache", str(work / "cache")]

        def fetch() -> None:
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)

        fetch()  # the first run, which brings everything
        fetch()
        rows = [(cost(lambda: hash_all(paths)), cost(fetch)) for _ in range(options.rounds)]
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f} after the run, which is about 1 itself")
    for index, what in enumerate(("CPU", "wall")):
        ratios = sorted(run[index] / one_pass[index] for one_pass, run in rows)
        print(
            f"second run over {options.size} MiB, one SHA-256 pass = 1, {what}: median {statistics.median(ratios):.3f}"
            f" ({ratios[0]:.3f} to {ratios[-1]:.3f}; reach <= 0.3)"
        )


if __name__ == "__main__":
    main()
