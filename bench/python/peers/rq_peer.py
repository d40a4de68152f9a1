"""RQ on Redis with two of its simple workers, which do not fork for each job."""

import os
import subprocess
import sys

from questions import Adapter, serve
from redis import Redis
from rq import Queue

TIMEOUT_S = 60


class Rq(Adapter):
    def __init__(self):
        url = os.environ["PEER_REDIS_URL"]
        self.queue = Queue("bench", connection=Redis.from_url(url))
        command = [
            sys.executable,
            "-m",
            "rq.cli",
            "worker",
            "--url",
            url,
            "--worker-class",
            "rq.SimpleWorker",
            "--quiet",
            "bench",
        ]
        self.workers = [
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr) for _ in range(2)
        ]
        self.result(self.queue.enqueue(abs, 1))

    def result(self, job):
        return job.latest_result(timeout=TIMEOUT_S).return_value

    def run_all(self, function, arguments):
        jobs = [self.queue.enqueue(function, argument) for argument in arguments]
        return [self.result(job) for job in jobs]

    def call(self, function, argument):
        return self.result(self.queue.enqueue(function, argument))

    def close(self):
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait()


if __name__ == "__main__":
    serve(Rq())
