"""Run inside a network namespace of its own, whose loopback has public, private and link-local addresses; prints JSON.

public_network.py FOLDER: fetches several URLs and tells of each the exit status and the last line tried.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from fetching import Bench, asset
from servers.http import FaultServer

from modelprep.errors import ModelprepError
from modelprep.store import Store

PUBLIC, PRIVATE, METADATA = "8.8.8.8", "10.1.2.3", "169.254.169.254"
DATA = b"the file"


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in (PUBLIC, PRIVATE, METADATA):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    told: dict[str, list[object]] = {}
    with ExitStack() as stack:
        public, private, metadata, loopback = (
            stack.enter_context(FaultServer(host=host)) for host in (PUBLIC, PRIVATE, METADATA, "127.0.0.1")
        )
        inside = {name: each.put("/f", DATA) for name, each in (("private", private), ("loopback", loopback))}
        secret = metadata.put("/f", DATA)
        urls = {
            "public": public.put("/f", DATA),
            "private": inside["private"],
            "metadata": secret,
            "public to private": public.put("/a", location=inside["private"]),
            "public to loopback": public.put("/b", location=inside["loopback"]),
            "public to metadata": public.put("/c", location=secret),
            "private to private": private.put("/d", location=inside["loopback"]),
            "private to public to private": private.put("/e", location=public.url("/a")),
        }
        for allow in (None, True, False):
            for number, (name, url) in enumerate(urls.items()):
                bench = Bench(Store.open(Path(sys.argv[1]) / f"{number}-{allow}"))
                status, text = 0, ""
                try:
                    bench.fetch(asset(url, data=DATA), allow_private=allow)
                except ModelprepError as error:
                    status, text = error.exit_code, error.tried[-1]
                told[f"{name}, {allow}"] = [status, text]
        told["asked for metadata"] = [len(metadata.log)]
    print(json.dumps(told))


main()
