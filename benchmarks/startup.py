"""Rows about start-up, and about catalogues, trees and stores of growing size."""

from __future__ import annotations

import hashlib
import math
import sys
from pathlib import Path

from timing import ROOT, Command, Cost, Row, run, side_by_side


def commands(work: Path, rounds: int) -> list[Row]:
    """Run `--version`, `list` and `fetch all --dry-run` with a store, and an interpreter that does nothing."""
    modelprep = Command(work)
    (work / "cache").mkdir(exist_ok=True)
    places = ("--out", work / "out", "--cache", work / "cache")
    found = []
    for words, reach in ((("--version",), 0.07), (("list", *places), 0.2), (("fetch", "all", "-n", *places), 0.25)):
        row = Row(f"`modelprep {' '.join(map(str, words[: 3 if words[0] == 'fetch' else 1]))}`, seconds", reach)
        row.pairs = side_by_side(
            rounds,
            lambda words=words: modelprep(*words, may_fail=True),  # type: ignore[misc]
            lambda: run([sys.executable, "-c", "pass"]),
        )
        row.values = [ours.seconds for ours, _ in row.pairs]
        bare = sorted(peer.seconds for _, peer in row.pairs)
        row.note = f"a bare interpreter takes {bare[len(bare) // 2]:.3f} s here"
        found.append(row)
    return found


def write_recipes(folder: Path, count: int) -> Path:
    """Write recipes, each with two pinned files and a step."""
    (folder / "many").mkdir(parents=True)
    for number in range(count):
        sums = [hashlib.sha256(f"{number} {name}".encode()).hexdigest() for name in ("model", "picture")]
        assets = "".join(
            f"  {name}: {{urls: ['https://example.org/{name}/{number}'], sha256: {sha256}, size: {1000 + number},"
            " pinned_by: bench}\n"
            for name, sha256 in zip(("model", "picture"), sums, strict=True)
        )
        text = f"schema: 1\ndemo: Demo {number}\nstatus: ready\ntree: Tree{number % 50}\nassets:\n{assets}"
        text += "steps:\n  - {id: picture-step, uses: picture, with: {file: $picture}}\n"
        text += f"install:\n  models/{number}.tflite: $model\n  data/{number}.jpg: $picture-step\n"
        (folder / "many" / f"r{number}.yaml").write_text(text)
    return folder


