"""Deploying to a real OpenSSH server with a busybox userland: only what differs, whole, and through broken lines."""

from __future__ import annotations

import hashlib
import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from servers.disks import mounted
from servers.sshd import BoardServer

from modelprep.deliver.board_tests import BoardRun, junit_of, run_board_tests
from modelprep.deliver.deploy import Deployed, DeployPlan, apply_deploy, plan_deploy, plan_parts, probe, target_of
from modelprep.deliver.remote import Board, connect, failed, parse_board, ssh_words
from modelprep.deliver.transfer import _feed, choose
from modelprep.errors import DeployError, DigestMismatch, MissingTool, StorageError, UsageError
from modelprep.tree.manifest import AssetUsed, InstalledDemo, InstalledFile, Manifest, Provenance
from modelprep.tree.selection import TreePart

MakeBoard = Callable[..., BoardServer]
CONTENT = {
    "models/big.caffemodel": os.urandom(3 << 20),
    "models/it's a model.pb": b"graph",
    "data/t10k-images.idx3-ubyte": b"digits" * 1000,
}


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
    (question,) = server.commands()[before:]
    assert question.startswith("sh -c ")


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
        assert any("cat >>" in command for command in server.commands())


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
    with mounted(server.home / "small", "size=2m") as small:
        old = {"data/t10k-images.idx3-ubyte": b"good"}
        deploy(server, tree(tmp_path / "old", old), "small")
        with pytest.raises(StorageError, match="not enough disk space"):
            deploy(server, tree(tmp_path / "t", CONTENT), "small")
        # And when the board cannot tell its free space beforehand:
        (server.root / "bin" / "df").unlink()
        with pytest.raises(DeployError, match="full"):
            deploy(server, tree(tmp_path / "t", CONTENT), "small")
        assert (small / "ArmnnTests/data/t10k-images.idx3-ubyte").read_bytes() == b"good"
        assert not (small / "ArmnnTests/models").exists()


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
        assert run_board_tests(channel, str(server.home / "ArmnnTests"), []).status == 1
        program.write_text("#!/bin/sh\nexit 0\n")
        assert run_board_tests(channel, str(server.home / "ArmnnTests"), ["-c", "CpuRef"]).ok
        program.write_text("#!/bin/sh\nsleep 60\n")
        run = run_board_tests(channel, str(server.home / "ArmnnTests"), ["-t", "1"])
        assert run.status == 1
        assert "no end after 1 s" in run.output


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
        ("root@[fe80::1]:~/x", "root@fe80::1", "x"),
        ("root@imx8:~/models", "root@imx8", "models"),
        ("root@imx8:~", "root@imx8", ""),
        ("root@imx8:~/", "root@imx8", ""),
        ("root@imx8:my models/a~b", "root@imx8", "my models/a~b"),
    ],
)
def test_boards_are_named_as_scp_names_them(text: str, login: str, path: str) -> None:
    assert parse_board(text) == Board(login, path)


