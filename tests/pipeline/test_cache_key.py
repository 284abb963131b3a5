"""``cache key``: the same on every machine, another one exactly when a recipe, a step's version or the lock changes."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from modelprep.errors import RecipeError, UsageError
from modelprep.pipeline.inventory import cache_key, cache_keys
from modelprep.pipeline.plan.planner import plan_recipes
from modelprep.pipeline.plan.request import Request
from modelprep.recipe.catalogue import Catalogue, shipped_folder
from modelprep.recipe.lockfile import Pin, format_lock
from modelprep.steps import gunzip
from modelprep.store import Store


def write_lock(path: Path, pins: Mapping[str, Pin]) -> None:
    path.write_text(format_lock(pins), "utf-8")


REPOSITORY = Path(__file__).resolve().parent.parent.parent

ASSETS = """\
schema: 1
assets:
  labels:
    urls: ["https://one.example/labels.txt", "https://two.example/labels.txt"]
    sha256: "{a}"
    size: 5
    pinned_by: the test
    licence: {{name: MIT, source: the test}}
  stranger:
    urls: ["https://one.example/stranger.txt"]
    sha256: "{b}"
    pinned_by: the test
""".format(a="a" * 64, b="b" * 64)

FIRST = """\
schema: 1
demo: First
summary: |
  a thing
  of two lines
manual: '1.1'
status: ready
tree: Things
assets:
  packed:
    urls: ["https://one.example/packed.gz", {{url: "https://two.example/all.tar", member: x/packed.gz}}]
    sha256: "{c}"
    pinned_by: the test
  labels: {{use: labels}}
  loose: {{urls: ["https://one.example/loose.bin"], pin: first-use}}
steps:
  - {{id: plain, uses: gunzip, with: {{file: $packed}}}}
install:
  models/plain.bin: $plain
  models/loose.bin: $loose
  data/labels.txt: $labels
run: ./first
expect: {{output: prob, test_sets: 25}}
notes: [something to know]
""".format(c="c" * 64)

SECOND = """\
schema: 1
demo: Second
summary: another
status: bring-your-own
why: it is yours
tree: Things
assets:
  yours: {provide: true, summary: a picture of yours}
install: {data/yours.jpg: $yours}
"""

PIN = Pin("d" * 64, 9, "https://one.example/loose.bin")


class Bench:
    """A folder of recipes and a lock file, anywhere."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.recipes = root / "recipes"
        self.lock = root / "modelprep.lock"
        (self.recipes / "assets").mkdir(parents=True)
        (self.recipes / "things").mkdir()
        (self.recipes / "assets" / "shared.yaml").write_text(ASSETS)
        self.path("first").write_text(FIRST)
        self.path("second").write_text(SECOND)
        write_lock(self.lock, {"things/first#loose": PIN})

    def path(self, name: str) -> Path:
        return self.recipes / "things" / f"{name}.yaml"

    def keys(self, *targets: str) -> dict[str, str]:
        return cache_keys(Catalogue([self.recipes]), targets, self.lock)

    def key(self, *targets: str) -> str:
        return cache_key(self.keys(*targets))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "here")


