"""docs/scale.md says what its simulation prints, and the simulation counts what it says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import fleet as simulation  # noqa: E402

SMALL = simulation.Fleet(runners=5, boards=3, days=3, jobs=4)


def test_each_file_comes_from_its_origin_once_where_there_is_a_shared_cache() -> None:
    made = simulation.simulate(SMALL)
    alone = simulation.simulate(replace(SMALL, shared=False))
    assert made.jobs == alone.jobs == 5 * 3 * 4
    assert made.looks == alone.looks == made.jobs * SMALL.blobs
    versions = SMALL.groups * SMALL.blobs + SMALL.days * SMALL.changes
    assert made.origin_requests + made.conversions <= versions
    assert made.stored_bytes == (made.origin_requests + made.conversions) * SMALL.size
    assert (alone.cache_hits, alone.stored_bytes) == (0, 0)
    assert alone.origin_requests > made.origin_requests
    assert alone.conversions > made.conversions
    assert simulation.simulate(SMALL) == made


def test_a_kept_store_spares_the_cache_and_a_board_gets_what_changed() -> None:
    kept = simulation.simulate(replace(SMALL, fresh=0.0))
    thrown = simulation.simulate(replace(SMALL, fresh=1.0))
    assert thrown.local_hits == 0 < kept.local_hits
    assert kept.cache_bytes < thrown.cache_bytes
    still = replace(SMALL, changes=0, deploys=200)
    results = round(SMALL.blobs * SMALL.results) * SMALL.groups
    assert simulation.simulate(still).board_bytes == SMALL.boards * results * SMALL.size


def test_the_page_states_the_assumptions_that_are_simulated() -> None:
    page = (REPOSITORY / "docs" / "scale.md").read_text("utf-8")
    fleet = simulation.Fleet()
    for told in (
        f"| {fleet.runners:,}, {fleet.boards}, {fleet.days} |", f"{fleet.jobs} per runner and day",
        f"one of {fleet.groups} groups", f"{fleet.blobs} files of {fleet.size // 1_000_000} MB",
        f"{fleet.results:.0%}".replace("%", " %"), f"{fleet.fresh:.0%}".replace("%", " %"),
        f"{fleet.changes} files a day", f"{fleet.seconds:.0f} CPU seconds", f"{fleet.deploys} per board and day",
    ):  # fmt: skip
        assert told in page


@pytest.mark.slow
def test_the_table_of_the_page_is_what_the_simulation_prints() -> None:
    page = (REPOSITORY / "docs" / "scale.md").read_text("utf-8")
    assert simulation.table(simulation.rows()) in page
