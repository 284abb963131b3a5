"""``modelprep deploy``: finished demos onto a board, over the user's own ssh.

The board first reports its files (with its own ``sha256sum``); only those that differ are sent, to a staging folder
beside the target, verified there by the board, and renamed into place. After a cut connection the next run uses the
files in the staging folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelprep import quoting
from modelprep.deliver import transfer
from modelprep.deliver.board_scripts import FINISH, FOLDERS, LISTS, PROBE, STAGING, TOOLS, WRITE
from modelprep.deliver.remote import Channel
from modelprep.deliver.transfer import Method, Sending
from modelprep.errors import DeployError, DigestMismatch, StorageError
from modelprep.events import Event, Listener, silent
from modelprep.store.disk import human
from modelprep.store.memo import hash_file
from modelprep.tree.manifest import MANIFEST, SUMS, InstalledFile, Manifest, parse_manifest
from modelprep.tree.selection import TreePart, changed, run_tests

#: Free space that must remain on a board, bytes.
RESERVE = 1 << 20


@dataclass(frozen=True)
class BoardState:
    """State of a board and of one target folder.

    `folder`: the target, as an absolute path. `writable`: whether it (or the nearest folder above that exists) can be
    written. `free`: free bytes there; None if unknown. `disk`: the file system that it is on, as ``df`` names it; empty
    if unknown. `tools`: available programs. `digests`: path inside the target -> sha256 of existing files. `staged`:
    the same for the staging folder: path -> (size in bytes, sha256). `manifest`: the manifest there.
    """

    folder: str
    writable: bool
    free: int | None
    tools: Mapping[str, bool]
    disk: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    staged: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    manifest: Manifest = field(default_factory=Manifest)


@dataclass(frozen=True)
class DeployPlan:
    """What deploying one tree would do.

    Parameters
    ----------
    send
        Files to send.
    staged
        Files that are complete in the staging folder.
    keep
        Files that are in place.
    manifest
        The manifest afterwards (demos deployed earlier stay in it).
    method
        How the files are sent.
    """

    part: TreePart
    board: BoardState
    send: tuple[InstalledFile, ...]
    staged: tuple[InstalledFile, ...]
    keep: tuple[InstalledFile, ...]
    manifest: Manifest
    method: Method

    @property
    def size(self) -> int:
        """Bytes to send."""
        return sum(file.size for file in self.send)

    @property
    def room(self) -> int:
        """Additional bytes that the board needs: files are put in place only when all have arrived."""
        paths = {file.path for file in self.send}
        begun = sum(size for path, (size, _) in self.board.staged.items() if path in paths)
        return max(0, self.size - begun)


def target_of(part: TreePart, path: str) -> str:
    """Return the folder of a tree on the board: its fixed folder, else a folder of its name below `path`."""
    if part.board:
        return part.board
    return f"{path.rstrip('/')}/{part.name}" if path else part.name


def probe(channel: Channel, part: TreePart, target: str) -> BoardState:
    """Ask the board which files of a tree it has; one script, which changes nothing.

    Whether a folder is writable is tried by making an empty folder: as root, ``test -w`` of a small userland succeeds
    even on a read-only file system.

    Raises DeployError: the board cannot be reached.
    """
    answer = channel.script(PROBE, target, given=_lines(sorted(part.files)))
    head, _, body = answer.partition("--files--\n")
    facts = dict(line.split("=", 1) for line in head.splitlines() if "=" in line)
    files, _, manifest = body.partition("--manifest--\n")
    sizes = {path: int(size) for size, path in re.findall(r"^size (\d+) (.*)$", files, re.MULTILINE)}
    here, digests = (
        {path: digest for digest, path in re.findall(rf"^{place} ([0-9a-f]{{64}}) (.*)$", files, re.MULTILINE)}
        for place in ("here", "staged")
    )
    return BoardState(
        folder=facts.get("folder", target),
        writable=facts.get("writable") == "yes",
        free=int(facts["free"]) * 1024 if facts.get("free", "").isdecimal() else None,
        tools={tool: facts.get(tool) == "yes" for tool in TOOLS},
        disk=facts.get("disk", ""),
        digests=here,
        staged={path: (size, digests[path]) for path, size in sizes.items() if path in digests},
        manifest=_manifest(manifest, channel, facts.get("folder", target)),
    )


def _manifest(text: str, channel: Channel, folder: str) -> Manifest:
    if not text.strip():
        return Manifest()
    place = f"{folder}/{MANIFEST}"
    try:
        return parse_manifest(text, f"{channel.board.login}:{place}")
    except StorageError as error:
        # Its record of earlier deployments is lost, until they are deployed again.
        removing = quoting.command("ssh", channel.board.login, quoting.command("rm", place))
        error.hint = f"{removing}, then deploy all demos of this folder again"
        raise


def _lines(paths: Sequence[str]) -> bytes:
    """Write paths for a script, one per line. Raises StorageError: a path contains a newline."""
    if odd := [path for path in paths if "\n" in path]:
        raise StorageError(
            "a file name contains a newline, which a list for a board cannot", where=quoting.line(odd[0])
        )
    return os.fsencode("".join(f"{path}\n" for path in paths))


#: Checks a file of a tree against its manifest; raises DigestMismatch.
FileCheck = Callable[[TreePart, InstalledFile], None]


def check_file(part: TreePart, file: InstalledFile) -> None:
    """Check a file of a tree against its manifest: the board would report a changed file as damaged.

    Raises DigestMismatch: the file was changed or removed.
    """
    path = part.folder / file.path
    if not path.is_file() or hash_file(path) != (file.sha256, file.size):
        raise changed(path, file)


def plan_deploy(part: TreePart, board: BoardState, *, taken: int = 0, check: FileCheck = check_file) -> DeployPlan:
    """Decide what to send.

    `taken`: bytes that other trees will take on the same file system of the board. `check`: called for each file to
    send. Raises StorageError: the target cannot be written, or its disk is full; DigestMismatch: a file to send has
    changed since it was installed; DeployError: the board has no sha256sum, or no program to receive files.
    """
    if not board.tools.get("sha256sum"):
        raise DeployError(
            "the board has no sha256sum to verify files with",
            where=board.folder,
            hint="install busybox or coreutils on the board, or copy a bundle by hand",
        )
    send, staged, keep = [], [], []
    for path, file in sorted(part.files.items()):
        if board.digests.get(path) == file.sha256:
            keep.append(file)
        elif board.staged.get(path) == (file.size, file.sha256):
            staged.append(file)
        else:
            send.append(file)
    manifest = _merged(part, board.manifest)
    changes = bool(send or staged) or manifest.text() != board.manifest.text()
    if changes and not board.writable:
        raise _not_writable(part, board)
    method = transfer.choose(board.tools) if send else "tar"
    plan = DeployPlan(part, board, tuple(send), tuple(staged), tuple(keep), manifest, method)
    needed = plan.room + taken + RESERVE
    if send and board.free is not None and board.free < needed:
        raise StorageError(
            "not enough disk space on the board",
            where=board.folder,
            expected=f"{human(needed)} free",
            got=f"{human(board.free)} free",
            hint="deploy fewer demos, free some space"
            + ("" if part.board else ", or name a folder on another file system: user@board:/path"),
        )
    for file in send:
        check(part, file)
    return plan


def _not_writable(part: TreePart, board: BoardState) -> StorageError:
    if not part.board:
        return StorageError(
            "the folder on the board is not writable for this user",
            where=board.folder,
            hint="deploy as root (root@board), or name a folder of your own: user@board:/path",
        )
    demos = " ".join(sorted(part.manifest.demos))
    return StorageError(
        f"{part.name} has a fixed folder on the board, which is not writable for this user",
        where=board.folder,
        hint=f"deploy as root (root@board), make the folder writable, or leave these demos out: {demos}",
    )


def plan_parts(channel: Channel, parts: Sequence[TreePart], check: FileCheck = check_file) -> list[DeployPlan]:
    """Ask the board about some trees, each in its folder there, and decide what to send; raises as both do."""
    plans: list[DeployPlan] = []
    taken: dict[str, int] = {}
    for part in parts:
        state = probe(channel, part, target_of(part, channel.board.path))
        plan = plan_deploy(part, state, taken=taken.get(state.disk, 0) if state.disk else 0, check=check)
        taken[state.disk] = taken.get(state.disk, 0) + plan.room
        plans.append(plan)
    return plans


def _merged(part: TreePart, there: Manifest) -> Manifest:
    """Return the board's manifest after the deployment: these demos and those of earlier deployments."""
    ours = part.manifest
    demos = {**{name: demo for name, demo in there.demos.items() if name not in ours.demos}, **ours.demos}
    files: dict[str, InstalledFile] = {}
    for path, file in there.files.items():
        users = tuple(name for name in file.demos if name in demos and name not in ours.demos)
        if users:
            files[path] = replace(file, demos=users)
    for path, file in ours.files.items():
        users = tuple(sorted({*file.demos, *(files[path].demos if path in files else ())}))
        files[path] = replace(file, demos=users)
    return Manifest(ours.tree, demos, files)


