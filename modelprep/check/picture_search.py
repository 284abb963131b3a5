"""Search a folder for pictures with which a test passes, for pictures that are no longer public."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelprep.check.demos import asset_of, board_test, find_pictures
from modelprep.errors import CheckFailed, UsageError
from modelprep.recipe.commands import fetch_command
from modelprep.recipe.schema import Recipe
from modelprep.store.disk import storage
from modelprep.targets.armnn_tests import BoardTest
from modelprep.tree.places import tree_name


@dataclass(frozen=True)
class TriedPicture:
    """A test's result for one picture.

    `case`: number of the test's case, from 0. `file`: the name that the test opens. `got`: the best class; None if a
    detector found nothing. `passes`: whether the case passes with the picture.
    """

    case: int
    file: str
    picture: Path
    got: int | None
    passes: bool


@dataclass(frozen=True)
class PictureSearch:
    """Result of a search.

    `pictures`: number of pictures in the folder. `tried`: results of the readable ones, by case. `command`: what
    installs the first passing picture of each case; empty if there is none.
    """

    test: BoardTest
    pictures: int
    tried: tuple[TriedPicture, ...]
    command: str = ""

    def __repr__(self) -> str:
        return f"<PictureSearch {self.test.name}: {len(self.passing)} of {self.pictures} pictures pass>"

    @property
    def passing(self) -> tuple[TriedPicture, ...]:
        """Those with which a case passes."""
        return tuple(each for each in self.tried if each.passes)


def search(recipes: Sequence[Recipe], out: Path, folder: Path) -> PictureSearch:
    """Try every picture of a folder and its subfolders on each case of a test.

    `recipes`: what the user named: one test that uses pictures. `folder`: other files in it are skipped. Raises
    UsageError: not exactly one picture test, or no such folder; CheckFailed, MissingTool: the model cannot be run here.
    """
    from modelprep.formats.picture.decode import kind_of

    test = board_test(recipes[0]) if len(recipes) == 1 else None
    if test is None or not test.cases:
        raise UsageError("--find-picture needs exactly one picture test")
    if not folder.is_dir():
        raise UsageError(f"the folder '{folder}' does not exist")
    pictures = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with storage(path, doing="look for pictures"), path.open("rb") as stream:
                if kind_of(stream.read(16)):
                    pictures.append(path)
    model = out / tree_name(recipes[0]) / "models" / test.model
    if not model.is_file():
        raise CheckFailed("there is no model to try pictures on", where=str(model), hint=fetch_command(recipes[0], out))
    tried = [
        TriedPicture(case.id, case.file, path, case.got, case.passes)
        for path, cases in find_pictures(test, model, pictures)
        for case in cases
    ]
    tried.sort(key=lambda each: each.case)
    first = {each.file: each.picture for each in reversed(tried) if each.passes}
    given = {asset_of(recipes[0], f"data/{file}"): picture for file, picture in sorted(first.items())}
    given.pop("", None)
    command = fetch_command(recipes[0], out, given) if given else ""
    return PictureSearch(test, len(pictures), tuple(tried), command)
