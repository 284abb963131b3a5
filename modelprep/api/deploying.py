"""Verbs that copy finished demos to boards and run their tests there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.api.declaring import AnyPath, Unpack, Words, verb, words
from modelprep.api.fetching import parts_of
from modelprep.api.frame import framed, verb_of
from modelprep.api.options import DeployManyOptions, DeployOptions, PlanDeployOptions
from modelprep.errors import UsageError
from modelprep.events import Listener

if TYPE_CHECKING:
    from types import SimpleNamespace

    from modelprep.deliver.deploy import DeployPlan
    from modelprep.deliver.one_board import Deployment
    from modelprep.pipeline.deploying import BoardOutcome, Deployments, Order


@verb(PlanDeployOptions)
def plan_deploy(targets: Words, board: str, **options: Unpack[PlanDeployOptions]) -> tuple[DeployPlan, ...]:
    """Ask a board which files it has, and decide what to send; changes nothing. The command's ``deploy --dry-run``.

    Parameters
    ----------
    board
        As for :func:`deploy`.

    Returns
    -------
    tuple of DeployPlan
        One per tree: what to ``send``, what is ``staged`` there by an interrupted run, what to ``keep``.

    Raises
    ------
    ModelprepError
        As :func:`deploy`.
    """
    with verb_of(PlanDeployOptions, options) as (given, _):
        from modelprep.deliver import boards, deploy, remote

        target = boards.parse_target(board)
        parts = parts_of(targets, given, restricted=True)
        with boards.reach(target, remote.ssh_words(given.ssh)) as channel:
            return tuple(deploy.plan_parts(channel, parts))


@verb(DeployOptions)
def deploy(
    targets: Words, board: str, *, listen: Listener | None = None, **options: Unpack[DeployOptions]
) -> Deployment:
    """Copy finished demos to a board over ssh: only what differs, verified there, put in place by rename.

    Parameters
    ----------
    board
        ``user@host`` or ``user@host:path``, as ssh knows it, or ``labgrid:PLACE[:path]``. Demos that have a fixed
        folder there are copied to it. A password is asked for on the terminal, if there is one; a program should use
        keys.

    Raises
    ------
    UsageError
        The board's name is not valid, or a demo has not been fetched.
    DeployError
        The board cannot be reached or refuses; the next run does not send again what has arrived.
    StorageError
        The folder on the board cannot be written or its disk is full.
    DigestMismatch
        The received files differ from what was sent; nothing was put in place.
    MissingTool
        There is no ssh program on this machine.
    """
    made = deploy_one(targets, board, listen=listen, **options).deployment
    assert made is not None  # set unless it was a dry run
    return made


def deploy_one(
    targets: Words,
    board: str,
    *,
    dry_run: bool = False,
    streamed: bool = False,
    before_tests: Callable[[BoardOutcome, DeployPlan], object] = lambda _outcome, _plan: None,
    listen: Listener | None = None,
    **options: Unpack[DeployOptions],
) -> BoardOutcome:
    """Deploy to one board as :func:`deploy` does, and return the plans too; for programs with a terminal.

    `dry_run`: ask the board which files it has; change nothing. `streamed`: stream the tests' tables to standard output
    instead of keeping them. `before_tests`: called with all plans and a tree's plan, before the tests of each tree.
    """
    with verb_of(DeployOptions, options, listen) as (given, tell):
        from modelprep.deliver.board_tests import junit_of
        from modelprep.deliver.boards import parse_target
        from modelprep.pipeline.deploying import deploy_board

        target = parse_target(board)
        order = _order(targets, given, tell, dry_run=dry_run)
        made = deploy_board(order, target, tell, streamed=streamed, before_tests=before_tests)
        if given.junit is not None and made.deployment is not None:
            from modelprep.store.disk import write_atomic

            write_atomic(given.junit, junit_of(made.deployment.tests))
        return made


@verb(DeployManyOptions)
def deploy_many(
    targets: Words,
    boards: Words,
    *,
    dry_run: bool = False,
    listen: Listener | None = None,
    **options: Unpack[DeployManyOptions],
) -> Deployments:
    """Copy finished demos to several boards in parallel, as :func:`deploy`; a failed board does not stop the others.

    Parameters
    ----------
    boards
        Each ``user@host[:path]`` or ``labgrid:PLACE[:path]``; :func:`read_boards` reads a list of them. ssh asks no
        questions on the terminal.
    dry_run
        Ask the boards which files they have; change nothing.

    Returns
    -------
    Deployments
        The outcome of each board, in their order: plans, deployment, results of the tests, error; the worst exit
        status; the results as a matrix of test by board.

    Raises
    ------
    UsageError
        A board's name is not valid or occurs twice, or a demo has not been fetched.
    StorageError
        A report cannot be written.
    Interrupted
        Ctrl-C. A failure of one board is not raised: it is in that board's outcome.
    """
    with verb_of(DeployManyOptions, options, listen) as (given, tell):
        from modelprep.deliver.boards import parse_targets
        from modelprep.pipeline.deploying import deploy_boards

        chosen = parse_targets(words(boards))
        order = _order(targets, given, tell, dry_run=dry_run)
        return deploy_boards(order, chosen, tell, jobs=given.jobs, reports=given.junit)


def read_boards(file: AnyPath) -> list[str]:
    """Read a list of boards for :func:`deploy_many`: one per line, ``#`` begins a comment. The command's ``--boards``.

    Raises
    ------
    UsageError
        The file is not text, or a line is not a board.
    StorageError
        The file cannot be read.
    """
    with framed():
        from modelprep.deliver import boards

        return boards.read_boards(Path(file))


def _order(targets: Words, given: SimpleNamespace, tell: Listener, *, dry_run: bool) -> Order:
    from modelprep.deliver import remote
    from modelprep.pipeline.deploying import Order
    from modelprep.targets.bsp import DEFAULT, load

    if (given.junit is not None or given.compute) and not given.run:
        raise UsageError("junit and compute need run=True")
    return Order(
        parts=parts_of(targets, given, tell, restricted=True),
        ssh=remote.ssh_words(given.ssh),
        release=load(given.bsp or DEFAULT).name,
        run=given.run,
        arguments=("-t", str(given.timeout), *(word for name in given.compute for word in ("-c", name))),
        dry_run=dry_run,
        retries=given.retries,
        junit=given.junit is not None,
    )
