"""The structs of a recipe that has been read and checked.

This module does not read files or YAML; :mod:`modelprep.recipe.loader` fills these structs and
:mod:`modelprep.recipe.jsonschema` describes them to editors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Union

from modelprep.recipe.text import Command
from modelprep.structs import dataclass, field
from modelprep.url import Url

SCHEMA_VERSION = 1

Algorithm = Literal["sha256", "sha384", "sha512", "sha1", "md5", "git"]
#: Strongest first: an asset's first one identifies it; all are checked.
ALGORITHMS: tuple[Algorithm, ...] = ("sha256", "sha384", "sha512", "git", "sha1", "md5")
#: Length of each digest in hexadecimal digits. ``git`` is git's blob id: sha1 of ``blob <size>\\0`` and the bytes.
HEX_LENGTH: Mapping[str, int] = {"sha256": 64, "sha384": 96, "sha512": 128, "git": 40, "sha1": 40, "md5": 32}

Status = Literal["ready", "bring-your-own", "needs-nothing"]
PROCESSORS = ("npu", "gpu", "cpu")
STATUSES: tuple[Status, ...] = ("ready", "bring-your-own", "needs-nothing")


@dataclass(frozen=True)
class Digests:
    """Expected digests, lower-case hexadecimal; an empty mapping pins nothing."""

    values: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.values)

    def best(self) -> tuple[str, str] | None:
        """Return the strongest (algorithm, hex digest), or None."""
        for algorithm in ALGORITHMS:
            if algorithm in self.values:
                return algorithm, self.values[algorithm]
        return None

    def weak(self) -> tuple[str, str] | None:
        """Return the strongest (algorithm, hex digest) where none of them is of the SHA-2 family; else None."""
        best = self.best()
        return best if best is not None and not best[0].startswith(("sha256", "sha384", "sha512")) else None


@dataclass(frozen=True)
class Source:
    """One source of an asset: the keys of ``docs/reference/recipe-keys.md``.

    A `member` is taken out of the archive at the URL. `digests` and `size` (bytes) are of the file at the URL if that
    is an archive or has *other* bytes than the asset; empty otherwise, as the asset's own digests apply.
    """

    url: Url
    member: str | None = None
    digests: Digests = Digests()
    size: int | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.url, str):  # a caller of the Python interface may write a plain URL
            object.__setattr__(self, "url", Url(self.url))


@dataclass(frozen=True)
class OtherVersion:
    """Another file that servers are known to deliver under an asset's name; never accepted, only recognized."""

    what: str
    digests: Digests
    size: int | None = None


@dataclass(frozen=True)
class Licence:
    """An asset's licence: an SPDX id or a phrase, and its source."""

    name: str
    source: str = ""


@dataclass(frozen=True)
class Asset:
    """One file to download or supply: the keys of ``docs/reference/recipe-keys.md``, and its place.

    Parameters
    ----------
    id
        Name within its recipe, or of its file in ``recipes/assets``; what ``--set NAME=PATH`` names.
    sources
        Its ``urls``, tried in order.
    digests, size
        Of the file itself; `size` in bytes, None if no source states it.
    shared
        Id of the shared asset of ``use:``, else an empty string.
    recipe
        Name of the recipe that declares it; empty for a shared one.
    """

    id: str
    sources: tuple[Source, ...] = ()
    digests: Digests = Digests()
    size: int | None = None
    members: Mapping[str, Digests] = field(default_factory=dict)
    pinned_by: str = ""
    pin: Literal["published", "first-use"] = "published"
    licence: Licence | None = None
    provide: bool = False
    restricted: bool = False
    filename: str = ""
    summary: str = ""
    notes: tuple[str, ...] = ()
    other_versions: tuple[OtherVersion, ...] = ()
    shared: str = ""
    recipe: str = ""

    @property
    def key(self) -> str:
        """Name of this asset in events and reports, the same in every recipe that shares it."""
        return self.shared or self.id

    @property
    def lock_key(self) -> str:
        """Name of its pin in ``modelprep.lock``: ``group/name#id`` for a recipe's own asset.

        Two recipes may use the name ``model`` for different files. A weak published digest is the name itself.
        """
        if (digest := self.digests.weak()) is not None:
            return ":".join(digest)
        return self.shared or (f"{self.recipe}#{self.id}" if self.recipe else self.id)


