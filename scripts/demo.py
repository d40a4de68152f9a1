"""Real work through a running platform, with nothing but dill and the standard library: `demo.py API_URL PROJECT_DIRECTORY`.

Everything goes through the HTTP API of the course, as any client's calls would. Exits non-zero when an answer is wrong.
"""

import base64
import collections
import concurrent.futures
import http.client
import json
import pathlib
import sys
import sysconfig
import threading
import time
import traceback
import urllib.parse

import dill

STDLIB_FILES = 300
PRIMES_BELOW = 2_000_000
PRIMES_COUNT = 148_933
"""How many primes there are below that (OEIS A000720)."""
PRIME_CHUNKS = 80
TASK_TIMEOUT_S = 60
CLIENT_THREADS = 8
BAR_WIDTH = 40


class Platform:
    """The four calls of the course API, each thread with a connection of its own."""

    def __init__(self, url):
        self.address = urllib.parse.urlsplit(url).netloc
        self.local = threading.local()

    def call(self, method, path, body=None):
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = self.local.connection = http.client.HTTPConnection(
                self.address, timeout=TASK_TIMEOUT_S
            )
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200:
            raise SystemExit(f"{method} {path} answered {response.status}: {answer.get('detail')}")
        return answer

    def register(self, function):
        body = {"name": function.__name__, "payload": pack(function)}
        return self.call("POST", "/register_function", body)["function_id"]

    def execute(self, function_id, *args):
        body = {"function_id": function_id, "payload": pack((args, {}))}
        return self.call("POST", "/execute_function", body)["task_id"]

    def outcome(self, task_id):
        """Waits for the end of a task; returns its status and what it left: a value or an exception."""
        deadline = time.monotonic() + TASK_TIMEOUT_S
        while time.monotonic() < deadline:
            answer = self.call("GET", f"/result/{task_id}?wait=10")
            if answer["status"] in ("COMPLETED", "FAILED", "CANCELLED"):
                return answer["status"], unpack(answer["result"])
        raise SystemExit(f"Task {task_id} has not ended within {TASK_TIMEOUT_S} s.")

    def map(self, title, function, inputs):
        """All values of `function` over `inputs`, in order, with a progress bar."""
        function_id = self.register(function)
        started = time.monotonic()

        def run(one):
            status, value = self.outcome(self.execute(function_id, one))
            if status != "COMPLETED":
                raise SystemExit(f"A task of {function.__name__} ended {status}: {value!r}")
            return value

        values = []
        with concurrent.futures.ThreadPoolExecutor(CLIENT_THREADS) as threads:
            for value in threads.map(run, inputs):
                values.append(value)
                show_progress(title, len(values), len(inputs), time.monotonic() - started)
        return values


def pack(value):
    return base64.b64encode(dill.dumps(value)).decode()


def unpack(text):
    return dill.loads(base64.b64decode(text))


def show_progress(title, done, total, elapsed):
    finished = done == total
    if not finished and not sys.stdout.isatty():
        return
    filled = BAR_WIDTH * done // total
    bar = "#" * filled + "." * (BAR_WIDTH - filled)
    line = f"  {title:<28} [{bar}] {done}/{total}  {elapsed:.1f} s"
    print(("\r" if sys.stdout.isatty() else "") + line, end="\n" if finished else "", flush=True)


def say(text=""):
    print(text, flush=True)


def indented(text):
    return "\n".join("    " + line for line in text.rstrip().splitlines())


# ---- what runs on the platform: these travel as dill pickles, their imports are made where they run ----


def count_words(text):
    import collections
    import re

    return collections.Counter(re.findall(r"[a-z]{4,}", text.lower()))


def count_primes(bounds):
    first, end = bounds
    return sum(1 for n in range(max(first, 2), end) if all(n % d for d in range(2, int(n**0.5) + 1)))


def divide(numerator, denominator):
    return numerator / denominator


def kill_own_process():
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


# ---- the demonstration ----


def check(condition, what):
    if not condition:
        raise SystemExit(f"Wrong: {what}.")


def words_of(platform, title, files):
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    counts = platform.map(title, count_words, texts)
    total = sum(counts, collections.Counter())
    check(
        total == sum(map(count_words, texts), collections.Counter()),
        "the word counts differ from those counted here",
    )
    frequent = ", ".join(f"{word} {count}" for word, count in total.most_common(6))
    say(f"    {total.total():,} words in {len(files)} files; most often: {frequent}")


def project_documents(project):
    skipped = {"node_modules", ".venv", ".git", ".platform", "dist"}
    return [
        path for path in sorted(project.rglob("*.md")) if skipped.isdisjoint(path.relative_to(project).parts)
    ]


def standard_library():
    directory = pathlib.Path(sysconfig.get_path("stdlib"))
    files = [path for path in sorted(directory.rglob("*.py")) if "site-packages" not in path.parts]
    return files[:: max(1, len(files) // STDLIB_FILES)][:STDLIB_FILES]


def primes(platform):
    step = PRIMES_BELOW // PRIME_CHUNKS
    counts = platform.map("primes", count_primes, [(n, n + step) for n in range(0, PRIMES_BELOW, step)])
    check(sum(counts) == PRIMES_COUNT, f"{sum(counts)} primes below {PRIMES_BELOW:,}, not {PRIMES_COUNT}")
    say(f"    {sum(counts):,} primes below {PRIMES_BELOW:,}")


def failure(platform, function, *args):
    """Runs a function that must fail, shows what its caller gets, and returns the exception and the task's id."""
    task_id = platform.execute(platform.register(function), *args)
    status, error = platform.outcome(task_id)
    check(status == "FAILED", f"{function.__name__} ended {status}")
    check(
        isinstance(error, BaseException), f"the result of {function.__name__} is {error!r}, not an exception"
    )
    say(indented("".join(traceback.format_exception(error))))
    return error, task_id


def story(platform, task_id):
    history = platform.call("GET", f"/tasks/{task_id}")["history"]
    check(len(history) > 1, "the task has no history")
    for entry in history:
        say(
            f"    {entry['at']}  {entry['event']:<18} -> {entry['to']:<10} {entry.get('detail') or ''}".rstrip()
        )


def main():
    platform, project = Platform(sys.argv[1]), pathlib.Path(sys.argv[2])
    say("\nMaps over real text, and one that keeps the processor busy:")
    documents = project_documents(project)
    if documents:
        words_of(platform, "words of the documents", documents)
    words_of(platform, "words of Python's library", standard_library())
    primes(platform)
    say("\nA function that raises; its caller gets the exception itself:")
    error, _ = failure(platform, divide, 1, 0)
    check(isinstance(error, ZeroDivisionError), f"the exception is {error!r}, not a ZeroDivisionError")
    say("\nA function that kills its process; it is tried again, then given up:")
    error, task_id = failure(platform, kill_own_process)
    check("SIGKILL" in str(error), f"the text of {error!r} does not name SIGKILL")
    say("\nThe recorded transitions of that task:")
    story(platform, task_id)
    say("\nAll answers were right.")


if __name__ == "__main__":
    main()
