"""``modelprep deploy``: copy finished demos to a board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelprep import quoting
from modelprep.cli import common
from modelprep.cli.output import Output, size_text
from modelprep.errors import UsageError

if TYPE_CHECKING:
    from modelprep.deliver.board_tests import BoardRun
    from modelprep.deliver.deploy import DeployPlan


def command(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET... USER@BOARD[:PATH]",
            help="What to copy (as for fetch), and in the end where: a login as ssh knows it.",
            autocompletion=common.complete_target,
        ),
    ],
    out: common.Out = common.DEFAULT_OUT,
    ssh: Annotated[
        str | None,
        typer.Option("--ssh", metavar="COMMAND", envvar="MODELPREP_SSH", help="The ssh command, with your options."),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Then run the tests of these demos on the board.")] = False,
    backend: Annotated[
        list[str] | None,
        typer.Option("--compute", "-c", metavar="BACKEND", help="With --run: backend for the Arm NN tests (CpuRef)."),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="With --run: write a JUnit XML report of the tests here."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would go over; send nothing.")] = False,
    bsp: common.BspRelease = None,
    soc: common.Soc = None,
    recipes: common.Recipes = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Copy finished demos to a board over ssh: only what differs, checked there, put in place by rename.

    Everything goes over your own ssh, with its configuration, agent, keys and jump hosts. Demos that have a place of
    their own on the board (OpenCV samples, TensorFlow Lite examples) go there; all others go into a folder of the
    login's home, or of PATH.
    """
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.deliver import board_tests, deploy, remote
        from modelprep.deliver.board_release import other_release
        from modelprep.pipeline.plan.board import select as select_recipes
        from modelprep.targets.bsp import DEFAULT, load
        from modelprep.tree.selection import names_of_tests, select

        if len(targets) < 2:
            raise UsageError(
                "deploy wants demos and a board",
                got=" ".join(targets),
                hint="modelprep deploy armnn-caffe root@imx8",
            )
        board = remote.parse_board(targets[-1])
        # Own use of the user's own files: restricted assets go to his board like all others.
        chosen = select_recipes(common.catalogue(recipes), targets[:-1], bsp=bsp, soc=soc)
        parts = select(out, chosen, include_restricted=True)
        if (junit is not None or backend) and not run:
            raise UsageError("--junit and --compute say how the tests are run: they want --run")
        tests: list[BoardRun] = []
        with remote.connect(board, remote.ssh_words(ssh)) as channel:
            plans = deploy.plan_parts(channel, parts)
            if other := other_release(channel, load(bsp or DEFAULT).name):
                output.warning(other)
            if dry_run:
                _tell(output, plans, board.login, done=False)
                output.result(_result(plans, board.login, done=False))
                return
            listen = output.listener()
            for plan in plans:
                deploy.apply_deploy(channel, plan, listen=listen)
            output.close()
            _tell(output, plans, board.login, done=True)
            if run:
                words = [word for name in backend or () for word in ("-c", name)]
                aloud = output.mode == "human"
                for plan in plans:
                    names = names_of_tests(plan.part.manifest)
                    if not names:
                        continue
                    output.line(f"\n{plan.part.name}:")
                    output.out.flush()
                    made = board_tests.hear_tests(
                        channel, plan.board.folder, [*words, *names], aloud=aloud, junit=junit is not None
                    )
                    if not made.ok and output.mode == "quiet":
                        output.value(made.output.rstrip())
                    tests.append(made)
        if junit is not None:
            from modelprep.store.disk import write_atomic

            write_atomic(junit, board_tests.junit_of(tests))
        output.result(_result(plans, board.login, done=True, tests=tests))
        if not all(made.ok for made in tests):
            raise typer.Exit(1)


def _result(
    plans: Sequence[DeployPlan], login: str, *, done: bool, tests: Sequence[BoardRun] = ()
) -> dict[str, object]:
    return {
        "board": login,
        "trees": [
            {
                "tree": plan.part.name,
                "folder": plan.board.folder,
                "method": plan.method,
                "send": [file.path for file in plan.send],
                "staged": [file.path for file in plan.staged],
                "keep": [file.path for file in plan.keep],
                "bytes": plan.size,
                "done": done,
            }
            for plan in plans
        ],
        "tests": [{"folder": made.folder, "status": made.status, "output": made.output} for made in tests],
    }


def _tell(output: Output, plans: Sequence[DeployPlan], login: str, *, done: bool) -> None:
    rows = [
        (
            plan.part.name,
            plan.board.folder,
            len(plan.send) + len(plan.staged),
            size_text(plan.size),
            len(plan.keep),
            plan.method if plan.send else "-",
        )
        for plan in plans
    ]
    output.table("", ["tree", f"on {login}", ">sent" if done else ">to send", ">size", ">there already", "by"], rows)
    if done and output.mode == "human":
        for plan in plans:
            remote = quoting.command("sh", f"{plan.board.folder}/run-tests.sh")
            output.line(f"run there:  {quoting.command('ssh', login, remote)}")
