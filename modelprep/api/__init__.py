"""The verbs of the command line as functions; :mod:`modelprep` offers them by name, ``docs/python.md`` shows them.

A verb is thin: it turns what a caller hands in into what the rooms below take, and holds the frame
(:func:`modelprep.api.arguments.framed`). What a command and a verb would both have to know lies below both.
"""

from __future__ import annotations

from modelprep.api.cache import audit, count_hosts, mirror, verify_mirror
from modelprep.api.checking import check, find_pictures, lint
from modelprep.api.converting import convert
from modelprep.api.delivering import Deployment, bundle, deploy, export_yocto, plan_deploy
from modelprep.api.fetching import cache_key, catalogue, fetch, list_demos, plan, run

__all__ = [
    "Deployment",
    "audit",
    "bundle",
    "cache_key",
    "catalogue",
    "check",
    "convert",
    "count_hosts",
    "deploy",
    "export_yocto",
    "fetch",
    "find_pictures",
    "lint",
    "list_demos",
    "mirror",
    "plan",
    "plan_deploy",
    "run",
    "verify_mirror",
]
