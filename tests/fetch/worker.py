"""One fetch in a process of its own: worker.py URL SHA256 SIZE CACHE; prints JSON, ends with the exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from modelprep.errors import ModelprepError
from modelprep.fetch import Fetcher, Policy
from modelprep.recipe.schema import Asset, Digests, Source
from modelprep.store import Store


def main() -> int:
    url, sha256, size, cache = sys.argv[1:]
    digests, length = (Digests({"sha256": sha256}), int(size)) if sha256 != "-" else (Digests(), None)
    asset = Asset("weights", (Source(url),), digests, length, filename="model.bin")
    fetcher = Fetcher(Store.open(Path(cache)), Policy(archives=False, backoff=0.01))
    try:
        fetched = fetcher.fetch(fetcher.plan(asset))
    except ModelprepError as error:
        print(json.dumps(error.to_json()), flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(json.dumps({"source": fetched.source, "bytes": fetched.bytes_fetched, "sha256": fetched.blob.sha256}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