@dataclass(frozen=True)
class Ref:
    """``$name`` or ``$name/inner/path``: an asset, or a step's output (or one file of its folder)."""

    name: str
    inner: str = ""

    def __str__(self) -> str:
        return f"${self.name}/{self.inner}" if self.inner else f"${self.name}"


#: A step parameter: YAML scalars, lists and mappings, in which any string that starts with ``$`` is a Ref.
Value = Union[None, bool, int, float, str, Ref, tuple["Value", ...], Mapping[str, "Value"]]  # noqa: UP007


def refs(value: object) -> list[Ref]:
    """Return every reference in a step's parameter, nested ones too."""
    if isinstance(value, Ref):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return [ref for each in inner for ref in refs(each)]


@dataclass(frozen=True)
class Tolerance:
    """The tolerance of a step's verification, relative to the output's largest value, and who measured it, on what."""

    relative: float
    origin: str


@dataclass(frozen=True)
class StepUse:
    """One step of a recipe: the step (`uses`), its id, its parameters.

    `tolerance` replaces the step's own tolerance for its verification; it does not affect the output. `places` is for
    messages: ``""``, ``uses`` and ``with.<parameter>`` -> ``file:line:column``. It is not compared.
    """

    id: str
    uses: str
    params: Mapping[str, Value] = field(default_factory=dict)
    tolerance: Tolerance | None = None
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def place(self) -> str:
        """Its place: ``file:line:column``."""
        return self.places.get("", "")


@dataclass(frozen=True)
class Recipe:
    """The recipe of one demo: the keys of ``docs/reference/recipe-keys.md``, and what is not a key of a recipe.

    Parameters
    ----------
    name
        ``group/stem``, from the file's place: ``armnn-caffe/vgg``.
    variant
        Name of the variant that was applied (``fetch group/stem@variant``), else an empty string.
    variants
        Names of the variants, with a summary each.
    matrix
        Of the variants made by ``for:``: variant -> name -> value (``imx93`` -> ``soc`` -> ``imx93``).
    shadows
        Path of the shipped recipe that this one replaces, if any.
    given
        Path of a recipe outside any folder of recipes, for commands.
    bsp, soc
        Release and SoC of the target board; empty for the manual's.
    absent
        Why the target board does not have this demo (``not in 21.08``); empty if it does.
    programs
        Folder of the test programs on the target board, if it is not on PATH there.
    places
        Entry of ``install`` -> its place (``file:line:column``), for messages.
    on_image
        Destination -> path on the board of files that the board's image already contains.
    """

    name: str
    demo: str
    path: Path
    summary: str = ""
    manual: str = ""
    status: Status = "ready"
    why: str = ""
    tree: str = ""
    board: str = ""
    assets: Mapping[str, Asset] = field(default_factory=dict)
    steps: tuple[StepUse, ...] = ()
    install: Mapping[str, Ref] = field(default_factory=dict)
    run: Command | None = None
    interactive: bool = False
    runs_on: str = ""
    expect: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    manual_errors: tuple[str, ...] = ()
    prints: tuple[str, ...] = ()
    variant: str = ""
    variants: Mapping[str, str] = field(default_factory=dict)
    matrix: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shadows: Path | None = None
    given: str = ""
    bsp: str = ""
    soc: str = ""
    absent: str = ""
    programs: str = ""
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    on_image: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The recipe's folder."""
        return self.name.rpartition("/")[0]

    @property
    def target(self) -> str:
        """The recipe's name, with ``@variant`` if one was chosen."""
        return f"{self.name}@{self.variant}" if self.variant else self.name
