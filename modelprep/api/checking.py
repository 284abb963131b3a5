"""Verbs that say what a board will make of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.api.arguments import AnyPath, Paths, Words, framed, path_or_none, within, words
from modelprep.events import Listener, silent

if TYPE_CHECKING:
    from modelprep.check.demos import Checked
    from modelprep.check.lint.findings import Finding
    from modelprep.check.picture_search import PictureSearch


def check(
    targets: Words,
    *,
    out: AnyPath = "out",
    cache: AnyPath | None = None,
    lint_only: bool = False,
    iterations: int = 0,
    html: AnyPath | None = None,
    against: str | None = None,
    armnn: str | None = None,
    bsp: str | None = None,
    soc: str | None = None,
    recipes: Paths = (),
    listen: Listener = silent,
) -> tuple[Checked, ...]:
    """Say whether the board's tests will pass with these very files, and why not.

    Each model is held to the rules of Arm NN's parser, then run on this machine on what the test would feed it, and
    judged as the test judges. What converted a model on this machine is proven: original and result answer alike.

    Parameters
    ----------
    targets, out, cache, recipes
        As for :func:`modelprep.plan`.
    lint_only
        Look at the models; run nothing.
    iterations
        As ``-i N`` on the board; 0 runs every case.
    html
        Write a page for people as well.
    against
        Compare with another variant's model (such as ``frozen``).
    armnn
        Arm NN version to judge by.
    bsp, soc
        As for :func:`modelprep.plan`.
    listen
        Hears ``start`` and ``done`` of each demo, the outcome in ``data``.

    Returns
    -------
    tuple of Checked
        One a demo: its ``verdict`` (``outcome`` is ``passes``, ``fails`` or ``unknown``; None where there is nothing to
        judge, with the ``reason``) and its ``proofs``.

    Raises
    ------
    ModelprepError
        A target is not known, a recipe is broken, nothing has the variant of `against`; Ctrl-C.
    """
    with framed(listen) as tell:
        from modelprep.api.fetching import catalogue
        from modelprep.pipeline.checking import check_demos
        from modelprep.pipeline.plan.board import select

        within("iterations", iterations, 0)
        known = catalogue(recipes)
        chosen = select(known, words(targets), bsp=bsp, soc=soc, armnn=armnn if bsp else None)
        checked = check_demos(
            chosen,
            known,
            out=Path(out),
            cache=path_or_none(cache),
            armnn=None if bsp else armnn,
            iterations=iterations,
            lint_only=lint_only,
            against=against,
            listen=tell,
        )
        if html is not None:
            from modelprep.check.report.page import write_page

            write_page(Path(html), checked, Path(out))
        return tuple(checked)


def find_pictures(
    targets: Words,
    folder: AnyPath,
    *,
    out: AnyPath = "out",
    armnn: str | None = None,
    bsp: str | None = None,
    soc: str | None = None,
    recipes: Paths = (),
) -> PictureSearch:
    """Search a folder for pictures with which a test passes. The command's ``check --find-picture``.

    Parameters
    ----------
    targets
        One test that looks at pictures.
    folder
        Where the pictures are; folders below it are looked through, too.
    out, armnn, bsp, soc, recipes
        As for :func:`check`.

    Raises
    ------
    UsageError
        Not exactly one picture test, or no such folder.
    CheckFailed, MissingTool
        The model cannot be run on this machine.
    """
    with framed():
        from modelprep.api.fetching import catalogue
        from modelprep.pipeline.checking import search_pictures
        from modelprep.pipeline.plan.board import select

        known = catalogue(recipes)
        chosen = select(known, words(targets), bsp=bsp, soc=soc, armnn=armnn if bsp else None)
        return search_pictures(chosen, known, out=Path(out), folder=Path(folder), armnn=None if bsp else armnn)


def lint(
    model: AnyPath,
    *,
    target: str = "armnn-19.02",
    parser: str | None = None,
    test: str | None = None,
    outputs: Words = (),
    sarif: AnyPath | None = None,
) -> tuple[Finding, ...]:
    """Say what a board's model parser will make of a file: refuse, crash, compute wrongly, or take it.

    Parameters
    ----------
    model
        A ``.caffemodel``, GraphDef, ``.tflite`` or ``.onnx`` file.
    target
        Whose parser (``--for``): ``armnn-19.02`` and later.
    parser
        ``caffe``, ``tf``, ``tflite`` or ``onnx``, where the file does not tell.
    test
        Also hold it to what this board test asks for.
    outputs
        Names of outputs that will be asked for.
    sarif
        Write a SARIF 2.1.0 log as well.

    Returns
    -------
    tuple of Finding
        The worst first; :attr:`Finding.serious` says whether it keeps the model from working.

    Raises
    ------
    UsageError
        No such target, parser or test, or a file that does not say what it is.
    StorageError
        There is no such file.
    """
    with framed():
        from modelprep.check.lint import examine

        found = examine(Path(model), target, parser=parser, test=test, outputs=words(outputs))
        if sarif is not None:
            from modelprep.check.lint.sarif import write_sarif

            write_sarif(Path(sarif), Path(model), found)
        return tuple(found)
