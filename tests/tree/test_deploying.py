"""Deploying to a real OpenSSH server with a busybox userland: only what differs, whole, and through broken lines."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
from servers.sshd import BoardServer, missing

from modelprep.errors import DeployError, MissingTool, StorageError, UsageError
from modelprep.tree.boardtests import hear_tests
from modelprep.tree.deploy import Deployed, DeployPlan, apply_deploy, plan_deploy, probe, target_of
from modelprep.tree.manifest import AssetUsed, InstalledDemo, InstalledFile, Manifest, Provenance
from modelprep.tree.remote import Board, connect, failed, parse_board, ssh_words
from modelprep.tree.selection import TreePart
from modelprep.tree.transfer import _feed

MakeBoard = Callable[..., BoardServer]
CONTENT = {
    "models/big.caffemodel": os.urandom(3 << 20),
    "models/it's a model.pb": b"graph",
    "data/t10k-images.idx3-ubyte": b"digits" * 1000,
}


@pytest.fixture
def board(tmp_path: Path) -> Iterator[MakeBoard]:
    if why := missing():
        pytest.skip(why)
    servers: list[BoardServer] = []

    def make(*, rsync: bool = False, tar: bool = True, sftp: bool = False) -> BoardServer:
        if rsync and not shutil.which("rsync"):
            pytest.skip("needs rsync")
        servers.append(BoardServer(tmp_path / f"sshd{len(servers)}", rsync=rsync, tar=tar, sftp=sftp))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


def tree(folder: Path, content: dict[str, bytes], recipe: str = "armnn-caffe/a", board: str = "") -> TreePart:
    files = {}
    for path, data in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        used = AssetUsed("x", "https://example.org/x", digest, len(data))
        files[path] = InstalledFile(path, digest, len(data), (recipe,), Provenance((used,)))
    name = recipe.rpartition("/")[2].upper()
    demo = InstalledDemo(recipe, f"Caffe{name}-Armnn", "key", run=f"Caffe{name}-Armnn -d data", board=board)
    return TreePart(folder, "ArmnnTests", board, Manifest("ArmnnTests", {recipe: demo}, files))


def deploy(server: BoardServer, part: TreePart, path: str = "") -> tuple[DeployPlan, Deployed]:
    with connect(Board(server.login, path), ssh_words(server.ssh)) as channel:
        plan = plan_deploy(part, probe(channel, part, target_of(part, path)))
        return plan, apply_deploy(channel, plan)


def there(folder: Path) -> dict[str, bytes]:
    lists = ("MANIFEST.json", "SHA256SUMS", "run-tests.sh")
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name not in lists
    }


@pytest.mark.parametrize("method", ["tar", "rsync", "sftp"])
def test_what_arrives_is_what_was_sent_and_a_second_run_sends_nothing(
    board: MakeBoard, tmp_path: Path, method: str
) -> None:
    server = board(rsync=method == "rsync", tar=method == "tar", sftp=method == "sftp")
    part = tree(tmp_path / "t", CONTENT)
    plan, done = deploy(server, part)
    assert plan.method == method
    assert done.bytes_sent == sum(map(len, CONTENT.values()))
    folder = server.home / "ArmnnTests"
    assert there(folder) == CONTENT
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=True)
    before = len(server.commands())
    plan, done = deploy(server, part)
    assert done.bytes_sent == 0
    assert not plan.send
    assert server.commands()[before:] == ["sh -s"]  # the question alone


@pytest.mark.parametrize("method", ["tar", "rsync", "sftp"])
def test_after_one_change_one_file_goes_over(board: MakeBoard, tmp_path: Path, method: str) -> None:
    server = board(rsync=method == "rsync", tar=method == "tar", sftp=method == "sftp")
    deploy(server, tree(tmp_path / "t", CONTENT))
    changed = {**CONTENT, "models/it's a model.pb": b"another graph"}
    plan, done = deploy(server, tree(tmp_path / "t", changed))
    assert [file.path for file in plan.send] == ["models/it's a model.pb"]
    assert done.bytes_sent == len(b"another graph")
    assert there(server.home / "ArmnnTests") == changed


@pytest.mark.parametrize("method", ["tar", "rsync", "sftp"])
def test_a_cut_line_is_an_error_and_the_next_run_goes_on(board: MakeBoard, tmp_path: Path, method: str) -> None:
    server = board(rsync=method == "rsync", tar=method == "tar", sftp=method == "sftp")
    part = tree(tmp_path / "t", CONTENT)
    server.cut_after(2 << 20)
    with pytest.raises(DeployError, match="cut"):
        deploy(server, part)
    folder = server.home / "ArmnnTests"
    # Nothing half-written at a final name; the beginning of the big file waits in the staging folder.
    assert not (folder / "models").exists()
    waiting = folder / ".modelprep-incoming" / "models" / "big.caffemodel"
    begun = max((p.stat().st_size for p in waiting.parent.rglob("*big.caffemodel*")), default=0)
    assert begun > 1 << 20
    with connect(Board(server.login), ssh_words(server.ssh)) as channel:
        plan = plan_deploy(part, probe(channel, part, target_of(part, "")))
        events: list[int] = []
        apply_deploy(channel, plan, listen=lambda event: events.append(event.done or 0))
    assert there(folder) == CONTENT
    assert not (folder / ".modelprep-incoming").exists()
    if method == "tar":
        # The first report of the second run counts what was there already.
        assert next(done for done in events if done) >= begun
        assert any(command.startswith("cat >>") for command in server.commands())


def test_a_beginning_that_is_not_ours_is_not_gone_on_from(board: MakeBoard, tmp_path: Path) -> None:
    server = board()
    part = tree(tmp_path / "t", CONTENT)
    staging = server.home / "ArmnnTests" / ".modelprep-incoming" / "models"
    staging.mkdir(parents=True)
    (staging / "big.caffemodel").write_bytes(b"something else")
    deploy(server, part)
    assert there(server.home / "ArmnnTests") == CONTENT


def test_a_full_disk_on_the_board_is_said_and_nothing_good_is_lost(board: MakeBoard, tmp_path: Path) -> None:
    server = board()
    small = server.home / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", small], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        old = {"data/t10k-images.idx3-ubyte": b"good"}
        deploy(server, tree(tmp_path / "old", old), "small")
        with pytest.raises(StorageError, match="no room"):
            deploy(server, tree(tmp_path / "t", CONTENT), "small")
        # And when the board cannot tell its free space beforehand:
        (server.root / "bin" / "df").unlink()
        with pytest.raises(DeployError, match="full"):
            deploy(server, tree(tmp_path / "t", CONTENT), "small")
        assert (small / "ArmnnTests/data/t10k-images.idx3-ubyte").read_bytes() == b"good"
        assert not (small / "ArmnnTests/models").exists()
    finally:
        with suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", small], check=True)


def test_demos_deployed_earlier_stay_in_the_lists(board: MakeBoard, tmp_path: Path) -> None:
    server = board()
    deploy(server, tree(tmp_path / "a", {"models/a": b"a", "data/shared": b"s"}))
    deploy(server, tree(tmp_path / "b", {"models/b": b"b", "data/shared": b"s"}, "armnn-caffe/b"))
    folder = server.home / "ArmnnTests"
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=True)
    assert (folder / "SHA256SUMS").read_text().count("\n") == 3
    listed = subprocess.run(["sh", folder / "run-tests.sh", "-n"], capture_output=True, text=True, check=True).stdout
    assert "CaffeA-Armnn" in listed
    assert "CaffeB-Armnn" in listed


def test_a_family_with_a_place_of_its_own_goes_there(board: MakeBoard, tmp_path: Path) -> None:
    server = board()
    place = server.home / "usr" / "share" / "OpenCV" / "samples" / "bin"
    deploy(server, tree(tmp_path / "t", {"models.yml": b"x"}, board=str(place)), "elsewhere")
    assert (place / "models.yml").read_bytes() == b"x"


def test_a_folder_that_is_not_writable_is_said_before_anything_is_sent(board: MakeBoard, tmp_path: Path) -> None:
    server = board()
    part = tree(tmp_path / "t", {"a": b"a"}, board="/proc/nowhere")
    with pytest.raises((StorageError, DeployError)):
        deploy(server, part)
    state = probe_only(server, part)
    with pytest.raises(StorageError, match="not writable") as caught:
        plan_deploy(part, type(state)(**{**vars(state), "writable": False}))
    assert "root@board" in str(caught.value)


def probe_only(server: BoardServer, part: TreePart):  # type: ignore[no-untyped-def]
    with connect(Board(server.login), ssh_words(server.ssh)) as channel:
        return probe(channel, part, target_of(part, ""))


def test_a_board_without_sha256sum_is_refused(board: MakeBoard, tmp_path: Path) -> None:
    server = board()
    (server.root / "bin" / "sha256sum").unlink()
    with pytest.raises(DeployError, match="sha256sum"):
        deploy(server, tree(tmp_path / "t", {"a": b"a"}))


def test_the_tests_can_be_run_there_at_once(board: MakeBoard, tmp_path: Path) -> None:
    server = board()
    part = tree(tmp_path / "t", {"data/x": b"x"})
    deploy(server, part)
    program = server.home / "ArmnnTests" / "CaffeA-Armnn"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    with connect(Board(server.login), ssh_words(server.ssh)) as channel:
        assert hear_tests(channel, str(server.home / "ArmnnTests"), []).status == 1
        program.write_text("#!/bin/sh\nexit 0\n")
        assert hear_tests(channel, str(server.home / "ArmnnTests"), ["-c", "CpuRef"]).ok


def test_an_unreachable_board_is_a_deploy_error(board: MakeBoard, tmp_path: Path) -> None:
    server = board()
    server.stop()
    with pytest.raises(DeployError, match="connection") as caught:
        deploy(server, tree(tmp_path / "t", {"a": b"a"}))
    assert caught.value.exit_code == 3
    assert f"ssh {server.login}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "login", "path"),
    [
        ("root@imx8", "root@imx8", ""),
        ("root@imx8:", "root@imx8", ""),
        ("root@imx8:/opt/demos/", "root@imx8", "/opt/demos"),
        ("imx8:demos", "imx8", "demos"),
        ("root@imx8:/", "root@imx8", "/"),
        ("root@[fe80::1%eth0]:/x", "root@fe80::1%eth0", "/x"),
    ],
)
def test_boards_are_named_as_scp_names_them(text: str, login: str, path: str) -> None:
    assert parse_board(text) == Board(login, path)


@pytest.mark.parametrize("text", ["", "-oProxyCommand=x", "a b", "root@", "user@host/path", "x\ny"])
def test_what_is_no_board_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError):
        parse_board(text)


def test_no_ssh_program_is_a_missing_tool() -> None:
    with pytest.raises(MissingTool), connect(Board("x"), ("no-such-ssh",)):
        pass


def test_a_command_that_hangs_up_while_it_is_fed_leaves_no_pipe_open() -> None:
    """What is still buffered when the other end goes is dropped with the pipe, not found by the collector later."""

    class Local:
        def pipe(self, remote: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(["sh", "-c", remote], stdin=subprocess.PIPE, stderr=subprocess.PIPE)

        def failed(self, status: int, said: str, what: str) -> DeployError:
            return failed("board", status, said, what)

    pipes = []

    def write(sink: IO[bytes]) -> None:
        pipes.append(sink)
        while True:
            sink.write(bytes(1000))

    with pytest.raises(DeployError, match="full"):
        _feed(Local(), "exec <&-; echo 'No space left on device' >&2; exit 3", write, "the board could not write")  # type: ignore[arg-type]
    assert pipes[0].closed
