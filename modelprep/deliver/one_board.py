"""Deploy to one board over an open connection: compare, send what differs, run the tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelprep.deliver import board_tests, deploy
from modelprep.deliver.board_release import other_release
from modelprep.deliver.board_tests import BoardRun
from modelprep.deliver.deploy import Deployed, DeployPlan, FileCheck
from modelprep.deliver.remote import Channel
from modelprep.events import Event, Listener, silent
from modelprep.tree.selection import TreePart, names_of_tests


@dataclass(frozen=True)
class Deployment:
    """Result of a deployment.

    Parameters
    ----------
    board
        The login, as ssh takes it.
    trees
        What was sent into each tree's folder there.
    tests
        With ``run``: result of ``run-tests.sh`` in each of them.
    """

    board: str
    trees: tuple[Deployed, ...]
    tests: tuple[BoardRun, ...] = ()

    @property
    def ok(self) -> bool:
        """True when every test that was run on the board passed."""
        return all(run.ok for run in self.tests)

    @property
    def bytes_sent(self) -> int:
        """Bytes sent."""
        return sum(tree.bytes_sent for tree in self.trees)


def plan_board(
    channel: Channel,
    parts: Sequence[TreePart],
    release: str,
    *,
    check: FileCheck = deploy.check_file,
    listen: Listener = silent,
) -> tuple[DeployPlan, ...]:
    """Ask a board which files it has and decide what to send; warn if it runs another release.

    `release`: the i.MX Linux release that the files were prepared for. `check`: called for each file to send. Raises
    ModelprepError: as :func:`modelprep.deliver.deploy.plan_parts`.
    """
    plans = deploy.plan_parts(channel, parts, check)
    if other := other_release(channel, release):
        listen(Event("warning", text=other))
    return tuple(plans)


def apply_board(
    channel: Channel,
    plans: Sequence[DeployPlan],
    *,
    run: bool = False,
    arguments: Sequence[str] = (),
    junit: bool = False,
    streamed: bool = False,
    listen: Listener = silent,
    before_tests: Callable[[DeployPlan], object] = lambda _plan: None,
) -> Deployment:
    """Execute the plans, and with `run` run the tests of their demos.

    `arguments`: for ``run-tests.sh``, before the names of the tests. `junit`: also return the JUnit reports.
    `streamed`: stream the tests' tables to standard output instead of keeping them. `before_tests`: called when all
    files are in place, before the tests of each tree. Raises ModelprepError: as
    :func:`modelprep.deliver.deploy.apply_deploy` and :func:`modelprep.deliver.board_tests.run_board_tests`.
    """
    trees = tuple(deploy.apply_deploy(channel, plan, listen=listen) for plan in plans)
    tests = []
    for plan in plans if run else ():
        if names := names_of_tests(plan.part.manifest):
            before_tests(plan)
            folder = plan.board.folder
            tests.append(
                board_tests.run_board_tests(channel, folder, [*arguments, *names], streamed=streamed, junit=junit)
            )
    return Deployment(channel.board.login, trees, tuple(tests))
