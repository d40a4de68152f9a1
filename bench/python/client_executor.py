"""Our platform through the Python client, as users have it: `Executor.submit`, a future for each task. No-ops alone."""

import pathlib
import sys

from questions import Adapter, serve

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "python"))

from mpcsfaas import Executor


def noop(value):
    """The same as in `functions.py`, which workers cannot import: it travels with its task, as functions of scripts do."""
    return value


class OurExecutor(Adapter):
    def __init__(self, url):
        self.executor = Executor(url=url)

    def run_all(self, function, arguments):
        futures = [self.executor.submit(noop, argument) for argument in arguments]
        return [future.result() for future in futures]

    def call(self, function, argument):
        return self.executor.submit(noop, argument).result()

    def close(self):
        self.executor.shutdown()


if __name__ == "__main__":
    serve(OurExecutor(sys.argv[1]))