@pytest.mark.parametrize("text", ["", "-oProxyCommand=x", "a b", "root@", "user@host/path", "x\ny"])
def test_what_is_no_board_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError):
        parse_board(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ssh://root@imx8", "root@imx8"),
        ("ssh://root@imx8:2222/opt/x", "root@imx8:/opt/x --ssh 'ssh -p 2222'"),
        ("sftp://imx8/opt/x", "imx8:/opt/x"),
        ("https://imx8/", None),
        ("root@fe80::1", "root@[fe80::1]"),
        ("root@fe80::1:/opt/x", "root@[fe80::1]"),
        ("fe80::1%eth0", "[fe80::1%eth0]"),
        ("root@imx8:~other/x", None),
    ],
)
def test_what_scp_would_read_otherwise_is_refused_with_the_way_to_write_it(text: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        parse_board(text)
    assert hint is None or hint in (caught.value.hint or "")


def test_a_board_without_tar_rsync_and_sftp_is_told_what_it_lacks(board: MakeBoard, tmp_path: Path) -> None:
    server = board(rsync=False, tar=False, sftp=False)
    with pytest.raises(DeployError, match="no tar and no rsync, and its ssh server offers no sftp") as caught:
        deploy(server, tree(tmp_path / "t", {"a": b"a"}))
    assert "install one of them" in (caught.value.hint or "")


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


@pytest.mark.parametrize("method", ["tar", "rsync", "sftp"])
def test_ports_and_odd_folders_reach_every_way_of_sending(board: MakeBoard, tmp_path: Path, method: str) -> None:
    server = board(rsync=method == "rsync", tar=method == "tar", sftp=method == "sftp")
    config = server.root / "ssh_config"
    port = str(server.port)
    config.write_text(config.read_text().replace(f" Port {port}\n", ""))
    content = {'models/#1 [a*b?] "x" $HOME.pb': b"odd", ";semicolon": b"also odd"}
    part = tree(tmp_path / "a [tree] 'here'", content)
    # -p says a port to ssh, and something else to sftp.
    with connect(Board(server.login, "two words; $(x)"), ssh_words(f"{server.ssh} -p {port}")) as channel:
        [plan] = plan_parts(channel, [part])
        assert plan.method == method
        apply_deploy(channel, plan)
    assert there(server.home / "two words; $(x)" / "ArmnnTests") == content


def test_an_sftp_that_was_cut_sends_only_the_rest(board: MakeBoard, tmp_path: Path) -> None:
    server = board(tar=False, sftp=True)
    part = tree(tmp_path / "t", CONTENT)
    server.cut_after(2 << 20)
    with pytest.raises(DeployError, match="cut"):
        deploy(server, part)
    # Another cut, before the whole file could have come: what has come by then is more than the first time.
    staged = server.home / "ArmnnTests" / ".modelprep-incoming" / "models" / "big.caffemodel"
    first = staged.stat().st_size
    server.cut_after(1 << 20)
    with pytest.raises(DeployError, match="cut"):
        deploy(server, part)
    assert first < staged.stat().st_size < len(CONTENT["models/big.caffemodel"])
    deploy(server, part)
    assert there(server.home / "ArmnnTests") == CONTENT


def test_trees_on_one_disk_share_its_room(board: MakeBoard, tmp_path: Path) -> None:
    server = board()
    one, two = tree(tmp_path / "1", {"a": b"a" * 1000}), tree(tmp_path / "2", {"b": b"b" * 1000})
    state = probe_only(server, one)
    assert state.disk.strip().startswith("/")
    enough_for_one = replace(state, free=(1 << 20) + 1500)
    assert plan_deploy(one, enough_for_one).room == 1000
    with pytest.raises(StorageError, match="not enough disk space"):
        plan_deploy(two, enough_for_one, taken=1000)


def test_a_family_whose_own_place_cannot_be_written_is_named(board: MakeBoard, tmp_path: Path) -> None:
    server = board()
    with mounted(server.home / "usr", "ro") as place:
        part = tree(tmp_path / "t", {"a": b"a"}, "opencv-dnn/a", board=f"{place}/share/OpenCV")
        with pytest.raises(StorageError, match="fixed folder") as caught:
            deploy(server, part)
    assert caught.value.where == f"{place}/share/OpenCV"
    assert "opencv-dnn/a" in str(caught.value.hint)
    # PATH moves no family that has a place of its own: not to be advised.
    assert "user@board:" not in str(caught.value)


def test_a_file_changed_here_is_not_called_damaged_there(board: MakeBoard, tmp_path: Path) -> None:
    server = board()
    part = tree(tmp_path / "t", {"a": b"a", "b": b"b"})
    (tmp_path / "t" / "a").write_bytes(b"x")
    with pytest.raises(DigestMismatch, match="changed since") as caught:
        deploy(server, part)
    assert caught.value.hint == "modelprep fetch armnn-caffe/a"
    (tmp_path / "t" / "a").unlink()
    with pytest.raises(DigestMismatch, match="missing"):
        deploy(server, part)
    assert not (server.home / "ArmnnTests").exists()


def test_a_manifest_that_the_board_has_spoilt_is_named_with_the_way_out(board: MakeBoard, tmp_path: Path) -> None:
    server = board()
    part = tree(tmp_path / "t", {"a": b"a"})
    deploy(server, part)
    spoilt = server.home / "ArmnnTests" / "MANIFEST.json"
    spoilt.write_bytes(spoilt.read_bytes()[:50])
    with pytest.raises(StorageError) as caught:
        deploy(server, part)
    assert caught.value.hint is not None
    assert f"ssh {server.login} 'rm {spoilt}'" in caught.value.hint
    spoilt.unlink()
    deploy(server, part)
    # As after a power cut: an empty one says nothing, and is written anew.
    spoilt.write_bytes(b"")
    deploy(server, part)
    assert spoilt.stat().st_size > 50


def test_a_board_behind_a_jump_host_is_reached_through_the_users_own_configuration(
    board: MakeBoard, tmp_path: Path
) -> None:
    server = board()
    config = server.root / "ssh_config"
    # The same server plays the host in between: it passes the line on, no command is run there.
    behind = config.read_text().replace("Host board\n", "Host behind\n ProxyJump board\n")
    config.write_text(config.read_text() + behind)
    user = server.login.partition("@")[0]
    part = tree(tmp_path / "t", CONTENT)
    with connect(Board(f"{user}@behind"), ssh_words(server.ssh)) as channel:
        [plan] = plan_parts(channel, [part])
        apply_deploy(channel, plan)
    assert there(server.home / "ArmnnTests") == CONTENT
    assert server.connections() == 2


def test_two_boards_reports_are_one_document() -> None:
    report = '<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="{}" tests="1"/>\n'
    runs = [BoardRun(name, 0, "", report.format(name)) for name in ("ArmnnTests", "tflite")]
    assert [suite.get("name") for suite in ET.fromstring(junit_of(runs))] == ["ArmnnTests", "tflite"]


@pytest.mark.parametrize("text", ["", "x", "<a>", '<!DOCTYPE a [<!ENTITY b "c">]><testsuite name="&b;"/>'])
def test_what_is_no_report_is_an_error(text: str) -> None:
    with pytest.raises(DeployError, match="valid report"):
        junit_of([BoardRun("x", 0, "", text)])


def test_an_old_rsync_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for said, method in (
        ("rsync  version 3.2.7  protocol version 31", "rsync"),
        ("rsync  version 2.6.9  protocol version 29", "tar"),
        ("openrsync: protocol version 29", "tar"),
    ):
        program = tmp_path / "rsync"
        program.write_text(f"#!/bin/sh\necho '{said}'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        assert choose({"rsync": True, "tar": True}) == method