@dataclass(frozen=True)
class Deployed:
    """What was done: paths sent and kept, bytes sent, where."""

    folder: str
    sent: tuple[str, ...]
    kept: tuple[str, ...]
    bytes_sent: int
    method: str


def apply_deploy(channel: Channel, plan: DeployPlan, *, listen: Listener = silent) -> Deployed:
    """Execute a plan: send files, let the board verify them, and rename them into place.

    Raises DeployError: the connection was cut; files that have arrived stay in the staging folder for the next run;
    DigestMismatch: the board's checksums of the received files differ; nothing was renamed.
    """
    part, board = plan.part, plan.board
    moving = [*plan.send, *plan.staged]
    task = f"deploy:{part.name}"
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done = min(done + count, plan.size)
        listen(Event("progress", task=task, label=f"to {channel.board.login}", done=done, total=plan.size))

    if not moving and plan.manifest.text() == board.manifest.text():
        return Deployed(board.folder, (), tuple(file.path for file in plan.keep), 0, "")
    staging = f"{board.folder}/{STAGING}"
    listen(Event("start", task=task, label=f"to {channel.board.login}", done=0, total=plan.size))
    if plan.send:
        folders = sorted({str(Path(file.path).parent) for file in plan.send})
        channel.script(FOLDERS, staging, given=_lines(folders))
        files = [Sending(file.path, file.size) for file in plan.send]
        transfer.send(channel, plan.method, part.folder, staging, files, board.staged, progress)
    _finish(channel, plan, moving, staging)
    listen(Event("done", task=task, done=plan.size, total=plan.size))
    return Deployed(
        board.folder,
        tuple(file.path for file in moving),
        tuple(file.path for file in plan.keep),
        plan.size,
        plan.method,
    )


def _finish(channel: Channel, plan: DeployPlan, moving: Sequence[InstalledFile], staging: str) -> None:
    """Check the staged files on the board and rename them, then the lists, in one script."""
    lists = f"{plan.board.folder}/{LISTS}"
    texts = {MANIFEST: plan.manifest.text(), SUMS: plan.manifest.sums(), "run-tests.sh": run_tests(plan.manifest)}
    paths = [file.path for file in moving]
    own = {"moves": _lines(paths), "sums": os.fsencode(Manifest(files={file.path: file for file in moving}).sums())}
    for name, data in {**own, **{name: os.fsencode(text) for name, text in texts.items()}}.items():
        channel.script(WRITE, lists, name, given=data)
    answer = channel.script(FINISH, plan.board.folder, lists, *texts)
    if not answer.strip().endswith("finished"):
        raise DigestMismatch(
            "files were damaged on the way to the board; nothing was put in place",
            where=f"{channel.board.login}:{staging}",
            got="; ".join(answer.split("\n")[1:4]),
            hint="run the command again: damaged files are sent again. If it happens again, check the board's disk",
        )
