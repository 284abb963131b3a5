"""The lock file, and moving its pins into a recipe without touching anything else."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelprep.errors import RecipeError, StorageError
from modelprep.recipe import loader
from modelprep.recipe.edit import pin_assets
from modelprep.recipe.lockfile import Pin, format_lock, read_lock
from modelprep.store.disk import write_atomic


def write_lock(path: Path, pins: Mapping[str, Pin]) -> None:
    path.write_text(format_lock(pins), "utf-8")


SHA = "0123456789abcdef" * 4
PIN = Pin(SHA, 12, "https://example.org/m")
TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cf", "Cn"), exclude_characters="\u2028\u2029"), min_size=1
)


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True),
        st.builds(Pin, st.from_regex("[0-9a-f]{64}", fullmatch=True), st.integers(0, 2**50), TEXTS.filter(str.strip)),
    )
)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, pins: dict[str, Pin]) -> None:
    path = tmp_path_factory.mktemp("lock") / "modelprep.lock"
    write_lock(path, pins)
    assert read_lock(path) == pins
    assert path.read_text("utf-8") == format_lock(dict(reversed(pins.items())))


def test_a_lock_file_that_is_not_there_or_empty_holds_nothing(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "none") == {}
    (tmp_path / "empty").write_text("# nothing yet\n\n")
    assert read_lock(tmp_path / "empty") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"a:\n  sha256: {SHA[:-1]}\n  size: 1\n  first_seen_from: x\n", "wrong length"),
        (f"a:\n  sha256: {SHA}\n  size: 1\n", "needs the key 'first_seen_from'"),
        (f"a:\n  sha256: {SHA}\n  sized: 1\n  size: 1\n  first_seen_from: x\n", "unknown key 'sized' in a pin"),
        ("[]\n", "not a mapping"),
    ],
)
def test_a_spoilt_lock_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "modelprep.lock"
    path.write_text(text)
    with pytest.raises(RecipeError, match=said) as caught:
        read_lock(path)
    assert str(path) in str(caught.value.where)


def test_a_merge_conflict_is_named(tmp_path: Path) -> None:
    path = tmp_path / "modelprep.lock"
    path.write_text(f"<<<<<<< HEAD\na:\n  sha256: {SHA}\n=======\n>>>>>>> other\n")
    with pytest.raises(RecipeError, match="merge conflict"):
        read_lock(path)


def test_a_file_appears_whole_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    write_atomic(path, b"new\n")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new\n", 0o640)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    with pytest.raises(StorageError):
        write_atomic(path / "file", b"x")


RECIPE = """\
# head comment
schema: 1   # version
demo: D
assets:
  # the model
  model:
      urls: [http://example.org/m]   # dead since 2020
      pin: first-use   # nobody publishes it
      licence: MIT
  flow: {urls: [http://example.org/f], pin: first-use, size: 3}
  other: {provide: true}

# tail
"""


def test_a_pin_changes_its_own_line_only() -> None:
    changed = pin_assets(RECIPE, Path("r.yaml"), {"model": PIN})
    assert changed == RECIPE.replace(
        "      pin: first-use   # nobody publishes it\n",
        f'      sha256: "{SHA}"\n      size: 12\n'
        '      pinned_by: "first use, from https://example.org/m; no publisher states it"   # nobody publishes it\n',
    )
    asset = loader.parse_recipe(changed, Path("g/r.yaml")).assets["model"]
    assert (asset.digests.values, asset.size, asset.pin) == ({"sha256": SHA}, 12, "published")


def test_a_mapping_in_braces_stays_on_its_line_and_a_size_is_replaced() -> None:
    changed = pin_assets(RECIPE, Path("r.yaml"), {"flow": PIN})
    (line,) = (line for line in changed.splitlines() if line.startswith("  flow:"))
    assert line == (
        f'  flow: {{urls: [http://example.org/f], sha256: "{SHA}", '
        'pinned_by: "first use, from https://example.org/m; no publisher states it", size: 12}'
    )
    assert [line for line in changed.splitlines() if "flow" not in line] == [
        line for line in RECIPE.splitlines() if "flow" not in line
    ]


def test_two_pins_and_foreign_line_ends_go_together() -> None:
    text = RECIPE.replace("\n", "\r\n")
    changed = pin_assets(text, Path("r.yaml"), {"flow": PIN, "model": PIN})
    assets = loader.parse_recipe(changed, Path("g/r.yaml")).assets
    assert [assets[name].digests.values for name in ("flow", "model")] == [{"sha256": SHA}] * 2
    assert changed.startswith("# head comment\r\nschema: 1   # version\r\n")


def test_an_asset_that_is_not_pinned_at_first_use_is_refused() -> None:
    with pytest.raises(RecipeError, match="does not have"):
        pin_assets(RECIPE, Path("r.yaml"), {"other": PIN})
    with pytest.raises(RecipeError, match="unknown asset 'nobody'"):
        pin_assets(RECIPE, Path("r.yaml"), {"nobody": PIN})


def test_an_asset_shared_by_an_alias_is_refused_rather_than_changed_twice() -> None:
    text = "schema: 1\ndemo: D\nassets:\n  a: &a {urls: [http://e.org/x], pin: first-use}\n  b: *a\n"
    with pytest.raises(RecipeError, match="safe change"):
        pin_assets(text, Path("r.yaml"), {"a": PIN})


@pytest.mark.parametrize("key", ["a b", "one/two", "one/two#", "#three", "one#three", "a/b#c d", "a/b/c#d"])
def test_a_name_that_no_asset_can_have_is_an_error(tmp_path: Path, key: str) -> None:
    path = tmp_path / "modelprep.lock"
    path.write_text(f'"{key}": {{sha256: "{"0" * 64}", size: 1, first_seen_from: "http://e.org/a"}}\n')
    with pytest.raises(RecipeError):
        read_lock(path)


def test_a_pin_of_a_recipes_own_asset_is_read_as_it_was_written(tmp_path: Path) -> None:
    pins = {"shared-one": Pin("0" * 64, 1, "u"), "my group/r.v2#own": Pin("1" * 64, 2, "v")}
    write_lock(tmp_path / "modelprep.lock", pins)
    assert read_lock(tmp_path / "modelprep.lock") == pins
