"""Acquire or release a labgrid place: ``python -m modelprep.deliver.labgrid_worker acquire|release PLACE``.

A separate process, since labgrid's client needs an event loop and gRPC, which do not mix with threads that start
programs. It prints one JSON object: what ssh needs to reach the board, or an error.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

#: labgrid's own variable, and its default.
COORDINATOR = os.environ.get("LG_COORDINATOR", "127.0.0.1:20408")


async def _acquire(session: Any, name: str) -> dict[str, object]:
    from labgrid.remote.client import UserError
    from labgrid.remote.generated.labgrid_coordinator_pb2 import AcquirePlaceRequest

    place = session.get_place(name)
    if place.acquired:
        raise UserError(f"place {place.name} is acquired by {place.acquired}")
    session.check_matches(place)
    await session.stub.AcquirePlace(AcquirePlaceRequest(placename=place.name))
    try:
        await session.sync_with_coordinator()
        resources = session.get_target_resources(session.get_place(place.name))
        services = [each for (_, kind), each in resources.items() if kind == "NetworkService"]
        if len(services) != 1:
            raise UserError(f"place {place.name} has {len(services) or 'no'} NetworkService, and ssh needs one")
        arguments, extra = services[0].args, services[0].extra
        return {
            "address": arguments["address"],
            "port": arguments.get("port", 22),
            "username": arguments["username"],
            "proxy": extra.get("proxy", "") if extra.get("proxy_required") else "",
        }
    except BaseException:
        await _release(session, place.name)
        raise


async def _release(session: Any, name: str) -> dict[str, object]:
    from labgrid.remote.generated.labgrid_coordinator_pb2 import ReleasePlaceRequest

    place = session.get_place(name)
    mine = f"{session.gethostname()}/{session.getuser()}"
    await session.stub.ReleasePlace(ReleasePlaceRequest(placename=place.name, fromuser=mine))
    return {}


def main(action: str, place: str) -> int:
    """Do it and print the result; return the exit status: 0 or 1."""
    from labgrid.remote.client import start_session

    try:
        session = start_session(COORDINATOR)
        try:
            work = _acquire(session, place) if action == "acquire" else _release(session, place)
            answer = session.loop.run_until_complete(work)
        finally:
            session.loop.run_until_complete(session.stop())
            session.loop.run_until_complete(session.close())
    except Exception as error:  # noqa: BLE001 - whatever labgrid and gRPC raise is told to the parent
        details = getattr(error, "details", None)
        answer = {"error": str(details() if callable(details) else error) or type(error).__name__}
    sys.stdout.write(json.dumps(answer))
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
