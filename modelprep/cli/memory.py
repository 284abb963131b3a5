"""A limit on address space (``ulimit -v``) that is too low is told before any work begins.

Where memory ends in the middle of an import, Python itself may raise errors without a reason or never come back; no
code of ours can fix that afterwards.
"""

from __future__ import annotations

#: Bytes of address space that a command needs beside what the process has: libraries, and a stack for each thread.
NEEDED = 192 << 20


def ensure() -> None:
    """See that the limit on address space leaves room for a command.

    Raises
    ------
    NotEnoughMemory
        It does not.
    """
    try:
        import resource
    except ImportError:  # no such limits on this system
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - `--version` shall not wait for `pathlib`
            used = int(file.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        return
    if limit - used < NEEDED:
        from modelprep.errors import NotEnoughMemory

        raise NotEnoughMemory(
            "not enough memory: the limit on address space is too low",
            expected=f"{(used + NEEDED) >> 20} MiB or more",
            got=f"{limit >> 20} MiB",
            hint="raise the limit: ulimit -v unlimited",
        )
