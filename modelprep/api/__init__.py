"""The verbs of the command line as functions, one module for each kind; :mod:`modelprep` offers most of them by name.

A verb is thin: it checks the caller's options (:mod:`modelprep.api.options`), calls the packages below, and handles
errors (:mod:`modelprep.api.frame`). Whatever a command and a verb both need is in a package below both. A name is
imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelprep.api.auditing import audit, count_hosts
    from modelprep.api.checking import check, find_pictures, lint
    from modelprep.api.converting import convert
    from modelprep.api.delivering import bundle, export_lava, export_yocto
    from modelprep.api.deploying import deploy, deploy_many, plan_deploy, read_boards
    from modelprep.api.fetching import cache_key, catalogue, fetch, list_demos, plan, run
    from modelprep.api.inspecting import inspect
    from modelprep.api.mirroring import mirror, verify_mirror
    from modelprep.api.showing import show
    from modelprep.api.updating import update_recipes

__all__ = [
    "audit", "bundle", "cache_key", "catalogue", "check", "convert", "count_hosts", "deploy", "deploy_many",
    "export_lava", "export_yocto", "fetch", "find_pictures", "inspect", "lint", "list_demos", "mirror", "plan",
    "plan_deploy", "read_boards", "run", "show", "update_recipes", "verify_mirror",
]  # fmt: skip
#: Module -> the names that are imported from it when they are first used.
HOMES = {
    "auditing": ("audit", "count_hosts"),
    "checking": ("check", "find_pictures", "lint"),
    "converting": ("convert",),
    "delivering": ("bundle", "export_lava", "export_yocto"),
    "deploying": ("deploy", "deploy_many", "plan_deploy", "read_boards"),
    "fetching": ("cache_key", "catalogue", "fetch", "list_demos", "plan", "run"),
    "inspecting": ("inspect",),
    "mirroring": ("mirror", "verify_mirror"),
    "showing": ("show",),
    "updating": ("update_recipes",),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        from importlib import import_module

        for module, names in HOMES.items():
            if name in names:
                from modelprep.api.declaring import completed

                return completed(getattr(import_module(f"{__name__}.{module}"), name))
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