def catalogue(work: Path, rounds: int) -> list[Row]:
    """List a catalogue of 1000 recipes, and one recipe of it against one of 100."""
    modelprep = Command(work)
    (work / "cache").mkdir(exist_ok=True)
    large, small = write_recipes(work / "large", 1000), write_recipes(work / "small", 100)

    def listed(*words: str | Path) -> Cost:
        return modelprep("list", *words, "--out", work / "out", "--cache", work / "cache")

    whole = Row("catalogue of 1000 recipes: `list`, seconds", 0.5)
    whole.pairs = side_by_side(rounds, lambda: listed("--recipes", large), lambda: listed("--recipes", small))
    whole.values = [ours.seconds for ours, _ in whole.pairs]
    one = Row("one target of 1000 recipes, against one of 100", 1.1)
    one.pairs = side_by_side(
        rounds,
        lambda: listed("many/r77", "--recipes", large),
        lambda: listed("many/r77", "--recipes", small),
    )
    alone = sorted(ours.seconds for ours, _ in one.pairs)[len(one.pairs) // 2]
    one.note = f"{alone:.3f} s"
    listed_all = sorted(whole.values)[len(whole.values) // 2]
    whole.note = f"one of them takes {alone:.2f} s, so each of the others {listed_all - alone:.2f} ms"
    return [whole, one]


#: Files of one recipe: a recipe may have 1 MiB.
_IN_A_RECIPE = 1000


def trees(work: Path, rounds: int, sizes: tuple[int, ...] = (100, 1000, 10_000)) -> list[Row]:
    """Install trees of growing size, and run again: exponent of the processor time by files (1 is linear)."""
    found = []
    first, again = [], []
    for count in sizes:
        place = work / str(count)
        (place / "recipes" / "bench").mkdir(parents=True)
        for start in range(0, count, _IN_A_RECIPE):
            assets, install = [], []
            for number in range(start, min(start + _IN_A_RECIPE, count)):
                data = f"{number:06d}".encode() * 40
                (place / "recipes" / f"{number}.bin").write_bytes(data)
                uri = (place / "recipes" / f"{number}.bin").resolve().as_uri()
                digest = hashlib.sha256(data).hexdigest()
                assets.append(f"  f{number}: {{urls: ['{uri}'], sha256: {digest}, size: 240, pinned_by: bench}}\n")
                install.append(f"  {number}.bin: $f{number}\n")
            text = f"schema: 1\ndemo: Bench {start}\nstatus: ready\ntree: Bench\nassets:\n" + "".join(assets)
            text += "install:\n" + "".join(install)
            (place / "recipes" / "bench" / f"b{start}.yaml").write_text(text)
        modelprep = Command(work)

        def fetch(place: Path = place, modelprep: Command = modelprep) -> Cost:
            places = ("--recipes", place / "recipes", "--out", place / "out", "--cache", place / "cache")
            return modelprep("fetch", "bench", "-q", *places)

        first.append(fetch())
        again.append(min((fetch() for _ in range(max(1, rounds))), key=lambda cost: cost.seconds))
    for name, costs in (("first run", first), ("second run", again)):
        row = Row(f"trees of {sizes[0]} to {sizes[-1]} files, {name}: exponent of the growth", 1.1)
        grown = math.log(costs[-1].cpu / costs[-2].cpu) / math.log(sizes[-1] / sizes[-2])
        row.values = [grown]
        row.note = "; ".join(f"{n} files {c.seconds:.2f} s" for n, c in zip(sizes, costs, strict=True))
        found.append(row)
    return found


def stores(work: Path, rounds: int, sizes: tuple[int, ...] = (1000, 10_000, 100_000)) -> list[Row]:
    """Run again over a small tree with a growing number of blobs in the store."""
    modelprep = Command(work)
    code = (
        "import hashlib, os, sys\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[1])\n"
        "from modelprep.store import Store\nstore = Store.open(Path(sys.argv[2]))\n"
        "with store.recording():\n"
        "    for number in range(int(sys.argv[3])):\n"
        "        data = str(number).encode(); digest = hashlib.sha256(data).hexdigest()\n"
        "        path = store.blob_path(digest); path.parent.mkdir(parents=True, exist_ok=True)\n"
        "        path.write_bytes(data); store.remember(path, digest)\n"
    )
    recipes = work / "recipes"
    (recipes / "bench").mkdir(parents=True)
    (recipes / "one.bin").write_bytes(b"one")
    uri, digest = (recipes / "one.bin").resolve().as_uri(), hashlib.sha256(b"one").hexdigest()
    text = "schema: 1\ndemo: Bench\nstatus: ready\ntree: Bench\nassets:\n"
    text += f"  one: {{urls: ['{uri}'], sha256: {digest}, size: 3, pinned_by: bench}}\ninstall:\n  one.bin: $one\n"
    (recipes / "bench" / "bench.yaml").write_text(text)
    seconds = []
    for count in sizes:
        cache = work / f"cache-{count}"
        run([sys.executable, "-c", code, str(ROOT), str(cache), str(count)])
        words = ("fetch", "bench/bench", "-q", "--recipes", recipes, "--out", work / f"out-{count}", "--cache", cache)
        modelprep(*words)
        seconds.append(min(modelprep(*words).seconds for _ in range(rounds + 1)))
    row = Row(f"stores of {sizes[0]} to {sizes[-1]} blobs, second run: seconds of the largest over the smallest", 1.5)
    row.values = [seconds[-1] / seconds[0]]
    row.note = "; ".join(f"{count} blobs {took:.2f} s" for count, took in zip(sizes, seconds, strict=True))
    return [row]
