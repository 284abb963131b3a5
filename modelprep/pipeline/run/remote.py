"""The remote cache of a run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from modelprep.events import Event, Listener
from modelprep.pipeline.plan.planner import plan_recipes
from modelprep.pipeline.plan.request import Plan, Request

if TYPE_CHECKING:
    import requests

    from modelprep.store.remote import RemoteCache


def open_remote(request: Request, listen: Listener) -> RemoteCache | None:
    """Return the remote cache of a request; None without one, or offline."""
    if not request.remote_cache:
        return None
    from modelprep.store.remote import RemoteCache

    def warn(text: str) -> None:
        listen(Event("warning", text=text))

    found = RemoteCache(
        request.remote_cache,
        mode="write" if request.remote_cache_mode == "write" else "read",
        trust_results=request.trust_remote_results,
        new_session=partial(_session, request.allow_private),
        warn=warn,
    )
    return None if request.offline else found


def _session(allow_private: bool | None) -> requests.Session:
    """Make a session under the network policy; the user's cache may have a private address."""
    from modelprep.fetch.addresses import allowed_by_environment
    from modelprep.fetch.connections import FORBIDDEN
    from modelprep.fetch.sessions import new_session

    allowed = allowed_by_environment() if allow_private is None else allow_private
    return new_session(why=FORBIDDEN if allowed is False else "")


def with_remote_results(plan: Plan, remote: RemoteCache) -> Plan:
    """Fetch the step results of a trusted cache into the store and return the remaining plan.

    A result may determine the key of the next step, so this is repeated until nothing new is found.
    """
    asked: set[str] = set()
    while True:
        keys = [step.key for step in plan.to_run if step.key is not None and step.key not in asked]
        asked.update(keys)
        if not [key for key in keys if remote.result(key, plan.store) is not None]:
            return plan
        plan = plan_recipes(plan.request, [demo.recipe for demo in plan.demos], plan.store, plan.shared)