def command(
    arguments: list[str], *, environment: dict[str, str] | None = None, cwd: Path | None = None, before: str = ""
) -> str:
    """Run ``modelprep cache key`` in a process of its own; `before` is Python that runs first."""
    code = f"{before}\nimport sys\nfrom modelprep.cli.main import invoke\nsys.exit(invoke(sys.argv[1:]))"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MODELPREP")}
    ran = subprocess.run(
        [sys.executable, "-c", code, "cache", "key", *arguments],
        env={**kept, "PYTHONPATH": str(REPOSITORY), **(environment or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def machines(bench: Bench) -> Iterator[tuple[str, dict[str, str], str]]:
    home = bench.root / "home"
    home.mkdir()
    yield "home", {"HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}, ""
    yield "locale and time zone", {"LC_ALL": "tr_TR.UTF-8", "LANG": "de_DE", "TZ": "Pacific/Kiritimati"}, ""
    yield "plain C locale", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, ""
    yield "hash seed 1", {"PYTHONHASHSEED": "1"}, ""
    yield "hash seed 2", {"PYTHONHASHSEED": "2"}, "import os\nos.umask(0o077)"
    yield "optimised", {"PYTHONOPTIMIZE": "2"}, ""
    yield "store", {"MODELPREP_CACHE": str(bench.root / "store")}, ""
    # What the extras bring cannot be imported: a machine where only the core is installed.
    heavy = (
        "numpy",
        "onnx",
        "onnxruntime",
        "tensorflow",
        "tf_keras",
        "tf_slim",
        "tf2onnx",
        "cv2",
        "PIL",
        "ai_edge_litert",
    )
    bare = f"""
        import sys
        for name in {heavy!r}:
            sys.modules[name] = None
        """
    yield "no extras", {}, textwrap.dedent(bare)
    # Folders are listed in another order.
    shuffled = """
        import os, pathlib
        listed = pathlib.Path.iterdir
        pathlib.Path.iterdir = lambda path: iter(sorted(listed(path), reverse=True))
        scanned = os.listdir
        os.listdir = lambda path=".": sorted(scanned(path), reverse=True)
        """
    yield "order of files", {}, textwrap.dedent(shuffled)
    # PyYAML built without libyaml.
    yield "pure YAML", {}, "import yaml\nfor name in ('CParser', 'CLoader', 'CSafeLoader'): vars(yaml).pop(name, None)"


@pytest.mark.slow
def test_the_key_is_the_same_on_every_machine(bench: Bench) -> None:
    arguments = ["things", "--recipes", str(bench.recipes), "--lockfile", str(bench.lock)]
    first = command(arguments)
    assert len(first) == 64
    assert set(first) <= set("0123456789abcdef")
    assert first == bench.key("things")
    told = {name: command(arguments, environment=more, before=before) for name, more, before in machines(bench)}
    assert told == dict.fromkeys(told, first)
    assert len(told) == 10
    elsewhere = bench.root / "another folder" / "ümlaut"
    elsewhere.mkdir(parents=True)
    assert command(arguments, cwd=elsewhere) == first


def test_the_shipped_recipes_have_the_same_key_wherever_they_lie(bench: Bench) -> None:
    here = cache_keys(Catalogue([shipped_folder()]), (), bench.root / "none")
    assert len(here) > 40
    shutil.copytree(shipped_folder(), bench.root / "copy")
    assert cache_keys(Catalogue([bench.root / "copy"]), (), bench.root / "none") == here


def test_the_folder_that_recipes_lie_in_is_not_part_of_the_key(bench: Bench, tmp_path: Path) -> None:
    there = Bench(tmp_path / "there")
    assert there.key() == bench.key()
    # A recipe that lies in no group has the name of its folder in front of it, and that may be a checkout's.
    shutil.copy(bench.path("second"), tmp_path / "second.yaml")
    (tmp_path / "work").mkdir()
    shutil.copy(bench.path("second"), tmp_path / "work" / "second.yaml")
    keys = {
        bench.key(str(tmp_path / "second.yaml")),
        bench.key(str(tmp_path / "work" / "second.yaml")),
        bench.key("things/second"),
    }
    assert len(keys) == 1


def test_targets_that_mean_the_same_recipes_have_the_same_key(bench: Bench) -> None:
    whole = bench.key("things")
    assert bench.key() == bench.key("all") == bench.key("First", "things/second") == whole
    assert bench.key("things/second", "things/first", "things") == whole
    assert len({whole, bench.key("things/first"), bench.key("things/second")}) == 3


def test_what_stands_in_the_tree_or_in_the_store_does_not_matter(bench: Bench) -> None:
    first = bench.key("things")
    (bench.root / "out" / "Things").mkdir(parents=True)
    (bench.root / "out" / "Things" / "MANIFEST.json").write_text("this is no manifest")
    arguments = ["things", "--recipes", str(bench.recipes), "--lockfile", str(bench.lock)]
    assert command([*arguments, "--out", str(bench.root / "out")]) == first


def swap(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return edit


#: Edits of first.yaml that leave what it brings as it is.
SAME = {
    "a comment": lambda text: f"# new\n{text}# end\n",
    "line endings": lambda text: text.replace("\n", "\r\n"),
    "a byte order mark": lambda text: "\ufeff" + text,
    "indentation": swap("  labels: {use: labels}\n", "  labels:\n      use: labels\n"),
    "quotes": swap("run: ./first", "run: './first'"),
    "the order of keys": lambda text: text.replace("run: ./first\n", "").replace("tree:", "run: ./first\ntree:"),
    "the order of files": swap(
        "  models/loose.bin: $loose\n  data/labels.txt: $labels\n",
        "  data/labels.txt: $labels\n  models/loose.bin: $loose\n",
    ),
    "a note": swap("something to know", "something else"),
    "a further mirror": swap("https://two.example/all.tar", "https://three.example/all.tar"),
    "an asset that nothing uses": swap("  labels: {use", "  idle: {use: stranger}\n  labels: {use"),
}
#: Edits that bring something else, or write something else into the tree.
OTHER = {
    "a digest": swap("c" * 64, "e" * 64),
    "the manual's own URL": swap("https://one.example/packed.gz", "https://one.example/packed2.gz"),
    "a place": swap("data/labels.txt", "data/names.txt"),
    "a file more": swap("run: ./first", "  data/packed.gz: $packed\nrun: ./first"),
    "another reference": swap("plain.bin: $plain", "plain.bin: $packed"),
    "the tree": swap("tree: Things", "tree: Others"),
    "the command": swap("run: ./first", "run: ./first -v"),
    "what is expected": swap("test_sets: 25", "test_sets: 26"),
    "the demo": swap("demo: First", "demo: Fist"),
    "the licence": swap("    pinned_by: the test\n", "    pinned_by: the test\n    licence: BSD-3-Clause\n"),
    "where a loose file comes from": swap('loose.bin"], pin', 'loose.bin?raw=1"], pin'),
}


@pytest.mark.parametrize("what", SAME)
def test_an_edit_without_meaning_keeps_the_key(bench: Bench, what: str) -> None:
    first = bench.key("things")
    bench.path("first").write_bytes(SAME[what](FIRST).encode())
    assert bench.key("things") == first


@pytest.mark.parametrize("what", OTHER)
def test_an_edit_with_a_meaning_changes_the_key_of_its_recipe_alone(bench: Bench, what: str) -> None:
    before = bench.keys()
    assert OTHER[what](FIRST) != FIRST
    bench.path("first").write_text(OTHER[what](FIRST))
    after = bench.keys()
    assert after["things/first"] != before["things/first"]
    assert after["things/second"] == before["things/second"]
    assert cache_key(after) != cache_key(before)


def test_every_edit_gives_a_key_of_its_own(bench: Bench) -> None:
    seen = {bench.key("things/first")}
    for edit in OTHER.values():
        bench.path("first").write_text(edit(FIRST))
        seen.add(bench.key("things/first"))
    assert len(seen) == len(OTHER) + 1


def test_a_recipe_with_slots_has_a_key_that_follows_it_too(bench: Bench) -> None:
    first = bench.keys("things/second")
    bench.path("second").write_text(SECOND.replace("data/yours.jpg", "data/mine.jpg"))
    assert bench.keys("things/second") != first


def test_a_shared_asset_changes_the_keys_of_the_recipes_that_use_it(bench: Bench) -> None:
    before = bench.keys()
    shared = bench.recipes / "assets" / "shared.yaml"
    shared.write_text(ASSETS.replace("b" * 64, "f" * 64))
    assert bench.keys() == before
    shared.write_text(ASSETS.replace("a" * 64, "f" * 64))
    after = bench.keys()
    assert {name for name in before if before[name] != after[name]} == {"things/first"}


def test_an_unrelated_recipe_changes_nothing(bench: Bench) -> None:
    first = bench.key("things/first")
    bench.path("third").write_text(SECOND.replace("Second", "Third"))
    bench.path("second").unlink()
    bench.path("broken").write_text("schema: [")
    assert bench.key("things/first") == first


def test_a_steps_version_changes_the_key_and_another_steps_does_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelprep.steps import idx_check

    before = bench.keys()
    with monkeypatch.context() as patch:
        patch.setattr(idx_check, "STEP", dataclasses.replace(idx_check.STEP, version=99))
        assert bench.keys() == before
    monkeypatch.setattr(gunzip, "STEP", dataclasses.replace(gunzip.STEP, version=99))
    after = bench.keys()
    assert {name for name in before if before[name] != after[name]} == {"things/first"}


def test_a_pin_changes_the_keys_of_the_recipes_that_need_it(bench: Bench) -> None:
    before = bench.keys()
    bench.lock.write_bytes(b"# reviewed\r\n" + bench.lock.read_bytes().replace(b"\n", b"\r\n"))
    assert bench.keys() == before
    write_lock(bench.lock, {"things/first#loose": PIN, "somebody-elses": dataclasses.replace(PIN, sha256="1" * 64)})
    assert bench.keys() == before
    # Where it was first seen is told to people; the bytes are the same.
    write_lock(
        bench.lock, {"things/first#loose": dataclasses.replace(PIN, first_seen_from="https://mirror.example/loose.bin")}
    )
    assert bench.keys() == before
    write_lock(bench.lock, {"things/first#loose": dataclasses.replace(PIN, sha256="1" * 64)})
    after = bench.keys()
    assert {name for name in before if before[name] != after[name]} == {"things/first"}
    bench.lock.unlink()
    assert len({before["things/first"], after["things/first"], bench.keys()["things/first"]}) == 3


@pytest.mark.parametrize(
    "pins",
    [
        "urls: [{url: 'https://one.example/a.tar', member: m.bin, sha256: '%s'}], pin: first-use",
        "urls: ['https://one.example/a.tar'], members: {m.bin: {sha256: '%s'}}",
    ],
)
def test_the_digest_of_an_archive_or_of_a_member_counts_where_the_file_has_none(bench: Bench, pins: str) -> None:
    text = "schema: 1\ndemo: Third\nsummary: s\nstatus: ready\nassets:\n  got: {%s}\ninstall: {m.bin: $got}\n"
    bench.path("third").write_text(text % (pins % ("2" * 64)))
    first = bench.key("Third")
    bench.path("third").write_text(text % (pins % ("3" * 64)))
    assert bench.key("Third") != first


def test_a_variant_and_an_armnn_version_have_their_own_keys(bench: Bench) -> None:
    more = "variants:\n  armnn-19.08: {run: ./later}\n"
    bench.path("first").write_text(FIRST.replace("output: prob", "armnn: '19.02', output: prob") + more)
    catalogue = Catalogue([bench.recipes])
    plain = cache_keys(catalogue, ["First"], bench.lock)
    later = cache_keys(catalogue, ["First"], bench.lock, armnn="19.08")
    assert list(later) == ["things/first@armnn-19.08"]
    assert len({*plain.values(), *later.values(), *bench.keys("First@armnn-19.08").values()}) == 3
    assert cache_keys(catalogue, ["First"], bench.lock, armnn="19.02") == plain
    with pytest.raises(UsageError, match=r"19\.80"):
        cache_keys(catalogue, ["First"], bench.lock, armnn="19.80")


def test_it_is_the_key_that_a_plan_goes_by(tmp_path: Path) -> None:
    """Of recipes whose name is their file's own, the plan's demo keys and ours are one."""
    from modelprep.pipeline.plan.keys import recipe_key

    catalogue = Catalogue([shipped_folder()])
    recipes = [dataclasses.replace(recipe, name=recipe.path.stem) for recipe in catalogue.resolve(["all"])]
    made = plan_recipes(Request(targets=("all",), out=tmp_path), recipes, Store(tmp_path / "store"))
    planned = [demo for demo in made.demos if demo.key]
    assert len(planned) > 30
    assert [demo.key for demo in planned] == [recipe_key(demo.recipe, {}) for demo in planned]


def test_a_broken_recipe_or_lock_has_no_key(bench: Bench) -> None:
    bench.path("first").write_text(FIRST.replace("uses: gunzip", "uses: gunzip-well"))
    with pytest.raises(RecipeError, match="gunzip-well"):
        bench.key("things")
    assert len(bench.key("things/second")) == 64
    bench.lock.write_text("loose: {sha256: 12}\n")
    with pytest.raises(RecipeError):
        bench.key("things/second")


def test_the_command_tells_one_key_or_each_recipes_own(bench: Bench) -> None:
    arguments = ["things", "--recipes", str(bench.recipes), "--lockfile", str(bench.lock)]
    told = json.loads(command([*arguments, "--json"]))
    assert told == {"key": bench.key("things"), "recipes": ["things/first", "things/second"], "keys": bench.keys()}
    lines = dict(reversed(line.split("  ")) for line in command([*arguments, "--each"]).splitlines())
    assert lines == bench.keys()
