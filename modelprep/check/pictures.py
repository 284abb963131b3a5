"""Searching a folder for pictures with which a test passes: for those that nobody publishes any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelprep.check.demos import board_test, find_picture
from modelprep.errors import UsageError
from modelprep.recipe.schema import Recipe
from modelprep.store.disk import storage
from modelprep.targets.armnn_tests import BoardTest
from modelprep.tree.places import tree_name


@dataclass(frozen=True)
class TriedPicture:
    """What a test makes of one picture.

    Parameters
    ----------
    case
        Number of the test's case that it was tried for, from 0.
    file
        Name under which the test looks for it.
    picture
        The file.
    got
        Class that came first.
    passes
        Whether that is the class the case asks for.
    """

    case: int
    file: str
    picture: Path
    got: int
    passes: bool


@dataclass(frozen=True)
class PictureSearch:
    """What a search found: the test, how many pictures the folder has, and what became of each that can be read."""

    test: BoardTest
    pictures: int
    tried: tuple[TriedPicture, ...]

    @property
    def passing(self) -> tuple[TriedPicture, ...]:
        """Those with which a case passes."""
        return tuple(each for each in self.tried if each.passes)


def search(recipes: Sequence[Recipe], out: Path, folder: Path, version: str | None = None) -> PictureSearch:
    """Try every picture of a folder (and of those below it) on each case of a test.

    Parameters
    ----------
    recipes
        What the user named: one test that looks at pictures.
    out
        The folder that holds the finished trees (``--out``).
    folder
        Where the pictures are; files that are none are passed over.
    version
        Arm NN version; the recipe's own when left out.

    Raises
    ------
    UsageError
        Not exactly one picture test, or no such folder.
    CheckFailed, MissingTool
        The model cannot be run here.
    """
    from modelprep.formats.picture import kind_of

    test = board_test(recipes[0], version) if len(recipes) == 1 else None
    if test is None or not test.cases:
        raise UsageError("--find-picture wants exactly one test that looks at pictures")
    if not folder.is_dir():
        raise UsageError(f"there is no folder '{folder}'")
    pictures = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with storage(path, doing="look for pictures"), path.open("rb") as stream:
                if kind_of(stream.read(16)):
                    pictures.append(path)
    models = out / tree_name(recipes[0]) / "models"
    tried = [
        TriedPicture(number, case.file, path, got, passes)
        for number, case in enumerate(test.cases)
        for path, got, passes in find_picture(test, models, pictures, number)
    ]
    return PictureSearch(test, len(pictures), tuple(tried))
