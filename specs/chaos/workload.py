"""The work of the chaos suite: one JSON request per line on stdin, one JSON answer per line on stdout.

Every task has a number. Its function writes the number and the process it runs in to a journal when it starts, so that
starts are counted where they happen, and returns what can be computed from the number alone, and when it started.
"""

import codecs
import json
import sys

import dill


def pack(value):
    return codecs.encode(dill.dumps(value), "base64").decode()


def good_function(journal):
    def work(number, seconds):
        import os
        import time

        started_ms = int(time.time() * 1000)
        descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, b"%d %d\n" % (number, os.getpid()))
        os.close(descriptor)
        time.sleep(seconds)
        return [number, number * 2654435761 % 2**32, started_ms]

    return pack(work)


def poison_function(journal):
    def poison(number, seconds):
        import os
        import signal

        descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, b"%d %d\n" % (number, os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)

    return pack(poison)


def arguments(calls):
    return [pack(((number, seconds), {})) for number, seconds in calls]


def started(results):
    """When the run that each result comes from had started, ms; 0 where the result is not what the function must return."""
    return [started_ms(number, result) for number, result in results]


def started_ms(number, result):
    try:
        value, checksum, when = dill.loads(codecs.decode(result.encode(), "base64"))
    except Exception:
        return 0
    return when if (value, checksum) == (number, number * 2654435761 % 2**32) else 0


ACTIONS = {"goodFunction": good_function, "poisonFunction": poison_function, "arguments": arguments, "started": started}

for line in sys.stdin:
    action, argument = json.loads(line)
    print(json.dumps(ACTIONS[action](argument)), flush=True)
