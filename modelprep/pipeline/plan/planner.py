"""Plan: which assets to download, which steps to run, what is up to date.

Uses no network and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from modelprep.errors import ModelprepError, NeedsBringing, RecipeError, StepError, UsageError, nearest
from modelprep.fetch import Fetcher
from modelprep.pipeline.plan.binding import Bound, bind
from modelprep.pipeline.plan.keys import asset_identity, demo_key, planned_files, step_identity, used_assets
from modelprep.pipeline.plan.request import Plan, PlannedAsset, PlannedDemo, PlannedStep, Request, State
from modelprep.pipeline.plan.validate import check_steps
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.commands import fetch_command
from modelprep.recipe.lockfile import Pin, read_lock
from modelprep.recipe.schema import Asset, Recipe, Ref, Source
from modelprep.steps._extras import require
from modelprep.store import Result, Store, result_key
from modelprep.store.disk import named_by
from modelprep.structs import dataclass, field, replace
from modelprep.tree.manifest import Manifest, read_manifest
from modelprep.tree.places import tree_name


def plan(request: Request, catalogue: Catalogue, store: Store | None = None) -> Plan:
    """Plan a request; a demo that cannot be prepared has a problem, the others are planned: :func:`modelprep.plan`."""
    return plan_recipes(request, _recipes(request, catalogue), store, catalogue.shared)


def plan_recipes(
    request: Request,
    recipes: Sequence[Recipe],
    store: Store | None = None,
    shared: Mapping[str, Asset] = MappingProxyType({}),
) -> Plan:
    """Plan a request for recipes that have been looked up already; `shared` helps to recognize a wrong file."""
    pins = read_lock(request.lock_path)
    planner = _Planner(request, store or Store.open(request.cache), pins, _chosen(request, recipes, pins))
    demos = tuple(planner.demo(recipe) for recipe in recipes)
    return planner.finish(demos, shared)


def _recipes(request: Request, catalogue: Catalogue) -> list[Recipe]:
    if not (request.bsp or request.soc or request.armnn or any("@" in target for target in request.targets)):
        return catalogue.resolve(request.targets)
    from modelprep.pipeline.plan.board import select

    board = {name: getattr(request, name) for name in ("bsp", "soc", "armnn", "image_files")}
    return select(catalogue, request.targets, **board)


def meanings(recipes: Iterable[Recipe], pins: Mapping[str, Pin]) -> dict[str, dict[tuple[str, str], str]]:
    """Return the names of assets for ``--set``: name -> (recipe, asset) -> identity; ambiguous with several."""
    found: dict[str, dict[tuple[str, str], str]] = {}
    for recipe in recipes:
        for asset in recipe.assets.values():
            identity = asset_identity(asset, pins)
            for name in {asset.id, asset.key, f"{recipe.name}:{asset.id}"}:
                found.setdefault(name, {})[recipe.name, asset.id] = identity
    return found


def _chosen(request: Request, recipes: Sequence[Recipe], pins: Mapping[str, Pin]) -> dict[tuple[str, str], Path]:
    """Turn ``--set`` into (recipe, asset) -> file.

    A name may be an asset's id, its shared name, or ``recipe:id`` if an id alone is ambiguous.
    """
    chosen: dict[tuple[str, str], Path] = {}
    known_as = meanings(recipes, pins) if request.overrides else {}
    for name, path in request.overrides.items():
        if name not in known_as:
            known = sorted(known for known in known_as if ":" not in known)
            raise UsageError(
                f"no requested recipe has an asset called '{name}'",
                hint=nearest(name, known) or (f"assets: {', '.join(known)}" if known else None),
            )
        if not path.is_file():
            raise UsageError(f"the file for '{name}' does not exist", where=str(path))
        if len(set(known_as[name].values())) > 1:
            places = sorted(f"{recipe}:{asset}" for recipe, asset in known_as[name])
            raise UsageError(
                f"'{name}' means different assets in different recipes",
                expected=f"--set with one of {', '.join(places)}",
            )
        chosen.update(dict.fromkeys(known_as[name], path))
    return chosen


@dataclass
class _Planner:
    """Plans demos one after the other, sharing assets and steps."""

    request: Request
    store: Store
    pins: Mapping[str, Pin]
    chosen: Mapping[tuple[str, str], Path]
    assets: dict[str, PlannedAsset] = field(default_factory=dict)
    steps: dict[str, PlannedStep] = field(default_factory=dict)
    manifests: dict[Path, Manifest] = field(default_factory=dict)
    whole: dict[Path, bool] = field(default_factory=dict)
    claims: dict[str, tuple[str, tuple[str, str]]] = field(default_factory=dict)
    loose: dict[str, tuple[str, tuple[Source, ...]]] = field(default_factory=dict)

    def demo(self, recipe: Recipe) -> PlannedDemo:
        """Plan one demo; a problem is recorded, not raised."""
        folder = self.request.out / tree_name(recipe)
        blank = PlannedDemo(recipe, folder, key="", state="missing")
        try:
            return self._demo(blank)
        except NeedsBringing as problem:
            return replace(blank, state="bring", problem=problem)
        except ModelprepError as problem:
            return replace(blank, problem=problem)

    def __post_init__(self) -> None:
        named_by(self.request.out, "--out DIR")
        self.fetcher = Fetcher(self.store, self.request.policy, lock=self.pins)

    def finish(self, demos: tuple[PlannedDemo, ...], shared: Mapping[str, Asset]) -> Plan:
        """Let the fetcher plan the needed assets."""
        needed = frozenset().union(*(demo.needs for demo in demos))
        places: dict[str, list[str]] = {}
        for demo in demos:
            for path, (identity, inner) in demo.files.items():
                if not inner:
                    places.setdefault(identity, []).append(path)
        resumes = self.store.has_partials()
        for identity in sorted(needed & self.assets.keys()):
            asset = self.assets[identity]
            if asset.override is None:
                fetch = self.fetcher.plan(asset.asset, tuple(places.get(identity, ())), resumes=resumes)
                self.assets[identity] = replace(asset, fetch=fetch)
        return Plan(self.request, demos, self.assets, self.steps, self.pins, self.store, shared)

    def _demo(self, blank: PlannedDemo) -> PlannedDemo:
        recipe = blank.recipe
        if recipe.absent:
            return replace(blank, state="absent")
        if not recipe.install:
            if recipe.status == "bring-your-own":
                raise _bring(recipe, ())
            return replace(blank, state="nothing", key=demo_key(recipe, {}, ()))
        if wrong := check_steps(recipe):
            raise wrong[0]
        assets = used_assets(recipe)
        empty = [a for a in assets if not a.sources and (recipe.name, a.id) not in self.chosen]
        names = {asset.id: self._asset(recipe, asset) for asset in assets}
        for use in recipe.steps:
            names[use.id] = self._step(recipe, bind(recipe, use), names)
        files = planned_files(recipe, names, assets, self.steps, lambda: self._manifest(blank.folder))
        key = demo_key(recipe, files, assets)
        if empty:
            raise _bring(recipe, empty)
        found = replace(blank, key=key, files=files, names=names)
        self._claim(found)
        state = self._state(found)
        if state == "present":
            return replace(found, state=state)
        needs: set[str] = set()
        for identity, _ in files.values():
            self._need(identity, needs)
        found = replace(found, state=state, needs=frozenset(needs))
        try:
            self._check_needs(recipe, needs)
        except ModelprepError as problem:
            return replace(found, problem=problem)
        return found

    def _asset(self, recipe: Recipe, asset: Asset) -> str:
        path = self.chosen.get((recipe.name, asset.id))
        if path is None and asset.pin == "first-use" and not asset.digests:
            self._claim_pin(recipe, asset)
        sha256 = None if path is None else self.store.digest_of(path)[0]
        identity = asset_identity(asset, self.pins, sha256)
        known = self.assets.get(identity)
        if known is None:
            if sha256 is None:
                sha256 = self._known_sha256(asset)
            doubt = self._doubt(recipe, asset, path, sha256) if path is not None and sha256 is not None else ""
            self.assets[identity] = PlannedAsset(identity, asset, sha256, path, doubt)
        elif known.override is None:
            more = tuple(source for source in asset.sources if source not in known.asset.sources)
            merged = replace(known.asset, sources=known.asset.sources + more) if more else known.asset
            also = known.also_locked
            if asset.lock_key not in (merged.lock_key, *also):
                also = (*also, asset.lock_key)
            self.assets[identity] = replace(known, asset=merged, also_locked=also)
        return identity

    def _doubt(self, recipe: Recipe, asset: Asset, path: Path, sha256: str) -> str:
        """Check a user's file like a download: say what it looks like, or refuse it without --accept-any."""
        from modelprep.pipeline.plan.overrides import doubt

        want = self.fetcher.want(asset)
        places = [place for place, ref in recipe.install.items() if ref == Ref(asset.id)]
        looks = "" if want.digests.get("sha256") == sha256 else doubt(path, want, places)
        if looks and not self.request.accept_any:
            raise StepError(
                f"the file given with --set for '{asset.id}' is {looks}",
                where=str(path),
                expected=str(want),
                hint="download the file itself; to use it anyway, add --accept-any",
            )
        return looks

    def _claim_pin(self, recipe: Recipe, asset: Asset) -> None:
        """Refuse a second asset with the same name in the lock file."""
        other, sources = self.loose.setdefault(asset.lock_key, (recipe.name, asset.sources))
        if sources != asset.sources:
            raise RecipeError(
                f"two assets without a published digest are called '{asset.lock_key}' in the lock file",
                where=str(recipe.path),
                got=f"also in {other}, from another source",
                hint="rename one of them",
            )

    def _known_sha256(self, asset: Asset) -> str | None:
        if "sha256" in asset.digests.values:
            return asset.digests.values["sha256"]
        for algorithm, value in asset.digests.values.items():
            if (sha256 := self.store.alias(algorithm, value)) is not None:
                return sha256
        if asset.digests:
            return None
        if asset.pin == "first-use" and asset.lock_key in self.pins:
            return self.pins[asset.lock_key].sha256
        here = self.fetcher.plan(asset).here
        return here.sha256 if here is not None else None

    def _step(self, recipe: Recipe, bound: Bound, names: Mapping[str, str]) -> str:
        inputs = {slot: (names[ref.name], ref.inner) for slot, ref in bound.files.items()}
        identity = step_identity(bound, inputs)
        if identity not in self.steps:
            label = f"{recipe.name.rpartition('/')[2]}: {bound.step.name}"
            planned = PlannedStep(identity, f"step:{recipe.name}#{bound.use.id}", label, bound, inputs)
            digests = self._input_digests(planned)
            if digests is not None:
                key = result_key(bound.step.name, bound.step.version, bound.plain, digests)
                planned = replace(planned, key=key, result=self.store.result(key))
            self.steps[identity] = planned
        return identity

    def _input_digests(self, step: PlannedStep) -> dict[str, str] | None:
        """Return slot -> sha256 for a step's key, or None while an input is unknown."""
        digests = {slot: self._sha256_of(source) for slot, source in step.inputs.items()}
        known = {slot: sha256 for slot, sha256 in digests.items() if sha256 is not None}
        return known if len(known) == len(digests) else None

    def _need(self, identity: str, needs: set[str]) -> None:
        step = self.steps.get(identity)
        if step is not None and step.result is not None:
            return
        needs.add(identity)
        if step is not None:
            for below, _ in step.inputs.values():
                self._need(below, needs)

    def _check_needs(self, recipe: Recipe, needs: Iterable[str]) -> None:
        wanted = [self.steps[identity].bound for identity in needs if identity in self.steps]
        required = {extra for bound in wanted for extra in bound.step.extras(bound.plain)}
        require(sorted(required), recipe.demo)
        if not self.request.locked:
            return
        for identity in sorted(needs):
            planned = self.assets.get(identity)
            if planned is None or planned.override is not None or planned.asset.digests:
                continue
            if planned.asset.pin == "first-use" and planned.asset.lock_key not in self.pins:
                raise UsageError(
                    f"'{planned.asset.lock_key}' has no pin yet, and --locked refuses to add one",
                    where=str(self.request.lock_path),
                    hint="fetch once without --locked and commit the lock file",
                )

    def _claim(self, demo: PlannedDemo) -> None:
        """Refuse a demo that installs other bytes at a path of another demo of the request."""
        for path, source in demo.files.items():
            target = f"{demo.folder}/{path}"
            other, claimed = self.claims.setdefault(target, (demo.recipe.name, source))
            mine, theirs = self._sha256_of(source), self._sha256_of(claimed)
            if source == claimed or mine is None or theirs is None or mine == theirs:
                continue
            raise two_in_one_place(other, path, target, theirs, mine)

    def _sha256_of(self, source: tuple[str, str]) -> str | None:
        identity, inner = source
        if identity in self.assets:
            return self.assets[identity].sha256
        result = self.steps[identity].result
        return None if result is None else result.outputs.get(inner)

    def _manifest(self, folder: Path) -> Manifest:
        if folder not in self.manifests:
            self.manifests[folder] = read_manifest(folder)
        return self.manifests[folder]

    def _state(self, demo: PlannedDemo) -> State:
        manifest = self._manifest(demo.folder)
        entry = manifest.demos.get(demo.recipe.name)
        if entry is None:
            return "missing"
        from modelprep.tree.state import files_in_place, lists_in_place

        if demo.folder not in self.whole:
            self.whole[demo.folder] = lists_in_place(demo.folder, manifest)
        if entry.key != demo.key or not self.whole[demo.folder]:
            return "stale"
        return "present" if files_in_place(demo.folder, manifest, demo.recipe.name, self.store) else "stale"


