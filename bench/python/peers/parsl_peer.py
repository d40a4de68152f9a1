"""Parsl's HighThroughputExecutor, two worker processes, submitted to directly (its apps cost more)."""

import sys
import tempfile

import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider
from questions import Adapter, serve


class Parsl(Adapter):
    def __init__(self, variant):
        self.directory = tempfile.TemporaryDirectory()
        tuned = {"encrypted": False, "prefetch_capacity": 64} if variant == "tuned" else {}
        self.executor = HighThroughputExecutor(
            label="bench",
            address="127.0.0.1",
            max_workers_per_node=2,
            provider=LocalProvider(init_blocks=1, max_blocks=1),
            **tuned,
        )
        parsl.load(Config(executors=[self.executor], run_dir=self.directory.name, initialize_logging=False))
        self.executor.submit(abs, {}, 1).result(timeout=60)

    def run_all(self, function, arguments):
        futures = [self.executor.submit(function, {}, argument) for argument in arguments]
        return [future.result() for future in futures]

    def call(self, function, argument):
        return self.executor.submit(function, {}, argument).result()

    def close(self):
        parsl.dfk().cleanup()
        self.directory.cleanup()


if __name__ == "__main__":
    serve(Parsl(sys.argv[1]))
