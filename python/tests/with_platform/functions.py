"""What the tests run on workers, which have this folder on their path."""

import os
import signal
import subprocess
import sys
import time


def same(value):
    return value


def rare(value):
    return value


def add(*values):
    return sum(values)


def nap(seconds, value=None):
    time.sleep(seconds)
    return value


def long_nap(seconds):
    time.sleep(seconds)


def fail(text):
    raise ValueError(text)


def fail_often(number):
    raise ValueError(number)


def kill_self():
    os.kill(os.getpid(), signal.SIGSEGV)


def leave():
    sys.exit(3)


def hold(gate, value=None):
    """Return the value when the file is there, however long that takes on a busy machine; raise when nobody makes it."""
    deadline = time.monotonic() + 20
    while not os.path.exists(gate):
        if time.monotonic() > deadline:
            raise RuntimeError("nobody opened the gate")
        time.sleep(0.01)
    return value


def loop_forever():
    while True:
        pass


def ignore_term(file):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(file, "w") as started:
        started.write(str(os.getpid()))
    while True:
        pass


def spawn_and_loop(file):
    child = subprocess.Popen(["sleep", "1000"])
    with open(file, "w") as started:
        started.write(str(child.pid))
    while True:
        pass


def count_and_fail(file, times):
    """Raise until it has been called so many times; return how often it was."""
    with open(file, "a") as calls:
        calls.write(".")
    called = os.path.getsize(file)
    if called < times:
        raise ConnectionError(f"call {called}")
    return called


def unpicklable():
    return (number for number in range(3))


def too_large(size):
    return b"x" * size


def speak(lines, pause=0.0):
    for line in range(lines):
        print("line", line, flush=True)
        if line == 1:
            print("to stderr", file=sys.stderr, flush=True)
        time.sleep(pause)
    return lines


def speak_lines(count):
    sys.stdout.write("x\n" * count)


def note(file, text):
    with open(file, "a") as notes:
        notes.write(text)
    return text


class Unloadable:
    """Arrives as something that raises when it is loaded."""

    def __reduce__(self):
        return (__import__, ("no_such_module_anywhere",))
