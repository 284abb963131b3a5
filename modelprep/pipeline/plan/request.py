"""What is asked for, and what was decided: the structs between the command line, planning and running."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Literal

from modelprep.errors import ModelprepError, RecipeError, UsageError
from modelprep.fetch import Planned, Policy
from modelprep.fetch.failures import Want, want_of
from modelprep.pipeline.plan.binding import Bound
from modelprep.recipe.licences import CLASSES
from modelprep.recipe.lockfile import Pin
from modelprep.recipe.schema import Asset, Recipe
from modelprep.store import Result, Store
from modelprep.structs import dataclass, field, replace

#: Downloads at once, at most: more would only annoy servers.
MOST_JOBS = 64

State = Literal["present", "stale", "missing", "bring", "nothing", "absent"]


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Parameters
    ----------
    targets
        Groups, recipes, demos' own names, paths of recipe files, ``all``.
    out
        Folder that holds the finished trees.
    cache
        The store; None for the default place.
    mirrors, offline, archives, allow_private
        Where may be fetched from: see :class:`modelprep.fetch.Policy`.
    jobs
        Downloads at once; None for a few from each host (:class:`modelprep.fetch.Policy`).
    overrides
        ``--set``: asset name -> file of the user's.
    accept_any
        ``--accept-any``: take such a file even where it looks like a web page, a pointer or nothing at all.
    link
        Hard links into the store instead of copies.
    locked
        Refuse to add pins of first use.
    lockfile
        The lock file; None for ``modelprep.lock`` in `out`.
    armnn
        Arm NN version to prepare for, where a recipe knows it as a variant.
    bsp, soc
        i.MX Linux release and SoC of the board; None for the manual's.
    image_files
        Also prepare files that the board's image already holds.
    remote_cache, remote_cache_mode, trust_remote_results
        A cache shared with other machines: see :class:`modelprep.store.remote.RemoteCache`.
    verify
        Compare the numbers of conversions with those of their originals before a tree is written.
    deny_licence_class
        Classes of :mod:`modelprep.recipe.licences`; a demo with a file of one is refused.
    typed
        The command line that asks for this, if one does: errors repeat it with what is missing.
    """

    targets: tuple[str, ...]
    out: Path = Path("out")
    cache: Path | None = None
    mirrors: tuple[str, ...] = ()
    offline: bool = False
    archives: bool = True
    allow_private: bool | None = None
    jobs: int | None = None
    overrides: Mapping[str, Path] = field(default_factory=dict)
    accept_any: bool = False
    link: bool = False
    locked: bool = False
    lockfile: Path | None = None
    armnn: str | None = None
    bsp: str | None = None
    soc: str | None = None
    image_files: bool = False
    remote_cache: str | None = None
    remote_cache_mode: str = "read"
    trust_remote_results: bool = False
    verify: bool = False
    deny_licence_class: tuple[str, ...] = ()
    typed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.jobs is not None and not 1 <= self.jobs <= MOST_JOBS:
            raise UsageError("jobs cannot be that many", expected=f"1 to {MOST_JOBS}", got=str(self.jobs))
        if self.remote_cache_mode not in ("read", "write"):
            raise UsageError("unknown mode of a remote cache", expected="read or write", got=self.remote_cache_mode)
        if unknown := set(self.deny_licence_class) - set(CLASSES):
            raise UsageError("unknown licence class", expected=", ".join(CLASSES), got=", ".join(sorted(unknown)))

    @property
    def policy(self) -> Policy:
        """What the fetcher may do."""
        found = Policy(
            mirrors=self.mirrors, offline=self.offline, archives=self.archives, allow_private=self.allow_private
        )
        return found if self.jobs is None else replace(found, per_host=self.jobs, connections=self.jobs)

    @property
    def words(self) -> tuple[str, ...]:
        """The command that makes this request, for hints."""
        return self.typed or ("modelprep", "fetch", *self.targets)

    @property
    def lock_path(self) -> Path:
        """Where the pins of first use are kept."""
        return self.lockfile or self.out / "modelprep.lock"


@dataclass(frozen=True)
class PlannedAsset:
    """An asset that some demos need; one that several recipes name is planned once.

    Parameters
    ----------
    identity
        What its bytes are decided by (:func:`modelprep.pipeline.plan.keys.asset_identity`).
    asset
        As declared; sources of all recipes that name it, in order.
    sha256
        Of its bytes, where that is known beforehand.
    override, doubt
        The user's own file that takes its place; what it looks like, where that is no file of this kind.
    also_locked
        Names that other recipes' own declarations of the same file have in the lock file.
    fetch
        What fetching it means; None for an override and for what no demo needs fetched.
    """

    identity: str
    asset: Asset
    sha256: str | None
    override: Path | None = None
    doubt: str = ""
    fetch: Planned | None = None
    also_locked: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedStep:
    """A step that some demos need; equal steps on equal inputs are planned once.

    Parameters
    ----------
    identity
        Digest of the step, its version, its parameters and the identities of its inputs.
    task
        Name in events: ``step:<recipe>#<id>``.
    label
        What a person sees beside the bar.
    bound
        Its checked parameters.
    inputs
        Slot -> (identity of the asset or step, inner path).
    key, result
        The store's key, where all input digests are known, and what it holds.
    """

    identity: str
    task: str
    label: str
    bound: Bound
    inputs: Mapping[str, tuple[str, str]]
    key: str | None = None
    result: Result | None = None


