"""Verbs that take finished demos elsewhere: into an archive, onto a board, into an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.api.declaring import AnyPath, Words, settle, verb
from modelprep.api.frame import framed
from modelprep.api.options import BundleOptions, DeployOptions, PlanDeployOptions, YoctoOptions
from modelprep.errors import UsageError
from modelprep.events import Event, Listener

if TYPE_CHECKING:
    from types import SimpleNamespace

    from typing_extensions import Unpack

    from modelprep.deliver.board_tests import BoardRun
    from modelprep.deliver.bundle import Bundled
    from modelprep.deliver.deploy import Deployed, DeployPlan
    from modelprep.deliver.yocto import Exported
    from modelprep.tree.selection import TreePart


@dataclass(frozen=True)
class Deployment:
    """What a deployment did.

    Parameters
    ----------
    board
        The login, as ssh takes it.
    trees
        What was sent into each tree's folder there.
    tests
        With ``run``: what ``run-tests.sh`` said in each of them.
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
        """Bytes that went over."""
        return sum(tree.bytes_sent for tree in self.trees)


@verb(BundleOptions)
def bundle(
    targets: Words, output: AnyPath, *, listen: Listener | None = None, **options: Unpack[BundleOptions]
) -> Bundled:
    """Pack finished demos into one archive: the same bytes from the same inputs, whoever packs them, on any day.

    Parameters
    ----------
    output
        The archive: ``.tar.gz``, ``.tar.zst``, ``.tar`` or ``.zip``.

    Raises
    ------
    UsageError
        A demo has not been fetched, or the name is of no known archive type.
    DigestMismatch
        A file of the tree was changed since it was installed.
    MissingTool
        ``.tar.zst`` without the zstandard module.
    StorageError, Interrupted
        The disk would not take it; Ctrl-C. What was at the name before is still there.
    """
    given = settle(BundleOptions, options)
    with framed(listen) as tell:
        from modelprep.deliver.bundle import plan_bundle, tell_and_write

        parts = _parts(targets, given, include_restricted=given.include_restricted)
        return tell_and_write(plan_bundle(parts), Path(output), tell)


@verb(PlanDeployOptions)
def plan_deploy(targets: Words, board: str, **options: Unpack[PlanDeployOptions]) -> tuple[DeployPlan, ...]:
    """Ask a board what it has, and decide what would go over; changes nothing. The command's ``deploy --dry-run``.

    Parameters
    ----------
    board
        As for :func:`deploy`.

    Returns
    -------
    tuple of DeployPlan
        One a tree: what to ``send``, what is ``staged`` there by a run that was cut, what to ``keep``.

    Raises
    ------
    ModelprepError
        As :func:`deploy`.
    """
    given = settle(PlanDeployOptions, options)
    with framed():
        from modelprep.deliver import deploy as deploying
        from modelprep.deliver import remote

        place = remote.parse_board(board)
        parts = _parts(targets, given)
        with remote.connect(place, remote.ssh_words(given.ssh)) as channel:
            return tuple(deploying.plan_parts(channel, parts))


@verb(DeployOptions)
def deploy(
    targets: Words, board: str, *, listen: Listener | None = None, **options: Unpack[DeployOptions]
) -> Deployment:
    """Copy finished demos to a board over ssh: only what differs, checked there, put in place by rename.

    Parameters
    ----------
    board
        ``user@host`` or ``user@host:path``, as ssh knows it. Demos that have a place of their own there go to it. A
        password is asked for on the terminal, if there is one; a program should use keys.

    Raises
    ------
    UsageError
        The board's name is none, or a demo has not been fetched.
    DeployError
        The board cannot be reached or refuses; what has arrived is not sent again by the next run.
    StorageError
        The place on the board cannot be written or has no room.
    DigestMismatch
        What arrived is not what was sent; nothing was put in place.
    MissingTool
        No ssh program here.
    """
    given = settle(DeployOptions, options)
    if (given.junit is not None or given.compute) and not given.run:
        raise UsageError("junit and compute say how the tests are run: they want run=True")
    with framed(listen) as tell:
        from modelprep.deliver import board_tests, remote
        from modelprep.deliver import deploy as deploying
        from modelprep.deliver.board_release import other_release
        from modelprep.targets.bsp import DEFAULT, load
        from modelprep.tree.selection import names_of_tests

        place = remote.parse_board(board)
        parts = _parts(targets, given)
        with remote.connect(place, remote.ssh_words(given.ssh)) as channel:
            plans = deploying.plan_parts(channel, parts)
            if other := other_release(channel, load(given.bsp or DEFAULT).name):
                tell(Event("warning", text=other))
            trees = tuple(deploying.apply_deploy(channel, plan, listen=tell) for plan in plans)
            backends = [word for name in given.compute for word in ("-c", name)]
            chosen = [(plan.board.folder, names_of_tests(plan.part.manifest)) for plan in plans] if given.run else []
            tests = tuple(
                board_tests.hear_tests(channel, folder, [*backends, *names], junit=given.junit is not None)
                for folder, names in chosen
                if names
            )
        if given.junit is not None:
            from modelprep.store.disk import write_atomic

            write_atomic(given.junit, board_tests.junit_of(tests))
        return Deployment(place.login, trees, tests)


@verb(YoctoOptions)
def export_yocto(
    targets: Words, folder: AnyPath, *, listen: Listener | None = None, **options: Unpack[YoctoOptions]
) -> Exported:
    """Write a Yocto layer that puts finished demos into an image. The command's ``export yocto``.

    Parameters
    ----------
    folder
        The layer.

    Raises
    ------
    UsageError
        A demo has not been fetched, the release is not known, or the URL cannot be written into a recipe.
    StorageError, DigestMismatch
        As :func:`bundle`.
    """
    given = settle(YoctoOptions, options)
    with framed(listen) as tell:
        from modelprep.api.fetching import selected
        from modelprep.pipeline.exporting import export_yocto as export

        return export(
            given.out,
            selected(targets, given),
            Path(folder),
            bundle_url=given.bundle_url,
            release=given.release,
            layer_series=given.layer_series,
            include_restricted=given.include_restricted,
            listen=tell,
        )


def _parts(targets: Words, given: SimpleNamespace, *, include_restricted: bool = True) -> tuple[TreePart, ...]:
    """Return the parts of finished trees that belong to targets; your own board may get restricted files."""
    from modelprep.api.fetching import selected
    from modelprep.tree.selection import select

    return select(given.out, selected(targets, given), include_restricted=include_restricted)
