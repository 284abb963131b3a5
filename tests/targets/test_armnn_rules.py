"""The table of parser rules is whole and agrees with what was read from the sources."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from modelprep.targets.armnn_rules import rules


def test_every_rule_says_something_and_belongs_to_a_parser() -> None:
    counts: dict[str, int] = {}
    for rule in rules().values():
        assert rule.effect in ("reject", "wrong", "crash", "ignored", "note"), rule.id
        assert rule.says, rule.id
        counts[rule.parser] = counts.get(rule.parser, 0) + 1
    assert counts == {"any": 8, "caffe": 44, "tf": 36, "tflite": 29, "onnx": 22, "ethos-u": 3}


def test_ids_effects_and_messages_are_those_of_the_facts(upstream: Path) -> None:
    path = upstream.parent / "facts" / "armnn-19.02-parsers.yaml"
    if not path.is_file():
        pytest.skip("the facts are not on this machine")
    facts = yaml.safe_load(path.read_text())
    known = {r["id"]: r for r in facts["common"]}
    for parser in ("caffe", "tf", "tflite", "onnx"):
        known |= {r["id"]: r for r in facts[parser]["rules"]}
    # Further rules were found by running the programs.
    assert list(known) == [number for number in rules() if number in known]
    for number, fact in known.items():
        assert rules()[number].effect == fact["effect"], number