@dataclass(frozen=True)
class PlannedDemo:
    """One demo of the request.

    Parameters
    ----------
    recipe
        Its recipe, in the variant asked for.
    folder
        Its tree.
    key
        Digest over all that decides its files (:func:`modelprep.pipeline.plan.keys.demo_key`).
    state
        ``present`` (nothing to do), ``stale`` (installed, and not what the recipe gives now), ``missing``, ``bring``
        (slots are empty), ``nothing`` (needs no files), ``absent`` (the board asked for does not have the demo).
    needs
        Identities of the assets that have to be had and of the steps that have to run for it (also when a problem
        will keep them from it).
    files
        Destination -> (identity, inner path).
    names
        Name of each asset and step in the recipe -> its identity.
    problem
        Why it cannot be prepared; found before anything is fetched.
    """

    recipe: Recipe
    folder: Path
    key: str
    state: State
    needs: frozenset[str] = frozenset()
    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    problem: ModelprepError | None = None

    def __repr__(self) -> str:
        return f"<PlannedDemo {self.recipe.demo} ({self.recipe.name}): {self.state}>"

    @property
    def install_task(self) -> str:
        """Name of its installation in events."""
        variant = f"@{self.recipe.variant}" if self.recipe.variant else ""
        return f"install:{self.recipe.name}{variant}"


@dataclass(frozen=True)
class Plan:
    """What a request would do.

    Parameters
    ----------
    demos
        In the order asked for.
    assets, steps
        By identity; those of all demos, in an order in which each stands after what it needs.
    pins
        The lock file's pins by asset key.
    store
        The store it was made against.
    shared
        The catalogue's shared assets: what a file that is not the wanted one may turn out to be.
    """

    request: Request
    demos: tuple[PlannedDemo, ...]
    assets: Mapping[str, PlannedAsset]
    steps: Mapping[str, PlannedStep]
    pins: Mapping[str, Pin]
    store: Store
    shared: Mapping[str, Asset] = field(default_factory=dict)

    def __repr__(self) -> str:
        unknown = f" and {self.sizes_unknown} files of unknown size" if self.sizes_unknown else ""
        size = f"{self.bytes_to_come:,} bytes{unknown}"
        return f"<Plan: {len(self.demos)} demos, {len(self.to_fetch)} downloads ({size}), {len(self.to_run)} steps>"

    def _repr_html_(self) -> str:
        from modelprep.pages import table

        rows = [(demo.recipe.demo, demo.recipe.name, demo.state) for demo in self.demos]
        return table(["demo", "recipe", "state"], rows, repr(self).strip("<>"))

    def typed_as(self, words: Sequence[str]) -> Plan:
        """Return the same plan for a command line: errors and hints repeat it with what is missing."""
        return replace(self, request=replace(self.request, typed=tuple(words)))

    def want(self, asset: Asset) -> Want:
        """Say which file an asset is."""
        return want_of(asset, self.pins)

    def known(self) -> Iterator[Asset]:
        """Yield the assets of this plan and all shared ones; a shared one that is broken is left out."""
        yield from (planned.asset for planned in self.assets.values())
        with suppress(RecipeError):
            for name in self.shared:
                with suppress(RecipeError):
                    yield self.shared[name]

    @cached_property
    def wanted(self) -> frozenset[str]:
        """Identities of all assets to be had and steps to be run."""
        return frozenset().union(*(demo.needs for demo in self.demos if demo.problem is None))

    @property
    def to_fetch(self) -> tuple[PlannedAsset, ...]:
        """The assets that have to come from outside."""
        return tuple(
            asset
            for asset in self.assets.values()
            if asset.identity in self.wanted and asset.fetch is not None and asset.fetch.here is None
        )

    @property
    def to_run(self) -> tuple[PlannedStep, ...]:
        """The steps that have to run."""
        return tuple(step for step in self.steps.values() if step.identity in self.wanted)

    @property
    def bytes_to_come(self) -> int:
        """Bytes to download, as far as sizes are known; what lies in a partial download already is not counted."""
        return sum(max(0, (a.fetch.bytes_to_come or 0)) for a in self.to_fetch if a.fetch is not None)

    @property
    def sizes_unknown(self) -> int:
        """How many of the assets to fetch have no known size."""
        return sum(1 for a in self.to_fetch if a.fetch is not None and a.fetch.bytes_to_come is None)
