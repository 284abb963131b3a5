"""Disk space and downloads of a plan, and the missing files of a report, as facts for a program to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from modelprep.errors import StorageError
from modelprep.structs import dataclass

if TYPE_CHECKING:
    from modelprep.pipeline.plan.disk_space import Room
    from modelprep.pipeline.plan.request import Plan, PlannedDemo
    from modelprep.pipeline.run.missing import Missing
    from modelprep.pipeline.run.report import Report
    from modelprep.recipe.schema import Asset, Recipe, Source


@dataclass(frozen=True)
class Outlook:
    """Downloads and disk space of a plan.

    `facts`: the plan, JSON-ready. `rooms`: needed space on each file system. `shortage`: why there is not enough space;
    None if there is. `exit_code`: exit status of the demos that are known to fail.
    """

    facts: Mapping[str, object]
    rooms: Sequence[Room]
    shortage: StorageError | None
    exit_code: int


def outlook(plan: Plan) -> Outlook:
    """Return downloads and disk space of a plan; uses no network and writes nothing."""
    from modelprep.pipeline.plan.disk_space import check_room, rooms
    from modelprep.pipeline.run.report import worst
    from modelprep.pipeline.run.summary import plan_json

    shortage = None
    try:
        if plan.wanted:
            check_room(plan)
    except StorageError as error:
        shortage = error
    codes = [demo.problem.exit_code for demo in plan.demos if demo.problem is not None]
    return Outlook(plan_json(plan), rooms(plan), shortage, worst(codes))


def download_size(plan: Plan, demo: PlannedDemo) -> tuple[int | None, int | None]:
    """Return the bytes to download for one demo alone, and an estimate if only sizes inside archives are known."""
    from modelprep.pipeline.plan.request import bytes_of

    return bytes_of(plan, demo), bytes_of(plan, demo, roughly=True)


def licence_classes(recipe: Recipe) -> tuple[str, ...]:
    """Return the licence classes of a recipe's assets, the strictest first."""
    from modelprep.recipe.licences import demo_classes

    return demo_classes(recipe)


def lasting_source(asset: Asset) -> Source | None:
    """Return the source of an asset that is likeliest to answer; None for one that has none."""
    from modelprep.fetch.by_hand import best_source

    return best_source(asset)


def board_notes(plan: Plan) -> list[str]:
    """Return one sentence per demo that the board's release changes."""
    from modelprep.pipeline.plan.board import told

    return told([demo.recipe for demo in plan.demos])


@dataclass(frozen=True)
class Unfetched:
    """Files that could not be downloaded.

    `unreached`, `refused`: those for which no host was reached or tried; all others. `commands`: identity -> the
    command that downloads the file by hand. `again`: the command that resumes with all of them. `cause`: why the
    unreached ones could not be downloaded.
    """

    unreached: Sequence[Missing]
    refused: Sequence[Missing]
    commands: Mapping[str, str]
    again: str
    cause: str


def unfetched(report: Report, words: Sequence[str]) -> Unfetched | None:
    """Return the files of a report that could not be downloaded, each once; None if there are none.

    `words`: the command that was typed.
    """
    from modelprep.fetch.network_errors import no_network
    from modelprep.pipeline.run.missing import again, downloads

    files = [each for demo in report.demos for each in demo.missing]
    if not files:
        return None
    different = {each.identity: each for each in files}
    unreached = [each for each in different.values() if each.hosts or each.offline]
    hosts = {host: how for each in unreached for host, how in each.hosts.items()}
    return Unfetched(
        unreached,
        [each for each in different.values() if each not in unreached],
        {identity: line for identity, (_, line) in downloads(files).items()},
        again(words, files),
        no_network(hosts, online=report.online) if hosts else "not cached, and --offline allows no download",
    )
