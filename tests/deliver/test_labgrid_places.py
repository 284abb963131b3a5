"""Places of labgrid's: its real coordinator and exporter, and a NetworkService that is a loopback sshd."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli.workshop import REPOSITORY, Workshop
from servers.http import FaultServer
from servers.sshd import BoardServer, missing

from modelprep.deliver.boards import parse_target, parse_targets, report_names
from modelprep.errors import MissingTool, UsageError


@dataclass
class Lab:
    """A coordinator with one place, `shelf-1`, whose board is `board`."""

    python: str
    workshop: Workshop
    board: BoardServer
    coordinator: str
    log: Path

    def client(self, *words: str) -> str:
        """Run labgrid's own client."""
        ran = subprocess.run(
            [str(Path(self.python).with_name("labgrid-client")), *words],
            env=self.environment(), capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return ran.stdout

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LG_", "MODELPREP_"))}
        names = {"LG_COORDINATOR": self.coordinator, "LG_USERNAME": "ci", "LG_HOSTNAME": "runner"}
        return {**kept, **names, "PYTHONPATH": str(REPOSITORY), "NO_PROXY": "*"}

    def command(self, *words: str) -> list[str]:
        options = ["--ssh", f"ssh -i {self.board.root}/user -o UserKnownHostsFile={self.board.root}/known "
                   "-o StrictHostKeyChecking=accept-new -o IdentitiesOnly=yes"]  # fmt: skip
        options += ["--out", str(self.workshop.out), "--recipes", str(self.workshop.recipes)]
        return [self.python, "-m", "modelprep", "deploy", "things", *words, *options]

    def deploy(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), env=self.environment(), capture_output=True, text=True, check=False, timeout=100
        )

    def holder(self) -> str:
        """Who has acquired the place; empty: nobody."""
        lines = [line.strip() for line in self.client("-p", "shelf-1", "show").splitlines()]
        (told,) = [line.removeprefix("acquired:").strip() for line in lines if line.startswith("acquired:")]
        return "" if told == "None" else told


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(what: object, seconds: float = 40) -> None:
    assert callable(what)
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.3)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if why := missing():
        pytest.skip(why)
    python = os.environ.get("MODELPREP_LABGRID", "")
    if not python:
        pytest.skip("needs an environment with modelprep-boards[labgrid] (MODELPREP_LABGRID names its interpreter)")
    folder = tmp_path_factory.mktemp("lab")
    with ExitStack() as stack:
        workshop = Workshop(folder, stack.enter_context(FaultServer()))
        workshop.simple("one", b"1" * 5000)
        assert workshop.run("fetch", "things", "--allow-private").code == 0
        board = BoardServer(folder / "sshd")
        stack.callback(board.stop)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        made = Lab(python, workshop, board, f"127.0.0.1:{port}", folder / "coordinator.log")
        programs = Path(python)
        log = stack.enter_context(made.log.open("wb"))
        service = {"address": "127.0.0.1", "port": board.port, "username": board.login.split("@")[0]}
        (folder / "exporter.yaml").write_text(json.dumps({"shelf": {"NetworkService": service}}))
        for words in (
            ["labgrid-coordinator", "-d", "-l", made.coordinator],
            ["labgrid-exporter", "-c", made.coordinator, "-n", "rack", str(folder / "exporter.yaml")],
        ):
            process = subprocess.Popen(
                [str(programs.with_name(words[0])), *words[1:]], cwd=folder, env=made.environment(), stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
            stack.callback(process.wait)
            stack.callback(process.kill)
            if words[0] == "labgrid-coordinator":
                wait_for(lambda: listens(port))
        wait_for(lambda: "rack/shelf/NetworkService" in made.client("resources"))
        made.client("-p", "shelf-1", "create")
        made.client("-p", "shelf-1", "add-match", "rack/shelf/NetworkService")
        yield made


@pytest.mark.slow
def test_a_place_is_acquired_served_and_released(lab: Lab) -> None:
    program = lab.board.root / "bin" / "one"
    program.write_text(f"#!{lab.board.root}/bin/sh\nexit 0\n")
    program.chmod(0o755)
    ran = lab.deploy("labgrid:shelf-1", "--json")
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert json.loads(ran.stdout.splitlines()[-1])["board"] == f"{lab.board.login.split('@')[0]}@127.0.0.1"
    assert (lab.board.home / "Things" / "data" / "one.bin").read_bytes() == b"1" * 5000
    assert lab.holder() == ""
    assert "AcquirePlace" in (log := lab.log.read_text()) or "acquire" in log.lower()


@pytest.mark.slow
def test_a_place_is_released_when_the_board_fails(lab: Lab, tmp_path: Path) -> None:
    ran = lab.deploy("labgrid:shelf-1:/proc/nowhere")
    assert ran.returncode == 6, ran.stderr
    assert lab.holder() == ""
    # As one of several boards, too: its failure stops no other, and it is released.
    ran = lab.deploy("--boards", str(_listed(tmp_path, "labgrid:shelf-1", "root@127.0.0.9:/x")), "--json")
    told = json.loads(ran.stdout.splitlines()[-1])
    assert [each["exit_status"] for each in told["boards"]] == [0, 3], ran.stdout
    assert lab.holder() == ""


def _listed(folder: Path, *boards: str) -> Path:
    (folder / "boards").write_text("\n".join(boards))
    return folder / "boards"


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True])
def test_a_place_is_released_on_ctrl_c(lab: Lab, tmp_path: Path, several: bool) -> None:
    awk = lab.board.root / "bin" / "awk"
    target = awk.readlink()
    awk.unlink()
    awk.write_text(f"#!{lab.board.root}/bin/sh\nexec sleep 60\n")
    awk.chmod(0o755)
    words = ["--boards", str(_listed(tmp_path, "labgrid:shelf-1"))] if several else ["labgrid:shelf-1"]
    try:
        process = subprocess.Popen(
            lab.command(*words), env=lab.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        asked = len(lab.board.commands())
        wait_for(lambda: len(lab.board.commands()) > asked or process.poll() is not None)
        assert lab.holder() == "runner/ci"
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
    finally:
        awk.unlink()
        awk.symlink_to(target)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert lab.holder() == ""


@pytest.mark.slow
def test_a_place_of_somebody_else_stays_theirs(lab: Lab) -> None:
    lab.client("-p", "shelf-1", "acquire")
    try:
        ran = lab.deploy("labgrid:shelf-1")
        assert ran.returncode == 3
        assert "is acquired by runner/ci" in ran.stderr
        assert lab.holder() == "runner/ci"
    finally:
        lab.client("-p", "shelf-1", "release")
    ran = lab.deploy("labgrid:no-such")
    assert ran.returncode == 3
    assert "no-such" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_labgrid_the_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from modelprep.deliver import labgrid

    if importlib.util.find_spec("labgrid") is not None:
        pytest.skip("labgrid is installed in this environment")
    with pytest.raises(MissingTool, match="labgrid") as caught, labgrid.acquired("shelf-1"):
        pass
    assert "labgrid" in (caught.value.hint or "")


def test_names_of_places_are_read(tmp_path: Path) -> None:
    target = parse_target("labgrid:rack/shelf-1:~/demos/")
    assert (target.place, target.path, target.board) == ("rack/shelf-1", "demos", None)
    assert parse_target("root@labgrid:/x").board is not None
    for text in ("labgrid:", "labgrid:-x", "labgrid:a b", "labgrid:a\nb"):
        with pytest.raises(UsageError, match="is not a labgrid place"):
            parse_target(text)
    with pytest.raises(UsageError, match="given twice"):
        parse_targets(["labgrid:a", "labgrid:a:/x"])
    assert report_names(parse_targets(["labgrid:a/b"])) == {"labgrid:a/b": "labgrid-a-b.xml"}
