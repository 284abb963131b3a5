"""Verbs that predict whether models and tests work on a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelprep.api.again import repeat
from modelprep.api.declaring import AnyPath, Unpack, Words, settle, verb, words
from modelprep.api.frame import framed, verb_of
from modelprep.api.options import CheckOptions, LintOptions, PictureOptions
from modelprep.events import Listener
from modelprep.structs import dataclass

if TYPE_CHECKING:
    from types import SimpleNamespace

    from modelprep.check.demos import Checked
    from modelprep.check.lint.findings import Finding
    from modelprep.check.picture_search import PictureSearch
    from modelprep.check.types import Verdict


@verb(CheckOptions)
def check(targets: Words, *, listen: Listener | None = None, **options: Unpack[CheckOptions]) -> tuple[Checked, ...]:
    """Say whether the board's tests will pass with these files, and why not.

    Each model is checked against the rules of Arm NN's parser, then run on this machine on the test's own inputs, and
    judged as the test judges. Conversions made on this machine are verified: original and result must compute the same
    numbers.

    Returns
    -------
    tuple of Checked
        One per demo: its ``verdict`` (``outcome`` is ``passes``, ``fails`` or ``unknown``; None if there is nothing to
        judge, with the ``reason``) and its ``proofs``.

    Raises
    ------
    ModelprepError
        A target is unknown, a recipe is broken, no demo has the variant of `against`; Ctrl-C.
    """
    with verb_of(CheckOptions, options, listen) as (given, tell):
        from modelprep.pipeline.checking import check_demos

        checked = check_demos(
            *_chosen(targets, given),
            out=given.out,
            cache=given.cache,
            armnn=None if given.bsp else given.armnn,
            iterations=given.iterations,
            lint_only=given.lint_only,
            against=given.against,
            listen=tell,
        )
        recipes = [("--recipes", str(each)) for each in given.recipes]

        def told(verdict: Verdict) -> Verdict:
            return replace(verdict, hint=repeat(verdict.hint, recipes), command=repeat(verdict.command, recipes))

        checked = [replace(one, verdict=one.verdict and told(one.verdict)) for one in checked]
        if given.html is not None:
            from modelprep.check.demos import missing_commands
            from modelprep.check.report.page import write_page
            from modelprep.store import Store

            commands = [repeat(command, recipes) for command in missing_commands(checked, given.out)]
            write_page(given.html, checked, given.out, commands, Store.open(given.cache).origin)
        return tuple(checked)


@verb(PictureOptions)
def find_pictures(targets: Words, folder: AnyPath, **options: Unpack[PictureOptions]) -> PictureSearch:
    """Search a folder for pictures with which a test passes. The command's ``check --find-picture``.

    Parameters
    ----------
    targets
        One test that looks at pictures.
    folder
        Folder of pictures; subfolders are searched too.

    Raises
    ------
    UsageError
        Not exactly one picture test, or no such folder.
    CheckFailed, MissingTool
        The model cannot be run on this machine.
    """
    with verb_of(PictureOptions, options) as (given, _):
        from modelprep.pipeline.checking import search_pictures

        chosen, known = _chosen(targets, given)
        armnn = None if given.bsp else given.armnn
        return search_pictures(chosen, known, out=given.out, folder=Path(folder), armnn=armnn)


def _chosen(targets: Words, given: SimpleNamespace) -> tuple[Any, Any]:
    """Return the recipes to check, for the board asked for, and the catalogue."""
    from modelprep.api.fetching import catalogue_of
    from modelprep.pipeline.plan.board import select

    known = catalogue_of(given)
    armnn = given.armnn if given.bsp else None
    return select(known, words(targets), bsp=given.bsp, soc=given.soc, armnn=armnn), known


@verb(LintOptions)
def lint(model: AnyPath, **options: Unpack[LintOptions]) -> tuple[Finding, ...]:
    """Say whether a board's model parser accepts a file, refuses it, crashes or computes wrong numbers.

    Parameters
    ----------
    model
        A ``.caffemodel``, GraphDef, ``.tflite`` or ``.onnx`` file; for the NPU a ``.tflite`` file.

    Returns
    -------
    tuple of Finding
        The worst first; :attr:`Finding.serious` says whether it keeps the model from working.

    Raises
    ------
    UsageError
        Unknown target, parser or test, or the file's format cannot be recognized.
    MissingTool
        For the NPU: Vela is not installed.
    StorageError
        There is no such file.
    """
    with verb_of(LintOptions, options) as (given, _):
        from modelprep.check.lint import examine

        found = examine(
            Path(model),
            given.target,
            parser=given.parser,
            test=given.test,
            outputs=given.outputs,
            all_npu=given.all_npu,
        )
        if given.sarif is not None:
            from modelprep.check.lint.sarif import write_sarif

            write_sarif(given.sarif, Path(model), found)
        return tuple(found)


def class_label(names: str, number: int) -> str:
    """Return a class with its name if the list `names` is known; else its number."""
    from modelprep.targets.class_names import label

    return label(names, number)


def check_onnx(model: AnyPath, *, shapes: bool = True, target: str | None = None) -> Mapping[str, object]:
    """Check that a model is valid ONNX and that a board's parser accepts it; needs the extra ``onnx``.

    `shapes`: run strict shape inference too. `target`: the parser it is for: ``armnn-19.02``. Returns ``opset`` (domain
    -> version), ``ir_version`` and more. Raises UsageError: the file does not exist or the target is unknown;
    StepError: the model is not valid, or the parser does not accept it; MissingTool: the extra is not installed.
    """
    with framed():
        from modelprep.errors import UsageError
        from modelprep.formats.given import require_input
        from modelprep.formats.onnx.model import read_header
        from modelprep.steps import onnx_check
        from modelprep.steps._extras import require
        from modelprep.steps.onnx_fix import refuse
        from modelprep.targets.armnn_onnx import TARGETS

        require_input(Path(model))
        if target not in (None, *TARGETS):
            raise UsageError("--for takes one of a few values", expected=", ".join(TARGETS), got=str(target))
        require(("onnx",), "onnx check")
        facts = onnx_check.check(Path(model), shapes=shapes)
        if target is not None:
            refuse(read_header(Path(model)), target)
        return facts


def summary(checked: Sequence[Checked], out: AnyPath) -> tuple[str, list[str]]:
    """Return the number of demos by outcome, in one line, and the commands that fetch what is missing."""
    from modelprep.check.demos import missing_commands, totals

    return totals(checked), missing_commands(checked, Path(out))


@dataclass(frozen=True)
class Explained:
    """Summary of the findings of :func:`lint`.

    `parser`, `by`: which parser reads the model: ``onnx``, ``the ONNX parser of Arm NN 19.02``. `accepted`: what that
    parser accepts; empty if it does not. `blocking`: how many findings keep the model from working. `fixes`: the
    command that fixes each finding; empty if none does.
    """

    parser: str
    by: str
    accepted: str
    blocking: int
    fixes: Mapping[Finding, str]


def explained(model: AnyPath, findings: Sequence[Finding], **options: Unpack[LintOptions]) -> Explained:
    """Summarise findings about a model; `options` as for :func:`lint`."""
    from modelprep.check.lint import ethos_u, parse_target, parser_of
    from modelprep.check.lint.names import PARSERS, model_names
    from modelprep.check.messages import fix
    from modelprep.targets.armnn_tests import of_version

    given = settle(LintOptions, options)
    path, version = Path(model), parse_target(given.target)
    parser = given.parser or parser_of(path)
    test = of_version(version)[given.test] if given.test else None
    blocking = sum(finding.serious for finding in findings)
    accepted = ""
    if not blocking:
        inputs, outputs = model_names(path, parser)
        names = f" (input {', '.join(inputs)}; output {', '.join(outputs)})" if inputs or outputs else ""
        accepted = f"{path}{names}{f', as {test.name} requires' if test is not None else ''}"
    return Explained(
        parser,
        f"Vela for {version}" if version in ethos_u.TARGETS else f"the {PARSERS[parser]} parser of Arm NN {version}",
        accepted,
        blocking,
        {finding: fix(path, finding, test, parser)[0] for finding in findings},
    )
