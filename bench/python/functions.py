"""What is measured: the same functions on our platform and on every peer."""

import time


def noop(value):
    return value


def nap(seconds):
    time.sleep(seconds)
    return seconds


def echo(data):
    return data


def spin(seconds):
    """Computes for so much processor time, whoever else has the processor meanwhile."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return seconds
