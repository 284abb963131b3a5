"""Deploy finished demos to several boards in parallel: a failed board does not stop the others."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelprep.deliver import boards, matrix
from modelprep.deliver.board_tests import junit_of
from modelprep.deliver.boards import Target
from modelprep.deliver.deploy import DeployPlan, check_file
from modelprep.deliver.matrix import TestResult
from modelprep.deliver.one_board import Deployment, apply_board, plan_board
from modelprep.deliver.processes import Processes
from modelprep.errors import ConnectionLost, DigestMismatch, Interrupted, ModelprepError
from modelprep.events import Event, Listener
from modelprep.pipeline.run.errors import as_error
from modelprep.pipeline.run.report import worst
from modelprep.store.disk import human, storage, write_atomic
from modelprep.tree.manifest import InstalledFile
from modelprep.tree.selection import TreePart

#: Seconds before the first retry; each further one waits twice as long, up to the last number.
PAUSE, LONGEST_PAUSE = 1.0, 30.0


@dataclass(frozen=True)
class BoardOutcome:
    """The outcome of one board.

    Parameters
    ----------
    board
        Its name as given.
    login
        Its ssh destination; empty if the board could not be reached.
    plans
        The plans, one per tree; empty if the board could not be reached.
    deployment
        What was done; None after a failure and in a dry run.
    results
        The results of its tests.
    error
        Why it failed.
    attempts
        Number of attempts.
    """

    board: str
    login: str = ""
    plans: tuple[DeployPlan, ...] = ()
    deployment: Deployment | None = None
    results: tuple[TestResult, ...] = ()
    error: ModelprepError | None = None
    attempts: int = 1

    @property
    def exit_status(self) -> int:
        """The exit status for this board alone."""
        if self.error is not None:
            return self.error.exit_code
        return 0 if self.deployment is None or self.deployment.ok else 1


@dataclass(frozen=True)
class Deployments:
    """The outcomes of several boards, in their order."""

    boards: tuple[BoardOutcome, ...]

    @property
    def ok(self) -> bool:
        """True when every board has the files and every test that was run passed."""
        return self.exit_status == 0

    @property
    def exit_status(self) -> int:
        """The worst exit status of the boards, in the order of ``pipeline.run.report.SEVERITY``."""
        return worst(outcome.exit_status for outcome in self.boards)

    @property
    def matrix(self) -> dict[str, dict[str, str]]:
        """Test -> board -> ``passed``, ``FAILED``, ``missing`` or ``damaged``; boards without a result are omitted."""
        return matrix.matrix({outcome.board: outcome.results for outcome in self.boards})


@dataclass(frozen=True)
class Order:
    """The work for every board: trees, ssh command, release of the files, tests and retries.

    `arguments` are those of ``run-tests.sh``, `dry_run` only asks the board, `junit` returns the JUnit reports of one
    board (those of several always are).
    """

    parts: tuple[TreePart, ...]
    ssh: tuple[str, ...]
    release: str
    run: bool = False
    arguments: tuple[str, ...] = ()
    dry_run: bool = False
    retries: int = 0
    junit: bool = False


def deploy_board(
    order: Order,
    target: Target,
    listen: Listener,
    *,
    streamed: bool = False,
    before_tests: Callable[[BoardOutcome, DeployPlan], object] = lambda _outcome, _plan: None,
) -> BoardOutcome:
    """Deploy to one board, which may ask for a password on the terminal; raises what planning and sending raise.

    `before_tests` is called with all plans and the tree's plan before the tests of each tree; `streamed` streams the
    tests' tables to standard output.
    """

    def attempt() -> BoardOutcome:
        return _once(order, target, listen, lambda _plans: listen, before_tests, streamed=streamed)

    return _retried(order, target, attempt, listen, time.sleep)


def _once(
    order: Order,
    target: Target,
    listen: Listener,
    hearing: Callable[[Sequence[DeployPlan]], Listener],
    before_tests: Callable[[BoardOutcome, DeployPlan], object],
    *,
    check: Callable[[TreePart, InstalledFile], None] = check_file,
    streamed: bool = False,
    unattended: bool = False,
    processes: Processes | None = None,
) -> BoardOutcome:
    """Deploy to one board; `hearing` returns the listener of what is sent for the plans."""
    with boards.reach(target, order.ssh, unattended=unattended, processes=processes) as channel:
        plans = plan_board(channel, order.parts, order.release, check=check, listen=listen)
        planned = BoardOutcome(target.name, channel.board.login, plans)
        if order.dry_run:
            return planned
        deployment = apply_board(
            channel, plans, run=order.run, arguments=order.arguments, junit=order.junit, streamed=streamed,
            listen=hearing(plans), before_tests=lambda plan: before_tests(planned, plan),
        )  # fmt: skip
        return replace(planned, deployment=deployment)


def deploy_boards(
    order: Order, targets: Sequence[Target], listen: Listener, *, jobs: int = 8, reports: Path | None = None
) -> Deployments:
    """Deploy to every board, at most `jobs` at a time; a failure is recorded in the board's outcome.

    `listen` receives the events of one task per board, ``deploy:<board>``, then ``tests:<board>``, from any thread.
    `reports` is a folder for a JUnit report of each board. After Ctrl-C running programs are ended.
    """
    work = _Work(replace(order, junit=order.run), listen)
    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="modelprep-deploy") as pool:
        futures = [pool.submit(work.one, target) for target in targets]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            work.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    made = Deployments(tuple(future.result() for future in futures))
    if reports is not None:
        _write_reports(reports, targets, made)
    return made


def _write_reports(folder: Path, targets: Sequence[Target], made: Deployments) -> None:
    names = boards.report_names(targets)
    with storage(folder, doing="write the reports"):
        folder.mkdir(parents=True, exist_ok=True)
    for outcome in made.boards:
        tests = outcome.deployment.tests if outcome.deployment is not None else ()
        error = outcome.error
        document = matrix.junit_of_failure(outcome.board, error) if error is not None else junit_of(tests)
        write_atomic(folder / names[outcome.board], document)


@dataclass(eq=False)
class _Work:
    """Work on the boards, which any thread may stop."""

    order: Order
    listen: Listener
    check: _CheckedOnce = field(default_factory=lambda: _CheckedOnce())
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    running: list[Processes] = field(default_factory=list)

    def stop(self) -> None:
        """End running programs, and start no new ones."""
        self.stopped.set()
        with self.lock:
            for processes in self.running:
                processes.stop()

    def _processes(self) -> Processes:
        made = Processes()
        with self.lock:
            self.running.append(made)
            if self.stopped.is_set():
                made.stop()
        return made

    def one(self, target: Target) -> BoardOutcome:
        """Deploy to one board; a failure is recorded in its outcome."""
        task = f"deploy:{target.name}"
        attempts = 0

        def attempt() -> BoardOutcome:
            nonlocal attempts
            attempts += 1
            return self._attempt(target, task)

        try:
            made = _retried(self.order, target, attempt, self.listen, self.stopped.wait)
        except Exception as caught:  # a failed board does not stop the others
            if self.stopped.is_set() or isinstance(caught, Interrupted):
                raise Interrupted("stopped while connected to a board") from caught
            error = as_error(caught)
            if target.key not in (error.where or ""):
                error.where = f"{target.name}: {error.where}" if error.where else target.name
            self.listen(Event("failed", task=task, label=target.name, text=error.what, data=error.to_json()))
            return BoardOutcome(target.name, error=error, attempts=attempts)
        return replace(made, attempts=attempts)

    def _attempt(self, target: Target, task: str) -> BoardOutcome:
        order, listen = self.order, self.listen
        listen(Event("start", task=task, label=target.name))
        tests = f"tests:{target.name}"
        testing = False

        def before_tests(_outcome: BoardOutcome, _plan: DeployPlan) -> None:
            nonlocal testing
            if not testing:
                testing = True
                listen(Event("done", task=task, label=target.name))
                listen(Event("start", task=tests, label=f"{target.name}: tests"))

        def hearing(plans: Sequence[DeployPlan]) -> Listener:
            return _as_one_task(listen, task, target.name, sum(plan.size for plan in plans))

        try:
            made = _once(
                order, target, listen, hearing, before_tests,
                check=self.check, unattended=True, processes=self._processes(),
            )  # fmt: skip
        finally:
            if testing:
                listen(Event("done", task=tests, label=target.name))
        if made.deployment is None:
            listen(Event("done", task=task, label=target.name))
            return made
        results = matrix.results_of(made.deployment.tests)
        listen(Event("done", task=task, label=target.name, text=_summary(made.deployment, results)))
        return replace(made, results=results)


def _retried(
    order: Order,
    target: Target,
    attempt: Callable[[], BoardOutcome],
    listen: Listener,
    wait_for: Callable[[float], object],
) -> BoardOutcome:
    """Try, and retry if the connection failed or files arrived damaged."""
    retry = 0
    while True:
        try:
            return attempt()
        except (ConnectionLost, DigestMismatch) as error:  # noqa: PERF203 - each turn talks to a board
            if retry == order.retries:
                raise
            pause = min(PAUSE * 2**retry, LONGEST_PAUSE)
            text = f"{error.what}; retrying in {pause:.0f} s ({retry + 1} of {order.retries})"
            retry += 1
            listen(Event("retry", task=f"deploy:{target.name}", label=target.name, text=text))
            wait_for(pause)


def _summary(deployment: Deployment, results: Sequence[TestResult]) -> str:
    sent = sum(len(tree.sent) for tree in deployment.trees)
    counts = Counter(each.result for each in results)
    words = [f"{sent} files sent ({human(deployment.bytes_sent)})" if sent else "up to date"]
    return ", ".join([*words, *(f"{counts[word]} {word}" for word in matrix.RESULTS if counts[word])])


def _as_one_task(listen: Listener, task: str, label: str, total: int) -> Listener:
    """Pass on the progress of a board's trees as that of one task."""
    before = 0

    def hear(event: Event) -> None:
        nonlocal before
        if event.kind == "progress":
            listen(replace(event, task=task, label=label, done=before + (event.done or 0), total=total))
        elif event.kind == "done":
            before += event.total or 0

    return hear


@dataclass(eq=False)
class _CheckedOnce:
    """Checks a file of a tree once, however many boards it is sent to."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    good: set[tuple[Path, str]] = field(default_factory=set)

    def __call__(self, part: TreePart, file: InstalledFile) -> None:
        with self.lock:
            if (part.folder, file.path) not in self.good:
                check_file(part, file)
                self.good.add((part.folder, file.path))
