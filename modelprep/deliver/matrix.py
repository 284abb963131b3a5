"""The results of the tests on several boards: read from their JUnit reports, as a table of test by board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelprep.deliver.board_tests import BoardRun, junit_document, suite_of
from modelprep.errors import ModelprepError

#: Child of a JUnit test case -> its name in a table.
_WORDS = {"failure": "FAILED", "error": "damaged", "skipped": "missing"}
#: Results of a test.
RESULTS = ("passed", *_WORDS.values())


@dataclass(frozen=True)
class TestResult:
    """One test on one board.

    Parameters
    ----------
    tree, test
        Its tree and its name.
    result
        ``passed``, ``FAILED``, ``missing`` (no program) or ``damaged`` (files of the tree).
    seconds
        How long it took, seconds.
    reason
        Why it did not pass; empty if it did.
    """

    __test__ = False  # not a test class for pytest

    tree: str
    test: str
    result: str
    seconds: float = 0.0
    reason: str = ""


def results_of(runs: Sequence[BoardRun]) -> tuple[TestResult, ...]:
    """Read the results from the JUnit reports of one board.

    Raises DeployError: the board did not return a valid report.
    """
    results = []
    for run in runs:
        for case in suite_of(run).iter("testcase"):
            told = next((child for child in case if child.tag in _WORDS), None)
            seconds = case.get("time", "")
            results.append(
                TestResult(
                    tree=case.get("classname", ""),
                    test=case.get("name", ""),
                    result=_WORDS[told.tag] if told is not None else "passed",
                    seconds=float(seconds) if seconds.isdecimal() else 0.0,
                    reason=told.get("message", "") if told is not None else "",
                )
            )
    return tuple(results)


def matrix(boards: Mapping[str, Sequence[TestResult]]) -> dict[str, dict[str, str]]:
    """Return test -> board -> result; a board without a result of a test is left out of that test's row.

    A test's name is ``tree/name`` if two trees have a test of that name.
    """
    trees: dict[str, set[str]] = {}
    for results in boards.values():
        for each in results:
            trees.setdefault(each.test, set()).add(each.tree)
    rows: dict[str, dict[str, str]] = {}
    for board, results in boards.items():
        for each in results:
            name = each.test if len(trees[each.test]) == 1 else f"{each.tree}/{each.test}"
            rows.setdefault(name, {})[board] = each.result
    return dict(sorted(rows.items()))


def junit_of_failure(board: str, error: ModelprepError) -> bytes:
    """Write the JUnit report of a board whose tests could not be run: one test case that says why."""
    import xml.etree.ElementTree as ET

    suite = ET.Element("testsuite", name=_plain(board), tests="1", failures="0", errors="1", skipped="0")
    case = ET.SubElement(suite, "testcase", classname="deploy", name=_plain(board))
    ET.SubElement(case, "error", message=_plain(error.what)).text = _plain(error.text())
    return junit_document([suite])


def _plain(text: str) -> str:
    """Remove characters that XML cannot contain."""
    return "".join(char for char in text if char in "\t\n" or (char.isprintable() and not "\ud800" <= char <= "\udfff"))