def two_in_one_place(other: str, path: str, target: str, theirs: str, mine: str) -> UsageError:
    """Return the error of two demos with different bytes (sha256) at one path."""
    return UsageError(
        f"{other} installs other bytes at '{path}'",
        where=target,
        expected=f"sha256 {theirs}",
        got=f"sha256 {mine}",
        hint="prepare one of the two in another folder with --out",
    )


def output_of(step: PlannedStep, result: Result, inner: str) -> str:
    """Return the sha256 of one file that a step made; raise `RecipeError` if it made no such file."""
    if inner in result.outputs:
        return result.outputs[inner]
    made = sorted(result.outputs)
    raise RecipeError(
        f"the step '{step.bound.use.id}' made no file '{inner}'",
        where=step.bound.use.place or step.task,
        expected=f"one of {', '.join(made)}",
        hint=nearest(inner, made) or None,
    )


def _bring(recipe: Recipe, empty: Sequence[Asset]) -> NeedsBringing:
    lines = [f"{asset.id}: {asset.summary or asset.filename or 'a file from you'}" for asset in empty]
    return NeedsBringing(
        f"{recipe.demo} needs files that have no public source",
        where=recipe.name,
        expected="; ".join(lines) or None,
        got=recipe.why or None,
        hint=fetch_command(recipe) if empty else None,
    )
