"""A parameter sweep: which rates of infection and recovery explain the numbers of an epidemic?

python sweep.py [--local]
"""

import dataclasses
import itertools
import sys
from concurrent.futures import as_completed

if "--local" in sys.argv:
    from concurrent.futures import ProcessPoolExecutor
else:
    from mpcsfaas import Executor as ProcessPoolExecutor

DAYS = 60
STEPS_A_DAY = 20


@dataclasses.dataclass(frozen=True)
class Rates:
    infection: float
    recovery: float


@dataclasses.dataclass
class Fit:
    rates: Rates
    error: float
    peak_day: int


def epidemic(rates):
    """The share of people infected on each day, by the SIR model."""
    susceptible, infected = 0.999, 0.001
    days = []
    for _ in range(DAYS):
        days.append(infected)
        for _ in range(STEPS_A_DAY):
            caught = rates.infection * susceptible * infected / STEPS_A_DAY
            healed = rates.recovery * infected / STEPS_A_DAY
            susceptible -= caught
            infected += caught - healed
    return days


def fit(rates, observed):
    days = epidemic(rates)
    error = sum((mine - theirs) ** 2 for mine, theirs in zip(days, observed))
    return Fit(rates, error, days.index(max(days)))


def main():
    observed = [share * (1 + 0.05 * (-1) ** day) for day, share in enumerate(epidemic(Rates(0.55, 0.13)))]
    grid = [
        Rates(infection / 20, recovery / 100)
        for infection, recovery in itertools.product(range(4, 20), range(5, 30, 2))
    ]
    with ProcessPoolExecutor(max_workers=4) as executor:
        futures = {executor.submit(fit, rates, observed): rates for rates in grid}
        fits = []
        for future in as_completed(futures):
            found = future.result()
            assert isinstance(found, Fit) and found.rates == futures[future]
            fits.append(found)
    fits.sort(key=lambda found: found.error)
    print(f"{len(fits)} combinations tried; the best:")
    for found in fits[:5]:
        rates = found.rates
        print(
            f"  infection {rates.infection:.2f}, recovery {rates.recovery:.2f}: "
            f"error {found.error:.5f}, peak on day {found.peak_day}"
        )


if __name__ == "__main__":
    main()
