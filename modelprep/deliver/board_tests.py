"""``run-tests.sh`` on a board: started over an open connection; returns its table and its JUnit report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelprep.deliver.remote import Channel
from modelprep.errors import DeployError
from modelprep.quoting import command

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


@dataclass(frozen=True)
class BoardRun:
    """Result of ``run-tests.sh`` on the board.

    Parameters
    ----------
    folder
        The tree there.
    status
        Its exit status: 0 when every test passed.
    output
        Its output, a table; empty if that was streamed to the terminal.
    junit
        Its JUnit XML report, if requested.
    """

    folder: str
    status: int
    output: str
    junit: str = ""

    @property
    def ok(self) -> bool:
        """True when every test passed."""
        return self.status == 0


def run_board_tests(
    channel: Channel, folder: str, arguments: Sequence[str], *, streamed: bool = False, junit: bool = False
) -> BoardRun:
    """Run ``run-tests.sh`` on the board and return its result.

    `folder`: the tree on the board. `arguments`: for the script: ``-c BACKEND``, names. `streamed`: stream its table to
    standard output instead of keeping it. `junit`: also return its JUnit XML report. Raises DeployError: the connection
    failed.
    """
    report = channel.script("mktemp /tmp/modelprep.XXXXXX").strip() if junit else ""
    remote = command("sh", f"{folder}/run-tests.sh", *(["-j", report] if report else []), *arguments)
    status, said = (channel.interactive(remote), "") if streamed else channel.capture(remote)
    xml = channel.script('cat "$1"; rm -f "$1"', report) if report else ""
    return BoardRun(folder, status, said, xml)


def junit_of(runs: Sequence[BoardRun]) -> bytes:
    """Join the JUnit reports of some trees into one document.

    Raises DeployError: the board did not return a valid report.
    """
    return junit_document([suite_of(run) for run in runs])


def junit_document(suites: Sequence[Element]) -> bytes:
    """Write some test suites as one JUnit document."""
    import xml.etree.ElementTree as ET

    root = ET.Element("testsuites")
    root.extend(suites)
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode").encode() + b"\n"


def suite_of(run: BoardRun) -> Element:
    """Read the JUnit report of one tree. Raises DeployError: the board did not return a valid report."""
    import xml.etree.ElementTree as ET

    if "<!" in run.junit:
        # Our reports have no declaration, and entities in one could expand without limit.
        raise DeployError("the board did not return a valid report", where=run.folder, got=run.junit[:80])
    try:
        return ET.fromstring(run.junit)  # noqa: S314 - see above
    except ET.ParseError as error:
        raise DeployError("the board did not return a valid report", where=run.folder, got=str(error)) from None
