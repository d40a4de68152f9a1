"""Runs a task whose worker is killed meanwhile by whoever started this program, and shows what the client makes of it."""

import time
from concurrent.futures.process import BrokenProcessPool

import mpcsfaas


def main() -> None:
    """Print `running` when the task runs, then the failure."""
    future = mpcsfaas.Client().options(max_attempts=1).submit(time.sleep, 60)
    while not future.running():
        time.sleep(0.05)
    time.sleep(0.2)
    print("running", flush=True)
    error = future.exception(30)
    assert isinstance(error, mpcsfaas.WorkerFailure), repr(error)
    assert isinstance(error, BrokenProcessPool)
    print(error.attempts, error.worker in str(error), error, flush=True)


main()
