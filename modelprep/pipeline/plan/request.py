"""Requests and plans: the structs between the command line, planning and running."""

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
from modelprep.recipe.lockfile import Pin, lock_path
from modelprep.recipe.schema import Asset, Recipe
from modelprep.store import Result, Store
from modelprep.structs import dataclass, field, replace

#: Maximum number of parallel downloads: more would only burden servers.
MOST_JOBS = 64

State = Literal["present", "stale", "missing", "bring", "nothing", "absent"]


@dataclass(frozen=True)
class Request:
    """The user's request: the options of ``fetch`` (``docs/reference/options.md``).

    Parameters
    ----------
    archives, allow_private
        Permitted sources: see :class:`modelprep.fetch.Policy`.
    jobs
        Parallel downloads; None for a few per host (:class:`modelprep.fetch.Policy`).
    overrides
        ``--set``: asset name -> the user's file.
    lockfile
        The lock file; None for ``modelprep.lock`` in `out`.
    typed
        The command line of the request, if any: hints repeat it with missing options.
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
            raise UsageError("jobs is out of range", expected=f"1 to {MOST_JOBS}", got=str(self.jobs))
        if self.remote_cache_mode not in ("read", "write"):
            raise UsageError("unknown mode of a remote cache", expected="read or write", got=self.remote_cache_mode)
        if unknown := set(self.deny_licence_class) - set(CLASSES):
            raise UsageError("unknown licence class", expected=", ".join(CLASSES), got=", ".join(sorted(unknown)))

    @property
    def policy(self) -> Policy:
        """The fetcher's policy."""
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
        """The lock file."""
        return lock_path(self.lockfile, self.out)


@dataclass(frozen=True)
class PlannedAsset:
    """An asset that demos need; one that several recipes share is planned once.

    Parameters
    ----------
    identity
        Determines its bytes (:func:`modelprep.pipeline.plan.keys.asset_identity`).
    asset
        As declared, with the sources of all recipes that use it, in order.
    sha256
        Of its bytes, if known beforehand.
    override, doubt
        The user's own file in its place; what it looks like, if it does not match.
    also_locked
        Further names of the same file in the lock file.
    fetch
        The plan of fetching it; None for an override and if no demo needs it.
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
    """A step that demos need; equal steps with equal inputs are planned once.

    Parameters
    ----------
    identity
        Digest of the step, its version, its parameters and the identities of its inputs.
    task
        Name in events: ``step:<recipe>#<id>``.
    label
        Text beside the progress bar.
    bound
        Its checked parameters.
    inputs
        Slot -> (identity of the asset or step, inner path).
    key, result
        The store's key, if all input digests are known, and the stored result.
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
        Digest over everything that determines its files (:func:`modelprep.pipeline.plan.keys.demo_key`).
    state
        ``present`` (nothing to do), ``stale`` (installed, but outdated), ``missing``, ``bring`` (slots are empty),
        ``nothing`` (needs no files), ``absent`` (the board does not have the demo).
    needs
        Identities of the assets to fetch and the steps to run for it (even if there is a problem).
    files
        Destination -> (identity, inner path).
    names
        Name of each asset and step in the recipe -> its identity.
    problem
        Why it cannot be prepared; known before anything is fetched.
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
        return f"install:{self.recipe.target}"


@dataclass(frozen=True)
class Plan:
    """The plan of a request.

    Parameters
    ----------
    demos
        In the order of the request.
    assets, steps
        By identity; those of all demos, each after its inputs.
    pins
        The lock file's pins by asset key.
    store
        The store.
    shared
        The catalogue's shared assets, to recognize a wrong file.
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
        """Return the same plan for a command line: hints repeat it with missing options."""
        return replace(self, request=replace(self.request, typed=tuple(words)))

    def want(self, asset: Asset) -> Want:
        """Return the expected file of an asset."""
        return want_of(asset, self.pins)

    def known(self) -> Iterator[Asset]:
        """Yield the assets of this plan and all shared ones; a broken shared one is left out."""
        yield from (planned.asset for planned in self.assets.values())
        with suppress(RecipeError):
            for name in self.shared:
                with suppress(RecipeError):
                    yield self.shared[name]

    @cached_property
    def wanted(self) -> frozenset[str]:
        """Identities of all assets to fetch and steps to run."""
        return frozenset().union(*(demo.needs for demo in self.demos if demo.problem is None))

    @property
    def results(self) -> Mapping[str, Result]:
        """The stored results of steps, by identity."""
        return {identity: step.result for identity, step in self.steps.items() if step.result is not None}

    @property
    def to_fetch(self) -> tuple[PlannedAsset, ...]:
        """The assets to download."""
        return tuple(
            asset
            for asset in self.assets.values()
            if asset.identity in self.wanted and asset.fetch is not None and asset.fetch.here is None
        )

    @property
    def to_run(self) -> tuple[PlannedStep, ...]:
        """The steps to run."""
        return tuple(step for step in self.steps.values() if step.identity in self.wanted)

    @property
    def bytes_to_come(self) -> int:
        """Bytes to download, as far as sizes are known; bytes of a partial download are not counted."""
        return sum(max(0, (a.fetch.bytes_to_come or 0)) for a in self.to_fetch if a.fetch is not None)

    @property
    def sizes_unknown(self) -> int:
        """Number of assets to download with unknown size."""
        return sum(1 for a in self.to_fetch if a.fetch is not None and a.fetch.bytes_to_come is None)


def bytes_of(plan: Plan, demo: PlannedDemo, *, roughly: bool = False) -> int | None:
    """Return the bytes to download for one demo alone; None if a size is unknown.

    With `roughly` the size of the file itself is used for an archive of unknown size.
    """
    total = 0
    for identity in demo.needs:
        asset = plan.assets.get(identity)
        if asset is None or asset.fetch is None or asset.fetch.here is not None:
            continue
        size = asset.fetch.bytes_to_come
        if size is None and roughly:
            size = asset.asset.size
        if size is None:
            return None
        total += size
    return total
