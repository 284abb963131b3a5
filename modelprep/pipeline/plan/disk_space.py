"""Disk space: what a plan writes to each file system, compared with the free space, before the first download."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from modelprep.errors import StorageError
from modelprep.pipeline.plan.request import Plan, PlannedAsset
from modelprep.store.disk import device_of, free_space, human, require_folder
from modelprep.structs import dataclass

#: Certain bytes, upper bound of the steps' bytes, files of unknown size.
_Load = tuple[int, int, int]


@dataclass(frozen=True)
class Room:
    """Needed space on one file system, in bytes.

    `needed` will certainly be written: downloads, and installed files among them. `at_most` also counts outputs of
    steps, by their upper bounds (:attr:`modelprep.steps.Step.room`). `unknown` files have no known size and are in
    neither number; `free` is None if unknown.
    """

    places: tuple[Path, ...]
    needed: int
    at_most: int
    free: int | None
    unknown: int

    @property
    def enough(self) -> bool:
        """Whether the certain bytes fit."""
        return self.free is None or self.needed <= self.free

    @property
    def doubt(self) -> str:
        """A warning if the file system may turn out too small, else empty."""
        if self.free is None or not self.needed <= self.free < self.at_most:
            return ""
        return (
            f"there may not be enough disk space in {', '.join(map(str, self.places))}: up to {human(self.at_most)} "
            f"may be written, {human(self.free)} are free"
        )

    def to_json(self) -> dict[str, object]:
        """Return it JSON-ready."""
        return {**vars(self), "places": [str(place) for place in self.places]}


def rooms(plan: Plan) -> tuple[Room, ...]:
    """Return the needed space on each file system for a plan; uses no network and writes nothing."""
    most = _Bounds(plan)
    loads = {plan.store.root: _store_load(plan, most), plan.request.out: _tree_load(plan, most)}
    by_device: dict[int, list[Path]] = {}
    for place in loads:
        by_device.setdefault(device_of(place), []).append(place)
    found = []
    for places in by_device.values():
        sure, made, unknown = map(sum, zip(*(loads[place] for place in places), strict=True))
        found.append(Room(tuple(places), sure, sure + made, free_space(places[0]), unknown))
    return tuple(found)


def check_room(plan: Plan) -> None:
    """Refuse a plan that does not fit, or an ``--out`` that is a file."""
    require_folder(plan.request.out, "--out")
    for room in rooms(plan):
        if room.enough or not room.needed:
            continue
        names = ("--cache DIR" if place == plan.store.root else "--out DIR" for place in room.places)
        more = f", and {room.unknown} of unknown size" if room.unknown else ""
        raise StorageError(
            "not enough disk space; nothing was fetched",
            where=", ".join(str(place) for place in room.places),
            expected=f"{human(room.needed)} free ({room.needed} bytes: downloads and installed files{more})",
            got=f"{human(room.free or 0)} free ({room.free or 0} bytes)",
            hint=f"free some space, prepare fewer demos at once, or choose another disk with {' or '.join(names)}",
        )


def _store_load(plan: Plan, most: _Bounds) -> _Load:
    sure, made, unknown = 0, 0, 0
    for asset in plan.to_fetch:
        assert asset.fetch is not None
        sources = asset.asset.sources
        # A member is unpacked beside its archive, which stays in the store.
        parts = [asset.fetch.bytes_to_come]
        if sources and all(source.member for source in sources):
            parts.append(asset.asset.size)
        sure += sum(part for part in parts if part is not None)
        unknown += parts.count(None)
    for step in plan.to_run:
        size = most.of(step.identity, "")
        made += size or 0
        unknown += size is None
    return sure, made, unknown


def _tree_load(plan: Plan, most: _Bounds) -> _Load:
    """Count the new files; a replaced file frees about as much as it needs."""
    sure, made, unknown = 0, 0, 0
    seen: set[Path] = set()
    copies: Counter[tuple[str, str]] = Counter()
    for demo in plan.demos:
        if demo.problem is not None or demo.state not in ("missing", "stale") or plan.request.link:
            continue
        for path, (identity, inner) in demo.files.items():
            target = demo.folder / path
            if target in seen or target.exists():
                continue
            seen.add(target)
            size = most.of(identity, inner)
            if identity in plan.steps and plan.steps[identity].result is None and size is not None:
                copies[identity, inner] += 1
                continue
            sure += size or 0
            unknown += size is None
    # All files of a folder together are no more than the folder, however many of them are installed.
    for identity in {identity for identity, _ in copies}:
        times = max(count for (step, _), count in copies.items() if step == identity)
        made += times * (most.of(identity, "") or 0)
    return sure, made, unknown


class _Bounds:
    """Upper bounds of the sizes of a plan's assets and outputs in bytes; exact if cached or stated."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._most: dict[str, int | None] = {identity: _size(asset) for identity, asset in plan.assets.items()}
        for step in plan.steps.values():  # sorted so that each comes after its inputs
            if step.result is None:
                sizes = {slot: self.of(*source) for slot, source in step.inputs.items()}
                self._most[step.identity] = step.bound.step.room(step.bound.plain, sizes)

    def of(self, identity: str, inner: str) -> int | None:
        """Return the bytes of an asset, a step's output, or one file of it; None if unknown."""
        step = self._plan.steps.get(identity)
        if step is None or step.result is None:
            return self._most[identity]
        sha256 = step.result.outputs.get(inner)
        try:
            return None if sha256 is None else self._plan.store.blob_path(sha256).stat().st_size
        except OSError:
            return None


def _size(asset: PlannedAsset) -> int | None:
    try:
        if asset.override is not None:
            return asset.override.stat().st_size
    except OSError:
        return None
    if asset.fetch is not None and asset.fetch.here is not None:
        return asset.fetch.here.size
    return asset.asset.size
