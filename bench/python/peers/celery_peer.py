"""Celery on Redis: apply_async for each call, get() for each result; or a group, or tuned."""

import subprocess
import sys

from celery import group
from celery_app import TASKS, app
from questions import Adapter, serve

TIMEOUT_S = 60
START_TIMEOUT_S = 30
# Redis cuts a subscriber that has 32 MiB outstanding, and Celery then waits for ever.
MAX_LARGE_AT_ONCE = 20
TUNED_OPTIONS = ["--without-gossip", "--without-mingle", "--without-heartbeat"]


class Celery(Adapter):
    def __init__(self, variant):
        self.grouped = variant == "group"
        options = TUNED_OPTIONS if variant == "tuned" else []
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "celery_app",
            "worker",
            "-c",
            "2",
            "-l",
            "error",
            *options,
        ]
        self.worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        TASKS["noop"].apply_async((1,)).get(timeout=START_TIMEOUT_S)

    def run_all(self, function, arguments):
        task, arguments = TASKS[function.__name__], list(arguments)
        at_once = MAX_LARGE_AT_ONCE if isinstance(arguments[0], bytes) else len(arguments)
        results = []
        for begin in range(0, len(arguments), at_once):
            results += self.run_some(task, arguments[begin : begin + at_once])
        return results

    def run_some(self, task, arguments):
        if self.grouped:
            return group(task.s(argument) for argument in arguments).apply_async().get(timeout=TIMEOUT_S)
        handles = [task.apply_async((argument,)) for argument in arguments]
        return [handle.get(timeout=TIMEOUT_S) for handle in handles]

    def call(self, function, argument):
        return TASKS[function.__name__].apply_async((argument,)).get(timeout=TIMEOUT_S)

    def close(self):
        app.close()
        self.worker.terminate()
        self.worker.wait()


if __name__ == "__main__":
    serve(Celery(sys.argv[1]))
