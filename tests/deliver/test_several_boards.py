"""Several boards at once, each a real OpenSSH server: good ones, a dead one, a full one, one whose line is cut."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli.workshop import Workshop
from servers.disks import mounted
from servers.http import FaultServer
from servers.sshd import BoardServer, joint_ssh, missing

import modelprep
from modelprep.deliver.boards import parse_targets, report_names
from modelprep.errors import Interrupted, UsageError

LARGE = os.urandom(3 << 20)


@dataclass
class Farm:
    """Finished demos and boards for them."""

    workshop: Workshop
    boards: list[BoardServer]
    full: Path
    ssh: str

    def board(self, number: int) -> str:
        return self.boards[number].login

    def deploy(self, *words: str | Path, cut: int | None = None) -> subprocess.CompletedProcess[str]:
        if cut is not None:
            self.boards[cut].cut_after(len(LARGE) // 2)
        words = ("deploy", "things", *words, "--ssh", self.ssh, "--out", self.workshop.out)
        return subprocess.run(
            [*self.workshop.command(*map(str, words)), "--recipes", self.workshop.recipes],
            env=self.workshop.environment(), capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip


def program(server: BoardServer, name: str, text: str) -> None:
    path = server.root / "bin" / name
    path.unlink(missing_ok=True)  # it may be a link to the machine's own busybox
    path.write_text(f"#!{server.root}/bin/sh\n{text}\n")
    path.chmod(0o755)


def fetch(workshop: Workshop) -> None:
    made = modelprep.fetch(
        "things", out=workshop.out, cache=workshop.cache, recipes=workshop.recipes, archives=False, allow_private=True
    )
    assert made.ok


@pytest.fixture(params=[4, pytest.param(8, marks=pytest.mark.slow)])
def farm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Farm]:
    """Yield boards: number 0 has both programs, 1 has one of them fail, the last but one is full, the last is dead."""
    if why := missing():
        pytest.skip(why)
    with ExitStack() as stack:
        workshop = Workshop(tmp_path, stack.enter_context(FaultServer()))
        for name, data in (("one", LARGE), ("two", b"2" * 1000)):
            path = workshop.simple(name, data)
            path.write_text(path.read_text().replace(f"run: ./{name}", f"run: {name} --data data"))
        fetch(workshop)
        (tmp_path / "full").mkdir()
        full = stack.enter_context(mounted(tmp_path / "full" / "board", "size=1m"))
        boards = []
        for number in range(request.param):
            root = tmp_path / ("full" if number == request.param - 2 else f"b{number}")
            boards.append(BoardServer(root, name=f"b{number}"))
            stack.callback(boards[-1].stop)
            program(boards[-1], "one", "echo one")
            program(boards[-1], "two", "echo 'Failed to load the model' >&2; exit 3" if number == 1 else "echo two")
        boards[-1].stop()
        yield Farm(workshop, boards, full, joint_ssh(boards, tmp_path))


def test_a_dead_a_full_and_a_cut_board_stop_no_other(farm: Farm, tmp_path: Path) -> None:
    good = range(len(farm.boards) - 2)
    full, dead = farm.board(len(good)), farm.board(len(good) + 1)
    others = [word for number in range(1, len(farm.boards)) for word in ("--also", farm.board(number))]
    reports = tmp_path / "reports"
    ran = farm.deploy(
        farm.board(0), *others, "--run", "--junit", reports, "--retries", "1", "--json", cut=len(good) - 1
    )
    assert ran.returncode == 6, ran.stderr  # no room on a board is worse than a dead one, and that than a failed test
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    told = events[-1]
    outcomes = {each["board"]: each for each in told["boards"]}
    assert list(outcomes) == [board.login for board in farm.boards]
    assert [outcomes[farm.board(n)]["exit_status"] for n in good] == [1 if n == 1 else 0 for n in good]
    assert outcomes[full]["exit_status"] == 6
    assert "not enough disk space" in outcomes[full]["error"]["what"]
    assert outcomes[dead]["exit_status"] == 3
    assert outcomes[dead]["attempts"] == 2
    assert outcomes[full]["attempts"] == 1, "a full disk does not empty itself"
    assert outcomes[farm.board(len(good) - 1)]["attempts"] == 2
    assert [event["task"] for event in events if event["event"] == "retry"].count(f"deploy:{dead}") == 1
    for number in good:
        assert (farm.boards[number].home / "Things" / "data" / "one.bin").read_bytes() == LARGE
    assert told["matrix"] == {
        "Demo-one": {farm.board(n): "passed" for n in good},
        "Demo-two": {farm.board(n): "FAILED" if n == 1 else "passed" for n in good},
    }
    # One progress line a board: its tasks carry its name, and no tree's.
    tasks = {event["task"] for event in events if event["event"] == "progress"}
    assert tasks <= {f"deploy:{board.login}" for board in farm.boards}
    found = {path.name: ET.parse(path).getroot() for path in reports.iterdir()}
    assert set(found) == {f"{board.login}.xml" for board in farm.boards}
    assert [case.get("name") for case in found[f"{farm.board(0)}.xml"].iter("testcase")] == ["Demo-one", "Demo-two"]
    (failure,) = found[f"{farm.board(1)}.xml"].iter("failure")
    assert "Failed to load the model" in failure.get("message", "")
    (error,) = found[f"{dead}.xml"].iter("error")
    assert error.get("message") == "the connection to the board failed or was cut"
    # The same again from a list: what is there is not sent again, and people get a matrix.
    listed = tmp_path / "boards.txt"
    listed.write_text("# the shelf\n\n" + "".join(f"{farm.board(n)}  # number {n}\n" for n in good))
    again = farm.deploy("--boards", listed, "--run")
    assert again.returncode == 1, again.stderr
    lines = again.stdout.splitlines()
    header = next(line.split() for line in lines if line.startswith("test "))
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("Demo-")}
    assert header == ["test", *(farm.board(n) for n in good)]
    assert rows == {
        "Demo-one": ["passed" for _ in good],
        "Demo-two": ["FAILED" if n == 1 else "passed" for n in good],
    }
    assert f"{len(good) - 1} of {len(good)} boards ok" in lines
    for number in good:
        assert f"{farm.board(number)}: up to date, " in again.stderr


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Workshop, list[BoardServer], str]]:
    if why := missing():
        pytest.skip(why)
    with ExitStack() as stack:
        workshop = Workshop(tmp_path, stack.enter_context(FaultServer()))
        workshop.simple("one", b"1" * 5000)
        workshop.simple("two", b"2" * 5000)
        fetch(workshop)
        boards = [BoardServer(tmp_path / f"b{number}", name=f"b{number}") for number in range(2)]
        for board in boards:
            stack.callback(board.stop)
        yield workshop, boards, joint_ssh(boards, tmp_path)


def test_the_function_gives_typed_results_and_a_dry_run_changes_nothing(
    pair: tuple[Workshop, list[BoardServer], str],
) -> None:
    workshop, boards, ssh = pair
    names = [board.login for board in boards]
    options = {"out": workshop.out, "recipes": workshop.recipes, "ssh": ssh}
    planned = modelprep.deploy_many("things", names, dry_run=True, **options)  # type: ignore[arg-type]
    assert planned.ok
    assert [plan.size for outcome in planned.boards for plan in outcome.plans] == [10000, 10000]
    assert all(outcome.deployment is None for outcome in planned.boards)
    assert not any((board.home / "Things").exists() for board in boards)
    made = modelprep.deploy_many("things", names, **options)  # type: ignore[arg-type]
    assert [outcome.deployment.bytes_sent for outcome in made.boards if outcome.deployment] == [10000, 10000]
    assert made.matrix == {}
    # A file that was changed here goes to no board, and every board's outcome says so.
    (workshop.out / "Things" / "data" / "one.bin").write_bytes(b"3" * 5000)
    for board in boards:
        (board.home / "Things" / "data" / "one.bin").unlink()
    refused = modelprep.deploy_many("things", names, **options)  # type: ignore[arg-type]
    assert [type(outcome.error) for outcome in refused.boards] == [modelprep.errors.DigestMismatch] * 2
    assert refused.exit_status == 4


def test_a_listener_that_raises_ends_the_work_on_all_boards(pair: tuple[Workshop, list[BoardServer], str]) -> None:
    workshop, boards, ssh = pair
    for board in boards:
        program(board, "sha256sum", "exec sleep 60")

    def listen(event: modelprep.Event) -> None:
        if event.task == f"deploy:{boards[1].login}":
            time.sleep(1)  # the other board is being asked by now
            raise Interrupted("enough")

    with pytest.raises(Interrupted):
        modelprep.deploy_many(
            "things", [board.login for board in boards], out=workshop.out, recipes=workshop.recipes, ssh=ssh,
            listen=listen,
        )  # fmt: skip
    # The other board's command was not waited for: it is still at it, if it got that far.
    assert not any((board.home / "Things" / "MANIFEST.json").exists() for board in boards)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_on_all_boards(
    pair: tuple[Workshop, list[BoardServer], str], number: signal.Signals
) -> None:
    workshop, boards, ssh = pair
    for board in boards:
        program(board, "one", "exec sleep 60")
        program(board, "two", "exec sleep 60")
    words = ["deploy", "things", boards[0].login, "--also", boards[1].login, "--run", "--ssh", ssh]
    for board in boards:
        (board.home / "Things").mkdir()
        for name in ("one", "two"):
            (board.home / "Things" / name).symlink_to(board.root / "bin" / name)
    process = subprocess.Popen(
        [*workshop.command(*words), "--out", workshop.out, "--recipes", workshop.recipes],
        env=workshop.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not all("run-tests.sh -j" in "".join(board.commands()) for board in boards):
        assert time.monotonic() < deadline, process.communicate()
        time.sleep(0.1)
    process.send_signal(number)
    err = process.communicate(timeout=30)[1]
    assert process.returncode == 128 + number, err
    assert "Traceback" not in err
    assert "interrupted" in err


def test_names_of_boards_are_read_as_people_write_them(tmp_path: Path) -> None:
    file = tmp_path / "boards"
    file.write_text("#\n  root@a:/x#1 # comment\r\n\nroot@[fe80::1]:/y\n\troot@c\n#root@d\n")
    assert modelprep.api.read_boards(file) == ["root@a:/x#1", "root@[fe80::1]:/y", "root@c"]
    for text, what in (("", "contains no board"), ("# none\n", "contains no board"), ("\0\1", "not a list of boards")):
        file.write_text(text)
        with pytest.raises(UsageError, match=what):
            modelprep.api.read_boards(file)
    file.write_text("root@a\nssh://b\n")
    with pytest.raises(UsageError) as caught:
        modelprep.api.read_boards(file)
    assert caught.value.where == f"{file}:2"
    with pytest.raises(modelprep.errors.StorageError):
        modelprep.api.read_boards(tmp_path / "none")
    with pytest.raises(UsageError, match="given twice"):
        parse_targets(["root@a:/x", "root@b", "root@a"])


def test_every_board_has_a_report_of_its_own() -> None:
    targets = parse_targets(["root@[fe80::1%eth0]:/x", "root@fe80-1-eth0", "b", "u@b:/deep/path"])
    names = report_names(targets)
    assert len(set(names.values())) == len(targets)
    assert all("/" not in name and ":" not in name and not name.startswith(".") for name in names.values())
