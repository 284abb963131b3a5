"""Report a limit on address space (``ulimit -v``) that is too low before any work begins.

If memory runs out during an import, Python itself may raise misleading errors or hang; that cannot be handled later.
"""

from __future__ import annotations

#: Bytes of address space that a command needs in addition: libraries, and a stack for each thread.
NEEDED = 192 << 20


def ensure() -> None:
    """Check that the limit on address space is high enough for a command. Raises NotEnoughMemory: it is too low."""
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
