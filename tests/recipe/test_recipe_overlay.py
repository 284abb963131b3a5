"""Laying a variant over a recipe obeys the laws of a merge."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from modelprep.recipe import yaml_tree
from modelprep.recipe.overlay import overlay

KEYS = st.sampled_from("abcd")
LEAVES = st.none() | st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2)
TREES = st.dictionaries(KEYS, st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3)), max_size=4)


def merged(base: dict[str, Any], over: dict[str, Any]) -> Any:
    nodes = [yaml_tree.compose(yaml.safe_dump(each), "r.yaml") for each in (base, over)]
    before = [yaml_tree.plain(node) for node in nodes]
    result = yaml_tree.plain(overlay(*nodes))
    assert [yaml_tree.plain(node) for node in nodes] == before, "an operand was changed"
    return result


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return value


@given(TREES)
def test_nothing_laid_over_changes_nothing(base: dict[str, Any]) -> None:
    assert merged(base, {}) == base


@given(TREES)
def test_laid_over_nothing_only_the_nulls_go(over: dict[str, Any]) -> None:
    assert merged({}, over) == without_nulls(over)


@given(TREES, TREES)
def test_laying_over_twice_is_laying_over_once(base: dict[str, Any], over: dict[str, Any]) -> None:
    once = merged(base, over)
    assert merged(once, over) == once


@given(TREES, TREES)
def test_what_is_not_named_stays_and_what_is_named_wins(base: dict[str, Any], over: dict[str, Any]) -> None:
    result = merged(base, over)
    for key in {*base, *over}:
        if key not in over:
            assert result[key] == base[key]
        elif over[key] is None:
            assert key not in result
        elif not isinstance(over[key], dict):
            assert result[key] == over[key]
        elif isinstance(base.get(key), dict):
            assert result[key] == merged(base[key], over[key])
