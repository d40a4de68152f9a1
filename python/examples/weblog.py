"""A web log analysis: who asks most, what fails, which hours are busy. The log files are made first.

python weblog.py [--local]
"""

import collections
import functools
import pathlib
import random
import re
import sys
import tempfile

if "--local" in sys.argv:
    from concurrent.futures import ProcessPoolExecutor
else:
    from mpcsfaas import Executor as ProcessPoolExecutor

LINE = re.compile(r'(\S+) \S+ \S+ \[(\d+/\w+/\d+):(\d+)[^]]*\] "(\w+) (\S+) [^"]*" (\d{3}) (\d+|-)')
FILES = 8
LINES = 4_000


def write_logs(folder):
    """Files as web servers write them, a few broken lines among them."""
    for number in range(FILES):
        chance = random.Random(number)
        with open(folder / f"access-{number}.log", "w") as log:
            for _ in range(LINES):
                if chance.random() < 0.002:
                    log.write("- broken line -\n")
                    continue
                host = f"10.0.{chance.randrange(4)}.{int(chance.paretovariate(1)) % 250}"
                hour = int(chance.triangular(0, 24, 14))
                path = chance.choice(
                    ["/", "/index.html", "/search", "/about", "/old", f"/item/{chance.randrange(30)}"]
                )
                status = 404 if path == "/old" else chance.choices([200, 304, 500], [90, 9, 1])[0]
                log.write(
                    f'{host} - - [21/Nov/2026:{hour:02}:00:00 +0000] "GET {path} HTTP/1.1" {status} '
                    f"{chance.randrange(200, 50_000)}\n"
                )


class Summary:
    """Counts of a part of the log; adding two gives those of both."""

    def __init__(self):
        self.hosts = collections.Counter()
        self.failures = collections.Counter()
        self.hours = collections.Counter()
        self.bytes = 0
        self.broken = 0

    def __add__(self, other):
        total = Summary()
        total.hosts = self.hosts + other.hosts
        total.failures = self.failures + other.failures
        total.hours = self.hours + other.hours
        total.bytes = self.bytes + other.bytes
        total.broken = self.broken + other.broken
        return total


def summarize(text):
    summary = Summary()
    for line in text.splitlines():
        match = LINE.match(line)
        if match is None:
            summary.broken += 1
            continue
        host, _day, hour, _method, path, status, size = match.groups()
        summary.hosts[host] += 1
        summary.hours[int(hour)] += 1
        summary.bytes += 0 if size == "-" else int(size)
        if status[0] in "45":
            summary.failures[status, path] += 1
    return summary


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_logs(folder)
        texts = [file.read_text() for file in sorted(folder.glob("*.log"))]
    with ProcessPoolExecutor() as executor:
        total = functools.reduce(Summary.__add__, executor.map(summarize, texts))
    print(f"{sum(total.hosts.values())} requests, {total.bytes} bytes, {total.broken} broken lines")
    ranked = sorted(total.hosts.items(), key=lambda item: (-item[1], item[0]))
    print("hosts:", ", ".join(f"{host} {count}" for host, count in ranked[:3]))
    print("busiest hour:", max(total.hours, key=lambda hour: (total.hours[hour], hour)))
    failed = sorted(total.failures.items(), key=lambda item: (-item[1], item[0]))
    for (status, path), count in failed[:3]:
        print(f"  {status} {path}: {count}")


if __name__ == "__main__":
    main()
