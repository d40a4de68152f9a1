"""The questions put to every system, ours and peers, by one protocol: a JSON request per line in, a JSON answer per line out."""

import json
import sys
import time
import traceback

import functions


class Adapter:
    """One system under test."""

    def run_all(self, function, arguments):
        """Submits all calls and returns all results, in order."""
        raise NotImplementedError

    def call(self, function, argument):
        """Submits one call and waits for its result."""
        raise NotImplementedError

    def close(self):
        pass


def throughput(adapter, tasks):
    begin, cpu = time.perf_counter(), time.process_time()
    results = adapter.run_all(functions.noop, range(tasks))
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    if sum(results) != tasks * (tasks - 1) // 2:
        raise AssertionError("wrong results")
    return {"seconds": seconds, "cpu_seconds": cpu}


def round_trip(adapter, count):
    trips = []
    for number in range(count):
        begin = time.perf_counter()
        result = adapter.call(functions.noop, number)
        trips.append(time.perf_counter() - begin)
        if result != number:
            raise AssertionError("wrong result")
    return trips


def naps(adapter, count, seconds):
    begin = time.perf_counter()
    adapter.run_all(functions.nap, [seconds] * count)
    return time.perf_counter() - begin


def large(adapter, count, size):
    data = bytes(range(256)) * (size // 256)
    begin = time.perf_counter()
    results = adapter.run_all(functions.echo, [data] * count)
    seconds = time.perf_counter() - begin
    if any(result != data for result in results):
        raise AssertionError("wrong results")
    return seconds


QUESTIONS = {"throughput": throughput, "round_trip": round_trip, "naps": naps, "large": large}


def serve(adapter):
    """Answers until stdin ends. Libraries that print must not do so between our lines, so stdout is kept for the answers."""
    answers, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps({"ok": "ready"}), file=answers, flush=True)
    try:
        for line in sys.stdin:
            request = json.loads(line)
            question = QUESTIONS[request.pop("ask")]
            try:
                answer = {"ok": question(adapter, **request)}
            except Exception as error:
                traceback.print_exc()
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), file=answers, flush=True)
    finally:
        adapter.close()
