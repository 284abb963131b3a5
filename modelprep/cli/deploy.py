"""``modelprep deploy``: copy finished demos to a board."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from modelprep.api import text
from modelprep.api.deploying import deploy_many, deploy_one, read_boards
from modelprep.api.options import DeployManyOptions, DeployOptions
from modelprep.cli import common
from modelprep.cli.output import Output, size_text
from modelprep.errors import UsageError
from modelprep.structs import facts

if TYPE_CHECKING:
    from modelprep.api.types import BoardOutcome, BoardRun, Deployments, DeployPlan
    from modelprep.events import Event


@common.command(
    "modelprep deploy armnn-caffe root@imx8 --run",
    "modelprep deploy armnn-caffe --boards farm.txt --run --junit reports --retries 2",
)
def command(
    output: Output,
    targets: Annotated[
        list[str],
        common.targets(
            "TARGET... USER@BOARD[:PATH]",
            "What to copy (as for fetch), then the board: an ssh destination or labgrid:PLACE (none with --boards).",
        ),
    ],
    also: Annotated[list[str] | None, common.option("--also", "One more board, in parallel.", "BOARD")] = None,
    boards: Annotated[
        list[Path] | None,
        common.option("--boards", "File with a list of boards, one per line, # begins a comment.", "FILE"),
    ] = None,
    dry_run: Annotated[bool, common.option("--dry-run -n", "Show what would be sent; send nothing.")] = False,
    **options: common.Unpack[DeployManyOptions],
) -> int:
    """Copy finished demos to a board over ssh: only what differs, verified there, put in place by rename.

    Files are sent over your own ssh, with its configuration, agent, keys and jump hosts. Demos that have a fixed folder
    on the board (OpenCV samples, TensorFlow Lite examples) are copied there; all others into a folder of the ssh user's
    home directory, or of PATH. Several boards (--also, --boards) are served in parallel, and a failed one does not stop
    the others; the worst of their exit statuses is returned.
    """
    demos, named = _split(targets, also or [], boards or [])
    if (options["junit"] is not None or options["compute"]) and not options["run"]:
        raise UsageError("--junit and --compute need --run")
    if not (also or boards):
        del options["jobs"]
        return _one(output, demos, named[0], options, dry_run=dry_run)
    made = deploy_many(demos, named, dry_run=dry_run, listen=output.listener(), **options)
    output.close()
    _tell_all(output, made, done=not dry_run)
    boards_told = [_of_board(outcome, done=not dry_run) for outcome in made.boards]
    output.result({"exit_status": made.exit_status, "boards": boards_told, "matrix": made.matrix})
    return made.exit_status


def _split(targets: Sequence[str], also: Sequence[str], lists: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Split demos and boards: the last word is a board, unless a list names them."""
    demos, named = (list(targets), []) if lists else (list(targets[:-1]), [targets[-1]])
    if not demos:
        raise UsageError(
            "deploy needs demos and a board", got=" ".join(targets), hint="modelprep deploy armnn-caffe root@imx8"
        )
    if lists and "@" in demos[-1] and not demos[-1].partition("@")[0].count("/"):
        raise UsageError(
            "with --boards, give no board after the targets", got=demos[-1], hint=f"--also {text.sh(demos[-1])}"
        )
    return demos, [*named, *also, *(board for file in lists for board in read_boards(file))]


def _one(output: Output, demos: list[str], board: str, options: DeployOptions, *, dry_run: bool) -> int:
    told = False

    def before_tests(planned: BoardOutcome, plan: DeployPlan) -> None:
        nonlocal told
        if not told:
            told = True
            output.close()
            _tell(output, planned.plans, planned.login, done=True)
        output.line(f"\n{plan.part.name}:")
        output.out.flush()

    def warn(event: Event) -> None:
        if event.kind == "warning":
            output.warning(event.text)

    listen = warn if dry_run else output.listener()  # a dry run's JSON is one object
    made = deploy_one(
        demos,
        board,
        dry_run=dry_run,
        streamed=output.mode == "human",
        before_tests=before_tests,
        listen=listen,
        **options,
    )
    output.close()
    tests = made.deployment.tests if made.deployment is not None else ()
    if not told:
        _tell(output, made.plans, made.login, done=not dry_run)
    for each in tests:
        if not each.ok and output.mode == "quiet":
            output.value(each.output.rstrip())
    output.result(_result(made.plans, made.login, done=not dry_run, tests=tests))
    return made.exit_status


