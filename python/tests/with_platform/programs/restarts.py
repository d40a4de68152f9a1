"""Submits and reads while the API is restarted: a line for each hundred results, so that the spec knows when."""

import sys
import threading

import functions

from mpcsfaas import Executor

TASKS = 3000

executor = Executor(timeout=float(sys.argv[1]))
lock = threading.Lock()
ended = 0


def say(*words):
    """Print a line as one piece: other threads print too."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def count(_future):
    global ended
    with lock:
        ended += 1
        if ended % 100 == 0:
            say(ended)


futures = []
for number in range(TASKS):
    future = executor.submit(functions.nap, 0.002, number)
    future.add_done_callback(count)
    futures.append(future)
errors = [future.exception(60) for future in futures]
wrong = sum(
    error is None and future.result() != number for number, (future, error) in enumerate(zip(futures, errors))
)
failed = [error for error in errors if error is not None]
say("failed", len(failed), "wrong", wrong, "distinct", len({future.task_id for future in futures}))
if failed:
    say(type(failed[0]).__name__, failed[0])
executor.shutdown()
say("over")
