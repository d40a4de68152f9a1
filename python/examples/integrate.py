"""A numerical map: pi by throwing darts, and a hard integral in slices.

python integrate.py           # on the platform
python integrate.py --local   # on this machine's processes, by the standard library
"""

import math
import random
import sys

if "--local" in sys.argv:
    from concurrent.futures import ProcessPoolExecutor
else:
    from mpcsfaas import Executor as ProcessPoolExecutor

DARTS = 20_000
SLICES = 64


def hits(seed):
    """How many of so many darts fall into the quarter circle."""
    chance = random.Random(seed)
    return sum(math.hypot(chance.random(), chance.random()) <= 1 for _ in range(DARTS))


def bumps(x):
    return math.exp(-x * x) * math.cos(20 * x) ** 2


def slice_of_integral(start, end, steps=2_000):
    """Simpson's rule from start to end."""
    width = (end - start) / steps
    inner = sum((4 if step % 2 else 2) * bumps(start + step * width) for step in range(1, steps))
    return (bumps(start) + inner + bumps(end)) * width / 3


def main():
    with ProcessPoolExecutor() as executor:
        inside = sum(executor.map(hits, range(50)))
        edges = [-6 + 12 * step / SLICES for step in range(SLICES + 1)]
        integral = math.fsum(executor.map(slice_of_integral, edges, edges[1:], chunksize=8))
    print(f"pi is about {4 * inside / (50 * DARTS):.4f}")
    print(f"the integral is {integral:.10f}")
    print(f"by formula      {math.sqrt(math.pi) / 2 * (1 + math.exp(-400)):.10f}")


if __name__ == "__main__":
    main()