def _of_board(outcome: BoardOutcome, *, done: bool) -> dict[str, object]:
    tests = outcome.deployment.tests if outcome.deployment is not None else ()
    error = {"error": outcome.error.to_json()} if outcome.error is not None else {}
    results = {"results": [vars(result) for result in outcome.results]}
    own = facts(outcome, "board", "exit_status", "attempts")
    return {**_result(outcome.plans, outcome.login, done=done, tests=tests), **own, **results, **error}


def _tell_all(output: Output, made: Deployments, *, done: bool) -> None:
    """Print what was sent to each board, the matrix of test by board, and the failures."""
    rows = []
    for each in made.boards:
        state = "failed" if each.error is not None else "ok" if done else "reached"
        rows.append((each.board, state, *_counts(() if each.error is not None else each.plans), each.attempts))
    output.table("", ["board", "files", ">sent" if done else ">to send", ">size", ">up to date", ">attempts"], rows)
    matrix = made.matrix
    for boards in _side_by_side(made.boards, max(map(len, matrix), default=0)) if matrix else ():
        output.line()
        cells = [[name, *(row.get(each.board, "-") for each in boards)] for name, row in matrix.items()]
        output.table("", ["test", *(each.board for each in boards)], cells)
    for outcome in made.boards:
        if outcome.error is not None and output.mode != "json":
            output.error(outcome.error)
        for result in outcome.results:
            if output.mode == "quiet" and result.result != "passed":
                output.value(f"{outcome.board}: {result.test}: {result.result}: {result.reason}")
    good = sum(outcome.exit_status == 0 for outcome in made.boards)
    output.line(f"\n{good} of {len(made.boards)} boards ok")


def _side_by_side(outcomes: Sequence[BoardOutcome], first: int) -> Iterator[list[BoardOutcome]]:
    """Split boards into blocks whose columns fit beside a column of `first` characters."""
    import shutil

    room = shutil.get_terminal_size((120, 24)).columns
    block: list[BoardOutcome] = []
    width = first
    for outcome in outcomes:
        column = max(len(outcome.board), 7) + 2
        if block and width + column > room:
            yield block
            block, width = [], first
        block.append(outcome)
        width += column
    yield block


def _result(
    plans: Sequence[DeployPlan], login: str, *, done: bool, tests: Sequence[BoardRun] = ()
) -> dict[str, object]:
    trees = []
    for plan in plans:
        tree = {"tree": plan.part.name, "folder": plan.board.folder, "method": plan.method}
        files = {"send": plan.send, "staged": plan.staged, "keep": plan.keep}
        paths = {kind: [file.path for file in of_kind] for kind, of_kind in files.items()}
        trees.append({**tree, **paths, "bytes": plan.size, "done": done})
    return {"board": login, "trees": trees, "tests": [facts(made, "folder", "status", "output") for made in tests]}


def _counts(plans: Sequence[DeployPlan]) -> tuple[int, str, int]:
    """Return how many files to send, their size, and how many are up to date."""
    return (
        sum(len(plan.send) + len(plan.staged) for plan in plans),
        size_text(sum(plan.size for plan in plans)),
        sum(len(plan.keep) for plan in plans),
    )


def _tell(output: Output, plans: Sequence[DeployPlan], login: str, *, done: bool) -> None:
    rows = [(plan.part.name, plan.board.folder, *_counts([plan]), plan.method if plan.send else "-") for plan in plans]
    output.table("", ["tree", f"on {login}", ">sent" if done else ">to send", ">size", ">up to date", "by"], rows)
    if done and output.mode == "human":
        for plan in plans:
            remote = text.command("sh", f"{plan.board.folder}/run-tests.sh")
            output.line(f"run there:  {text.command('ssh', login, remote)}")
