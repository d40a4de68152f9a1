"""Entry point of a warm process: `python -m mpcsfaas.runtime TOKEN PARENT_PID`, with descriptors 3, 4 and 5 inherited.

Only what old interpreters can parse stands here, so that they get a sentence instead of a syntax error.
"""

import os
import sys

EXIT_CANNOT_RUN = 3


def main() -> None:
    """Check the interpreter, become a runtime and serve."""
    if sys.version_info < (3, 9):
        _refuse("it is Python %d.%d; Python 3.9 or later is needed" % sys.version_info[:2])
    from mpcsfaas import runtime_sandbox

    sandbox = runtime_sandbox.take()
    runtime_sandbox.enter(sandbox)
    try:
        import dill  # noqa: F401
    except ImportError as error:
        _refuse("dill cannot be imported (%s); install it: %s -m pip install dill" % (error, sys.executable))
    from mpcsfaas import runtime_bootstrap as bootstrap
    from mpcsfaas.runtime_loop import Runtime

    # Descriptor 2 is about to belong to the tasks.
    errors_fd = bootstrap.keep_high(2)
    token, parent_pid = int(sys.argv[1]), int(sys.argv[2])
    bootstrap.die_with_parent(parent_pid)
    bootstrap.keep_freed_memory()
    channel = bootstrap.open_channel(token)
    page = bootstrap.open_page()
    settings = bootstrap.take_settings()
    bootstrap.set_import_path(settings)
    bootstrap.write_c_output_at_once()
    runtime_sandbox.limit(sandbox, settings.max_memory_bytes)
    try:
        Runtime(channel, page, settings, sandbox).serve()
    finally:
        # An error here is a defect of the runtime; what could run on after it is not known to be sound.
        import traceback

        os.write(errors_fd, traceback.format_exc().encode("utf-8", "replace"))
        os._exit(72)


def _refuse(reason: str) -> None:
    sys.stderr.write("mpcsfaas: this Python cannot run functions: %s\n" % reason)
    sys.stderr.flush()
    os._exit(EXIT_CANNOT_RUN)


if __name__ == "__main__":
    main()
