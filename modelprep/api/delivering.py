"""Verbs that take finished demos elsewhere: into an archive, onto a board, into an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.api.arguments import AnyPath, Paths, Words, framed, words
from modelprep.errors import UsageError
from modelprep.events import Event, Listener, silent

if TYPE_CHECKING:
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


def bundle(
    targets: Words,
    output: AnyPath,
    *,
    out: AnyPath = "out",
    include_restricted: bool = False,
    bsp: str | None = None,
    soc: str | None = None,
    recipes: Paths = (),
    listen: Listener = silent,
) -> Bundled:
    """Pack finished demos into one archive: the same bytes from the same inputs, whoever packs them, on any day.

    Parameters
    ----------
    targets, out, bsp, soc, recipes
        As for :func:`modelprep.plan`.
    output
        The archive: ``.tar.gz``, ``.tar.zst``, ``.tar`` or ``.zip``.
    include_restricted
        Also files whose rights do not allow passing them on.
    listen
        As for :func:`modelprep.run`; the task is ``bundle:<name of the file>``.

    Raises
    ------
    UsageError
        A demo has not been fetched, or the name is of no kind of archive.
    DigestMismatch
        A file of the tree was changed since it was installed.
    MissingTool
        ``.tar.zst`` without the zstandard module.
    StorageError, Interrupted
        The disk would not take it; Ctrl-C. What was at the name before is still there.
    """
    with framed(listen) as tell:
        from modelprep.deliver.bundle import plan_bundle, tell_and_write

        parts = _parts(targets, out, recipes, bsp=bsp, soc=soc, include_restricted=include_restricted)
        return tell_and_write(plan_bundle(parts), Path(output), tell)


def plan_deploy(
    targets: Words,
    board: str,
    *,
    out: AnyPath = "out",
    ssh: str | None = None,
    bsp: str | None = None,
    soc: str | None = None,
    recipes: Paths = (),
) -> tuple[DeployPlan, ...]:
    """Ask a board what it has, and decide what would go over; changes nothing. The command's ``deploy --dry-run``.

    Parameters
    ----------
    targets, board, out, ssh, bsp, soc, recipes
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
    with framed():
        from modelprep.deliver import deploy as deploying
        from modelprep.deliver import remote

        place = remote.parse_board(board)
        parts = _parts(targets, out, recipes, bsp=bsp, soc=soc, include_restricted=True)
        with remote.connect(place, remote.ssh_words(ssh)) as channel:
            return tuple(deploying.plan_parts(channel, parts))


def deploy(
    targets: Words,
    board: str,
    *,
    out: AnyPath = "out",
    ssh: str | None = None,
    run: bool = False,
    compute: Words = (),
    junit: AnyPath | None = None,
    bsp: str | None = None,
    soc: str | None = None,
    recipes: Paths = (),
    listen: Listener = silent,
) -> Deployment:
    """Copy finished demos to a board over ssh: only what differs, checked there, put in place by rename.

    Parameters
    ----------
    targets, out, bsp, soc, recipes
        As for :func:`modelprep.plan`.
    board
        ``user@host`` or ``user@host:path``, as ssh knows it. Demos that have a place of their own there go to it.
    ssh
        The ssh command with your options (None: ``MODELPREP_SSH``, else ``ssh``). A password is asked for on the
        terminal, if there is one; a program had better use keys.
    run
        Then run the tests of these demos on the board (``run-tests.sh``).
    compute
        With `run`: backends for the Arm NN tests (``CpuRef``).
    junit
        With `run`: a file that gets a JUnit XML report of the tests.
    listen
        As for :func:`modelprep.run`; the tasks are ``deploy:<tree>``.

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
    with framed(listen) as tell:
        from modelprep.deliver import board_tests, remote
        from modelprep.deliver import deploy as deploying
        from modelprep.deliver.board_release import other_release
        from modelprep.targets.bsp import DEFAULT, load
        from modelprep.tree.selection import names_of_tests

        if (junit is not None or words(compute)) and not run:
            raise UsageError("junit and compute say how the tests are run: they want run=True")
        place = remote.parse_board(board)
        # Own use of the user's own files: restricted assets go to his board like all others.
        parts = _parts(targets, out, recipes, bsp=bsp, soc=soc, include_restricted=True)
        with remote.connect(place, remote.ssh_words(ssh)) as channel:
            plans = deploying.plan_parts(channel, parts)
            if other := other_release(channel, load(bsp or DEFAULT).name):
                tell(Event("warning", text=other))
            trees = tuple(deploying.apply_deploy(channel, plan, listen=tell) for plan in plans)
            backends = [word for name in words(compute) for word in ("-c", name)]
            chosen = [(plan.board.folder, names_of_tests(plan.part.manifest)) for plan in plans] if run else []
            tests = tuple(
                board_tests.hear_tests(channel, folder, [*backends, *names], junit=junit is not None)
                for folder, names in chosen
                if names
            )
        if junit is not None:
            from modelprep.store.disk import write_atomic

            write_atomic(Path(junit), board_tests.junit_of(tests))
        return Deployment(place.login, trees, tests)


def export_yocto(
    targets: Words,
    folder: AnyPath,
    *,
    bundle_url: str = "",
    release: str = "scarthgap",
    layer_series: Words = (),
    include_restricted: bool = False,
    out: AnyPath = "out",
    bsp: str | None = None,
    soc: str | None = None,
    recipes: Paths = (),
    listen: Listener = silent,
) -> Exported:
    """Write a Yocto layer that puts finished demos into an image. The command's ``export yocto``.

    Parameters
    ----------
    targets, out, bsp, soc, recipes
        As for :func:`modelprep.plan`.
    folder
        The layer.
    bundle_url
        Where converted files will lie; empty: in the layer itself.
    release, layer_series
        Yocto release; names of releases newer than those known here that are to accept the layer.
    include_restricted
        Bundle files whose rights do not allow passing them on, too.
    listen
        As for :func:`modelprep.run`; the tasks are ``bundle:<name>``.

    Raises
    ------
    UsageError
        A demo has not been fetched, the release is not known, or the URL cannot be written into a recipe.
    StorageError, DigestMismatch
        As :func:`bundle`.
    """
    with framed(listen) as tell:
        from modelprep.api.fetching import catalogue
        from modelprep.pipeline.exporting import export_yocto as export
        from modelprep.pipeline.plan.board import select as select_recipes

        return export(
            Path(out),
            select_recipes(catalogue(recipes), words(targets), bsp=bsp, soc=soc),
            Path(folder),
            bundle_url=bundle_url,
            release=release,
            layer_series=words(layer_series),
            include_restricted=include_restricted,
            listen=tell,
        )


def _parts(
    targets: Words, out: AnyPath, recipes: Paths, *, bsp: str | None, soc: str | None, include_restricted: bool
) -> tuple[TreePart, ...]:
    from modelprep.api.fetching import catalogue
    from modelprep.pipeline.plan.board import select as select_recipes
    from modelprep.tree.selection import select

    chosen = select_recipes(catalogue(recipes), words(targets), bsp=bsp, soc=soc)
    return select(Path(out), chosen, include_restricted=include_restricted)
