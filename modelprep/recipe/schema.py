"""The structs that a recipe becomes once it has been read and checked.

Nothing here reads files or knows YAML; :mod:`modelprep.recipe.loader` fills these structs and
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
#: Strongest first: the first one an asset has is the one that decides; all that it has are checked.
ALGORITHMS: tuple[Algorithm, ...] = ("sha256", "sha384", "sha512", "git", "sha1", "md5")
#: Length of each digest in hexadecimal digits. ``git`` is git's blob id: sha1 of ``blob <size>\\0`` and the bytes.
HEX_LENGTH: Mapping[str, int] = {"sha256": 64, "sha384": 96, "sha512": 128, "git": 40, "sha1": 40, "md5": 32}

Status = Literal["ready", "bring-your-own", "needs-nothing"]
PROCESSORS = ("npu", "gpu", "cpu")
STATUSES: tuple[Status, ...] = ("ready", "bring-your-own", "needs-nothing")


@dataclass(frozen=True)
class Digests:
    """The digests that something must have, lower-case hexadecimal; an empty mapping pins nothing."""

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
    """One place an asset can be had from.

    Parameters
    ----------
    url
        http, https or file URL, or a share link that :mod:`modelprep.fetch.sources` knows how to resolve.
    member
        When set, the URL is an archive (tar, tar.gz, zip, ...) and the asset is this one file inside it.
    digests, size
        Of what lies at the URL when that is an archive (`member` set) or *other* bytes than the asset's own; empty
        otherwise, as the asset's own digests then say it. `size` in bytes.
    note
        Shown by ``show`` and ``audit``.
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
    """Another file that servers are known to give under an asset's name; never taken, only named when it comes.

    Parameters
    ----------
    what
        Which it is, in a few words.
    digests, size
        Of its bytes.
    """

    what: str
    digests: Digests
    size: int | None = None


@dataclass(frozen=True)
class Licence:
    """What is known of an asset's licence: an SPDX id or a phrase, and where that is said."""

    name: str
    source: str = ""


@dataclass(frozen=True)
class Asset:
    """One file that comes from outside.

    Parameters
    ----------
    id
        Name within its recipe, or of its file in ``recipes/assets``; what ``--set NAME=PATH`` names.
    sources
        Tried in order.
    digests, size
        Of the wanted file itself; `size` in bytes, None where no source states it.
    members
        Digests of files inside, by path, for an archive of which only members are published.
    pinned_by
        Where the digest is published.
    pin
        ``first-use``: no digest is published, the first fetch records one in ``modelprep.lock``.
    provide
        True for a slot that the user fills; with sources, these are its default.
    restricted
        True where the rights do not allow passing the file on: never in a mirror or bundle unless asked for.
    filename
        The file's own name (used in messages and for mirrors of slots).
    other_versions
        Other files that are known to come under this one's name or URL.
    shared
        Id of the shared asset when it came in through ``use:``, else an empty string.
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
        """Name under which events and reports know this asset, the same in every recipe that shares it."""
        return self.shared or self.id

    @property
    def lock_key(self) -> str:
        """Name under which ``modelprep.lock`` keeps its pin: of a recipe's own asset ``group/name#id``.

        Two recipes may well call different files ``model``. Of a file of which only a weak digest is published, that.
        """
        if (digest := self.digests.weak()) is not None:
            return ":".join(digest)
        return self.shared or (f"{self.recipe}#{self.id}" if self.recipe else self.id)


@dataclass(frozen=True)
class Ref:
    """``$name`` or ``$name/inner/path``: an asset, or what a step made (or one file of the folder it made)."""

    name: str
    inner: str = ""

    def __str__(self) -> str:
        return f"${self.name}/{self.inner}" if self.inner else f"${self.name}"


#: A step parameter: YAML scalars, lists and mappings, in which any string that starts with ``$`` has become a Ref.
Value = Union[None, bool, int, float, str, Ref, tuple["Value", ...], Mapping[str, "Value"]]  # noqa: UP007


@dataclass(frozen=True)
class Tolerance:
    """How far a step's result may be from what it was made from, and where that number comes from.

    Parameters
    ----------
    relative
        Largest difference allowed, as a share of the output's largest value.
    origin
        Who measured it, on what.
    """

    relative: float
    origin: str


@dataclass(frozen=True)
class StepUse:
    """One step of a recipe: which step (`uses`), called what (`id`), with which parameters.

    `tolerance` is what its proof is held to instead of the step's own; it takes no part in what the step makes.
    `places` says where it stands, for messages: ``""``, ``uses`` and ``with.<parameter>`` -> ``file:line:column``. It
    takes no part in comparisons.
    """

    id: str
    uses: str
    params: Mapping[str, Value] = field(default_factory=dict)
    tolerance: Tolerance | None = None
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def place(self) -> str:
        """Where it begins: ``file:line:column``."""
        return self.places.get("", "")


@dataclass(frozen=True)
class Recipe:
    """What one demo needs.

    Parameters
    ----------
    name
        ``group/stem``, from the file's place: ``armnn-caffe/vgg``.
    demo
        The demo's own name: ``CaffeVGG-Armnn``.
    tree, board
        Folder below ``--out``; folder on the board (empty: the login's home).
    install
        Destination inside the tree (posix, relative) -> what goes there. One that ends in ``/`` is a folder that takes
        the files of a step's folder (``$step``, ``$step/sub``, ``$step/sub/*.pb``): :mod:`modelprep.recipe.spread`.
    run
        The command for the board, run inside `tree`; None where there is none.
    interactive
        The command needs a display, a camera or a network: ``run-tests.sh`` does not start it.
    runs_on
        Processor of the board that computes the model: ``npu``, ``gpu`` or ``cpu``; empty where nothing says it.
    expect
        What ``check`` compares with: see :mod:`modelprep.recipe.expectations`.
    manual_errors
        What the manual says wrongly about this demo, or leaves out.
    prints
        What the board prints when all is well, as the manual shows it or the program's source says it.
    variant
        Name of the variant that was applied (``fetch group/stem@variant``), else an empty string.
    variants
        Names of the variants there are, with a summary each.
    matrix
        Of the variants made by ``for:``: variant -> name -> value (``imx93`` -> ``soc`` -> ``imx93``).
    shadows
        Path of the shipped recipe that this one replaces, if it does.
    given
        Path of a recipe that lies in no folder of recipes: a command names it so. No key of a recipe.
    bsp, soc
        Release and SoC of the board asked for; empty for the manual's. No keys of a recipe.
    absent
        Why the board asked for does not have this demo (``not in 21.08``); empty where it does. No key of a recipe.
    programs
        Folder of the test programs on the board asked for, where it is not on PATH there. No key of a recipe.
    places
        Entry of ``install`` -> where it stands (``file:line:column``), for messages. No key of a recipe.
    on_image
        Destination -> path on the board of files that the board's image already holds. No key of a recipe.
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
        """The folder the recipe lies in."""
        return self.name.rpartition("/")[0]
