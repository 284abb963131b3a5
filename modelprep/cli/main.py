"""``modelprep``: the process around a command, from the first signal to the exit status.

Slow imports (typer, the commands) come after signals and streams are set up.
"""

from __future__ import annotations

import gc
import os
import sys

from modelprep.cli import signals

TYPE_CHECKING = False  # `typing` is not imported before signals are set up
if TYPE_CHECKING:
    from typing import NoReturn

    from modelprep.cli.output import Output

#: Bytes of address space that a command needs in addition: libraries, and a stack for each thread.
_NEEDED = 192 << 20
#: The last message, if not even an error could be created.
_LAST_WORDS = "error: modelprep cannot continue: {} ({})\n"


def run() -> NoReturn:
    """Run the command line and end the process with its exit status."""
    signals.end_at_once()
    # Almost all that a command makes lives as long as it does: looking for garbage that often finds none.
    # With 10,000 and more at a time, reading a model of 1 MB can keep 100 MB of it.
    gc.set_threshold(3_000, 10, 10)
    try:
        from modelprep.cli import streams

        standard = streams.guard()
        signals.interrupt()
        status = invoke(sys.argv[1:])
        signals.keep_status(status)
        status = standard.close(status)
    except KeyboardInterrupt as caught:  # while an error was being printed
        signals.end(caught.args[0] if caught.args else 2)
    except Exception as caught:  # noqa: BLE001 - memory so short that no error could be shown, or missing parts
        short = isinstance(caught, MemoryError) or "map segment" in str(caught)  # wording of the dynamic linker
        text = _LAST_WORDS.format(
            "there is not enough memory" if short else ascii(str(caught))[1:-1], type(caught).__name__
        )
        try:
            os.write(2, text.encode("utf-8", "backslashreplace"))
        finally:
            os._exit(7 if isinstance(caught, ModuleNotFoundError) else 6)
    threads = sys.modules.get("threading")
    if status <= 128 and threads is not None and threads.active_count() > 1:
        sys.exit(status)  # which waits for them
    # CPython ends by SIGINT, whatever the status, if Ctrl-C came while an import executed a string
    # (:mod:`modelprep.api.interrupts`); and taking every object apart takes longer than many a command.
    import atexit

    atexit._run_exitfuncs()  # noqa: SLF001 - there is no other way to run them and to choose the status
    os._exit(status)


def invoke(arguments: list[str]) -> int:
    """Run one command line.

    `arguments`: the words after ``modelprep``. Returns the exit status, as documented in ``docs/commands.md``.
    """
    from modelprep.cli import plain

    try:
        _ensure_memory()
        status = plain.run(arguments)
        if status is None:
            from modelprep.cli import commands

            status = commands.run(arguments)
    except (KeyboardInterrupt, Exception) as caught:  # noqa: BLE001 - the last frame: nothing may end in a traceback
        from modelprep.api.frame import as_error

        error = as_error(caught)
    else:
        return status
    _sink(arguments).error(error)
    return error.exit_code


def _ensure_memory() -> None:
    """Raise NotEnoughMemory before any work begins if the limit on address space (``ulimit -v``) is too low.

    If memory runs out during an import, Python may raise misleading errors or hang; that cannot be handled later.
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
    if limit - used < _NEEDED:
        from modelprep.errors import NotEnoughMemory

        raise NotEnoughMemory(
            "not enough memory: the limit on address space is too low",
            expected=f"{(used + _NEEDED) >> 20} MiB or more",
            got=f"{limit >> 20} MiB",
            hint="raise the limit: ulimit -v unlimited",
        )


def _sink(arguments: list[str]) -> Output:
    """Return a sink for an error before the command has opened its own."""
    from modelprep.cli.output import Output

    return Output("json" if "--json" in arguments else "human")


if __name__ == "__main__":
    run()
