"""Audit of targets: collect their URLs, check them, and update the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from modelprep.audit import AuditReport, History, Manners, Place, Subject, crawl, report, subjects
from modelprep.errors import RecipeError
from modelprep.pipeline.inventory import sound_recipes
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.lockfile import read_lock


def audit_subjects(
    catalogue: Catalogue, targets: Sequence[str], lock: Path
) -> tuple[tuple[Subject, ...], list[RecipeError]]:
    """Return the assets of targets with their sources, and the errors of broken recipes.

    All variants are included; without targets everything, shared assets too. Pins in `lock` count as the recipes' own.
    """
    found, broken = sound_recipes(catalogue, targets)
    everything = list(found)
    for recipe in found:
        if not recipe.variant and recipe.name in catalogue.names() and catalogue.path(recipe.name) == recipe.path:
            everything += [catalogue.recipe(recipe.name, variant) for variant in recipe.variants]
    shared = () if targets else tuple(catalogue.shared.values())
    return subjects(everything, shared, lock=read_lock(lock)), broken


def manners(jobs: int, pause: float, timeout: float) -> Manners:
    """Return the rate limits for the user's options: parallel hosts, pause, read timeout."""
    return Manners(hosts_at_once=jobs, pause=pause, connect_timeout=min(15.0, timeout), stall_timeout=timeout)


def run_audit(
    found: Sequence[Subject],
    asked: Sequence[Place],
    history: History,
    how: Manners,
    progress: Callable[[int, int], None] | None = None,
) -> AuditReport:
    """Check all places and summarize; the history learns the results unless no host was reached."""
    now = datetime.now(timezone.utc)
    findings = crawl(asked, history, how, progress)
    result = report(found, findings, history, now)
    if result.nobody_answered:
        # Without a network no source is called dead.
        unjudged = [(place, replace(each, verdict="unclear") if each.unreached else each) for place, each in findings]
        return report(found, unjudged, history, now)
    history.learn(findings, now)
    history.write()
    return result
