"""``--bsp`` and ``--soc``: recipes adapted to a board's i.MX Linux release and SoC.

A release determines the Arm NN version, the folder of each family of demos on the board, and which files the image
already contains. A demo that the release does not have is kept and marked as absent: asking for it is not an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from modelprep import steps
from modelprep.errors import MissingTool, UsageError
from modelprep.pipeline.plan.armnn_versions import for_armnn, serving
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.schema import Recipe, Ref, StepUse
from modelprep.recipe.spread import fills_folder
from modelprep.structs import dataclass, replace
from modelprep.targets import bsp as releases
from modelprep.targets.bsp import Bsp


@dataclass(frozen=True)
class Board:
    """The board that files are prepared for: its release (None: the manual's) and SoC (empty: the recipes' default).

    Without `armnn` the Arm NN version is the release's, or the recipes' own. With `image_files` also files that the
    image already contains are prepared.
    """

    bsp: Bsp | None = None
    soc: str = ""
    armnn: str | None = None
    image_files: bool = False

    @classmethod
    def choose(
        cls, bsp: str | None = None, soc: str | None = None, armnn: str | None = None, *, image_files: bool = False
    ) -> Board:
        """Return the board of the options; raise `UsageError` if one is unknown, or the release has another Arm NN."""
        release = releases.load(bsp) if bsp else None
        if release is not None and armnn is not None:
            own = release.armnn.version if release.armnn is not None else ""
            if armnn != own:
                raise UsageError(
                    f"{release.name} has {f'Arm NN {own}' if own else 'no Arm NN'}, not {armnn}",
                    expected="--bsp or --armnn, or both with the same version",
                )
        return cls(release, releases.check_soc(soc) if soc else "", armnn, image_files)

    def recipes(self, recipes: Sequence[Recipe], catalogue: Catalogue) -> list[Recipe]:
        """Return recipes in the variants of the SoC and the Arm NN version, with the release's folder on the board.

        A variant that the user chose is kept. A recipe that the release lacks has the reason in `absent` and installs
        nothing. Files on the image are in `on_image`.
        """
        if self.soc:
            recipes = [self._for_soc(recipe, catalogue) for recipe in recipes]
        if self.bsp is not None:
            recipes = [self._for_release(recipe, self.bsp, catalogue) for recipe in recipes]
        elif self.armnn is not None:
            recipes = for_armnn(recipes, self.armnn, catalogue)
        release = self.bsp.name if self.bsp is not None else releases.DEFAULT
        return [self._placed(recipe, release) for recipe in recipes]

    def _placed(self, recipe: Recipe, release: str) -> Recipe:
        """Return a recipe with its board, which names its tree; a variant may say the SoC (``@imx95-npu``)."""
        said = recipe.matrix.get(recipe.variant, {}).get("soc", "") or recipe.variant.partition("-")[0]
        own = said if said in releases.SOCS else ""
        if own and self.soc and own != self.soc:
            raise UsageError(f"{recipe.name}@{recipe.variant} is for {own}, not {self.soc}", expected="one SoC")
        soc = self.soc or own
        return replace(recipe, bsp=release, soc=soc) if soc or release != releases.DEFAULT else recipe

    def _for_soc(self, recipe: Recipe, catalogue: Catalogue) -> Recipe:
        if recipe.variant:
            return recipe
        variant = self.soc
        if recipe.matrix and "soc" in next(iter(recipe.matrix.values())):
            variant = next((name for name, values in recipe.matrix.items() if values["soc"] == self.soc), "")
            if not variant and self.soc not in recipe.variants:
                return _absent(recipe, f"not on {self.soc}")
        if (variant or self.soc) not in recipe.variants:
            return recipe
        (found,) = catalogue.resolve([f"{recipe.path}@{variant or self.soc}"])
        return found

    def _for_release(self, recipe: Recipe, release: Bsp, catalogue: Catalogue) -> Recipe:
        if recipe.expect.get("armnn"):
            armnn = release.armnn
            if armnn is None:
                return _absent(recipe, f"no Arm NN in {release.name}")
            parser = str(recipe.expect.get("parser", ""))
            if parser and armnn.parsers and parser not in armnn.parsers:
                return _absent(recipe, f"not in {armnn.version}")
            made = serving(recipe, armnn.version, catalogue)
            if made is None:
                return _absent(recipe, f"not in {armnn.version}")
            recipe = replace(made, programs=armnn.folder if armnn.folder != "/usr/bin" else "")
        elif (family := _family(recipe.board)) and family not in release.components:
            return _absent(recipe, f"not in {release.name}")
        uses = tuple(_with_facts(use, release) for use in recipe.steps)
        recipe = replace(recipe, board=release.relocate(recipe.board), steps=uses)
        return recipe if self.image_files else _without_image_files(recipe, release)


def _family(board: str) -> str:
    """Return the family of demos whose folder on the manual's board is `board`, or an empty string."""
    components = releases.load(releases.DEFAULT).components
    return next((family for family, each in components.items() if board and each.folder == board), "")


def _with_facts(use: StepUse, release: Bsp) -> StepUse:
    """Fill in the parameters that a step takes from the release, if missing in the recipe."""
    try:
        step = steps.find(use.uses)
    except MissingTool:  # a plug-in's: reported where the step is planned
        return use
    facts = {name: getattr(release, each.board) for name, each in step.params.items() if each.board}
    return replace(use, params={**{name: value for name, value in facts.items() if value}, **use.params})


def _absent(recipe: Recipe, why: str) -> Recipe:
    return replace(recipe, absent=why, install={}, assets={}, steps=())


def _without_image_files(recipe: Recipe, release: Bsp) -> Recipe:
    held: dict[str, str] = {}
    install: dict[str, Ref] = {}
    board = PurePosixPath(recipe.board or "/nowhere")
    for place, ref in recipe.install.items():
        path = (board / place).as_posix()
        if fills_folder(place):
            # The folder's other files are prepared: :func:`~modelprep.pipeline.plan.keys.files_of` leaves these out.
            inside = [each for each in release.on_image if each.startswith(f"{path}/")]
            held |= {PurePosixPath(each).relative_to(board).as_posix(): each for each in inside if "*" not in each}
            install[place] = ref
        elif any(fnmatchcase(path, each) for each in release.on_image):
            held[place] = path
        else:
            install[place] = ref
    return replace(recipe, install=install, on_image=held) if held else recipe


def select(
    catalogue: Catalogue,
    targets: Sequence[str],
    *,
    bsp: str | None = None,
    soc: str | None = None,
    armnn: str | None = None,
    image_files: bool = False,
) -> list[Recipe]:
    """Return the recipes of targets, for the board of the options: see :class:`Board`."""
    board = Board.choose(bsp, soc, armnn, image_files=image_files)
    return board.recipes(catalogue.resolve(targets), catalogue)


def told(recipes: Sequence[Recipe]) -> list[str]:
    """Return a sentence for each recipe that a board changes: missing demos, files on its image."""
    found = [f"{recipe.demo}: {recipe.absent}" for recipe in recipes if recipe.absent]
    for recipe in recipes:
        if recipe.on_image:
            files = ", ".join(recipe.on_image.values())
            found.append(f"{recipe.demo}: on the image already, not prepared again (--image-files): {files}")
    return found
