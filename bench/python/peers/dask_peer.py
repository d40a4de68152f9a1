"""Dask distributed, two single-threaded worker processes. `pure=False`: equal calls are to be run, not remembered."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from distributed import Client, LocalCluster
from questions import Adapter, serve

START_TIMEOUT_S = 30


class Dask(Adapter):
    def __init__(self, variant):
        self.mapped = variant != "submit"
        self.processes = []
        if variant == "tuned":
            self.cluster = None
            self.client = Client(self.start_apart(), timeout=START_TIMEOUT_S)
        else:
            self.cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
            self.client = Client(self.cluster)
        self.client.wait_for_workers(2, timeout=START_TIMEOUT_S)

    def start_apart(self):
        """A scheduler in a process of its own, which hands out tasks without holding back."""
        self.directory = tempfile.TemporaryDirectory()
        file = Path(self.directory.name) / "scheduler.json"
        self.start("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        deadline = time.monotonic() + START_TIMEOUT_S
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        workers = [
            "--nworkers",
            "2",
            "--nthreads",
            "1",
            "--no-dashboard",
            "--local-directory",
            self.directory.name,
        ]
        self.start("worker", "--scheduler-file", str(file), *workers)
        return None if not file.exists() else self.address(file)

    def start(self, *arguments):
        command = [sys.executable, "-m", "dask", *arguments]
        self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr))

    def address(self, file):
        import json

        return json.loads(file.read_text())["address"]

    def run_all(self, function, arguments):
        if self.mapped:
            return self.client.gather(self.client.map(function, list(arguments), pure=False))
        return self.client.gather(
            [self.client.submit(function, argument, pure=False) for argument in arguments]
        )

    def call(self, function, argument):
        return self.client.submit(function, argument, pure=False).result()

    def close(self):
        self.client.close()
        if self.cluster:
            self.cluster.close()
        for process in reversed(self.processes):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    serve(Dask(sys.argv[1]))
