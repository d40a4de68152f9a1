"""Functions and classes of scripts, of standard input, and of a notebook's cells."""

import subprocess
import sys
import tempfile
import unittest

SCRIPT = """
import collections, dataclasses, enum, functools, json
from mpcsfaas import Executor

class Color(enum.Enum):
    RED = 1
    BLUE = 2
    def low(self):
        return self.name.lower()

@dataclasses.dataclass
class Point:
    x: int
    color: Color = Color.RED
    def doubled(self):
        return Point(double(self.x), Color.BLUE)

class Base:
    def hello(self):
        return "base"

class Derived(Base):
    def hello(self):
        return "derived " + super().hello()

class Wrong(ValueError):
    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code

Pair = collections.namedtuple("Pair", "a b")
FACTOR = 2

def double(x):
    return x * FACTOR if x < 10 else half(x) * 4

def half(x):
    return double(x // 2) // 2 if x > 18 else x // 2

def logged(function):
    @functools.wraps(function)
    def inner(*args):
        return "logged", function(*args)
    return inner

@logged
def work(x):
    return json.dumps({"x": double(x)})

def use(point, pair):
    assert isinstance(point, Point) and isinstance(pair, Pair) and isinstance(point.color, Color)
    return point.doubled(), point.color.low(), Derived().hello(), pair

def identity(value):
    return value

def wrong(code):
    raise Wrong(code)

def count(n):
    global FACTOR
    return n * FACTOR

if __name__ == "__main__":
    with Executor() as executor:
        point, low, hello, pair = executor.submit(use, Point(4), Pair(1, 2)).result(30)
        assert type(point) is Point and point == Point(8, Color.BLUE), point
        assert (low, hello, pair) == ("red", "derived base", Pair(1, 2)) and type(pair) is Pair
        assert executor.submit(work, 3).result(30) == ("logged", '{"x": 6}')
        # The function names none of these classes: its arguments do.
        assert executor.submit(identity, [Point(1), Color.BLUE]).result(30) == [Point(1), Color.BLUE]
        assert executor.submit(Point(5).doubled).result(30) == Point(10, Color.BLUE)
        assert list(executor.map(lambda p: p.x + FACTOR, [Point(1), Point(2)])) == [3, 4]
        assert list(executor.map(identity, [Point(n) for n in range(7)], chunksize=3)) == [Point(n) for n in range(7)]
        assert executor.submit(identity, lambda x: double(x)).result(30)(4) == 8
        try:
            executor.submit(wrong, 7).result(30)
        except Wrong as error:
            assert error.code == 7
        assert executor.submit(count, 3).result(30) == 6
        FACTOR = 5
        # A global that has changed is sent again.
        assert executor.submit(count, 3).result(30) == 15
        assert executor.submit(double, 3).result(30) == 15
    print("all well")
"""

CELLS = """
import code, sys
cells = [
    "from mpcsfaas import Executor",
    "executor = Executor()",
    "def f(x): return g(x) + 1",
    "def g(x): return x * 10",
    "print(executor.submit(f, 4).result(30))",
    "def g(x): return x * 100",
    "print(executor.submit(f, 4).result(30))",
    "executor.shutdown()",
]
console = code.InteractiveConsole(vars(sys.modules["__main__"]))
for cell in cells:
    assert not console.runsource(cell, "<cell>", "single" if cell.startswith("print") else "exec"), cell
"""

AT_EXIT = """
from mpcsfaas import Executor
import functions
executor = Executor()
for n in range(5):
    executor.submit(functions.nap, 0.2, n).add_done_callback(lambda future: print(future.result()))
"""

LEFT_ALONE = """
from mpcsfaas import function

@function
def add(a, b):
    return a + b

print(add.remote(1, 2).result(30))
"""


class Scripts(unittest.TestCase):
    def runs(self, *arguments, stdin=None):
        done = subprocess.run(
            [sys.executable, *arguments], input=stdin, capture_output=True, text=True, timeout=120
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_script_with_classes_of_all_kinds(self):
        with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
            script.write(SCRIPT)
            script.flush()
            self.assertEqual(self.runs(script.name), "all well\n")

    def test_the_same_from_standard_input(self):
        self.assertEqual(self.runs("-", stdin=SCRIPT), "all well\n")

    def test_cells_of_a_notebook_that_are_run_again(self):
        self.assertEqual(self.runs("-c", CELLS), "41\n401\n")

    def test_a_program_that_ends_waits_for_its_tasks(self):
        self.assertEqual(sorted(self.runs("-c", AT_EXIT).split()), list("01234"))

    def test_a_decorated_function_needs_no_end(self):
        self.assertEqual(self.runs("-c", LEFT_ALONE), "3\n")

    def test_the_package_is_light_before_it_is_used(self):
        program = "import sys, mpcsfaas; print([m for m in sys.modules if m.startswith('mpcsfaas') or m in ('urllib3', 'dill', 'asyncio')])"
        self.assertEqual(self.runs("-c", program), "['mpcsfaas']\n")
