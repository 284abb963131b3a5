"""What other programs did under the same faults, when they were really run on one machine in 2026.

omz_downloader 7ef5b91, pooch 1.9.0, huggingface_hub 2.4.0, onnx.hub of onnx 1.17.0, BitBake fetch2 c251833, pip 26.3,
DVC 3.67.1, aria2c 1.36.0, wget 1.21.3 (-c), curl 7.88.1 (-C -). ``ok``: a correct file and an honest status. ``BAD``:
wrong bytes kept with status 0, something good destroyed, or stuck for ever.
"""

from __future__ import annotations

NAMES = ("pip", "pooch", "HF", "OMZ", "onnx.hub", "BitBake", "DVC", "aria2c", "wget -c", "curl -C -")

#: Fault -> what each of them did.
TABLE: dict[str, tuple[str, ...]] = {
    "cut at 50 %, the server can Range": (
        "ok", "ok, from 0", "ok", "ok", "fails, partial at the final name", "ok", "fails", "ok", "ok", "2nd run"),
    "cut again and again, then healed, new process": (
        "from 0", "from 0", "from 0", "from 0", "BAD", "ok", "fails", "ok", "ok", "ok"),
    "object replaced between cut and resume, Range honoured blindly": (
        "ok", "ok", "BAD", "ok", "truncated", "BAD", "ok", "unpinned BAD", "BAD", "BAD"),
    "wrong checksum": (
        "ok", "asks N+1 times", "no pins", "deletes the target", "stays in cache", "keeps .tmp", "-",
        "bad file at final name", "-", "-"),
    "good old file, new pin, its URL is 404": (
        "-", "ok", "ok", "BAD", "ok", "set aside", "ok", "ok", "ok", "ok"),
    "200 with a login page, a good mirror listed": (
        "-", "no mirrors", "-", "no mirrors", "-", "BAD", "no mirrors", "BAD", "-", "-"),
    "web page, unpinned": (
        "-", "taken", "-", "refused", "taken", "taken", "taken", "taken", "taken", "taken"),
    "404, then a mirror": ("-", "none", "-", "none", "-", "ok", "-", "ok", "-", "-"),
    "404 alone": ("1 request", "retries", "1", "retries, 10 s each", "1", "1", "1", "1", "1", "1"),
    "503 twice": ("ok", "ok", "gives up", "ok", "gives up", "gives up", "ok, hammers", "ok", "gives up", "ok"),
    "503 and 429 with Retry-After: 2": (
        "ok", "ignored", "429 only", "ignored", "gives up", "gives up", "gives up", "gives up", "gives up", "ok"),
    "stall, the socket stays open": (
        "15 s", "30 s, from 0", "10 s", "> 75 s", "no time limit", "> 75 s", "-", "20 s", "> 75 s", "for ever"),
    "8 processes, one target, cold": (
        "-", "8 GETs", "1 GET", "2 of 8 fail", "5 of 8 fail", "1 GET", "16 GETs", "37 requests", "BAD", "8 GETs"),
    "Ctrl-C at 40 %": (
        "-", "traceback", "traceback", "partial at final name", "partial at final name", "traceback, resumes",
        "252, clean", "-", "resumes", "resumes"),
    "kill -9 at 40 %": (
        "-", "orphan for ever", "orphan for ever", "partial at final name", "partial at final name", "resumes",
        "orphan", "-", "resumes", "resumes"),
    "disk full": (
        "-", "traceback", "traceback", "traceback, partial", "traceback, partial", "fills the disk", "clean",
        "fails fast", "partial", "partial"),
    "bit flip in a stored file, same size and time": (
        "-", "refetched", "not seen", "refetched", "seen, never heals", "not seen", "not seen", "refetched", "no",
        "no"),
    "second run of a finished file": (
        "-", "0 requests", "1 HEAD", "downloads again", "0", "0", "error", "1 GET", "416", "exit 22"),
    "gzip Content-Encoding nobody asked for": (
        "-", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok", "ok"),
}  # fmt: skip
