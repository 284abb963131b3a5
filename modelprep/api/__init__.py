"""The verbs of the command line as functions, one module for each kind; :mod:`modelprep` offers most of them by name.

A verb is thin: it checks the caller's options (:mod:`modelprep.api.options`), calls the packages below, and handles
errors (:mod:`modelprep.api.frame`). Whatever a command and a verb both need is in a package below both. A name is
imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelprep.api.auditing import audit as audit
    from modelprep.api.auditing import count_hosts as count_hosts
    from modelprep.api.checking import check as check
    from modelprep.api.checking import find_pictures as find_pictures
    from modelprep.api.checking import lint as lint
    from modelprep.api.converting import convert as convert
    from modelprep.api.delivering import bundle as bundle
    from modelprep.api.delivering import export_lava as export_lava
    from modelprep.api.delivering import export_yocto as export_yocto
    from modelprep.api.deploying import deploy as deploy
    from modelprep.api.deploying import deploy_many as deploy_many
    from modelprep.api.deploying import plan_deploy as plan_deploy
    from modelprep.api.deploying import read_boards as read_boards
    from modelprep.api.fetching import cache_key as cache_key
    from modelprep.api.fetching import catalogue as catalogue
    from modelprep.api.fetching import fetch as fetch
    from modelprep.api.fetching import list_demos as list_demos
    from modelprep.api.fetching import plan as plan
    from modelprep.api.fetching import run as run
    from modelprep.api.inspecting import inspect as inspect
    from modelprep.api.mirroring import mirror as mirror
    from modelprep.api.mirroring import verify_mirror as verify_mirror
    from modelprep.api.showing import show as show
    from modelprep.api.updating import update_recipes as update_recipes

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
