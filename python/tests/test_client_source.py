import builtins
import os
import types
import unittest

from mpcsfaas import source

CONSTANT = 3


def complete(a, b=2, *rest, c=(1, "x"), **more):
    """Say what it does."""
    import math

    return [math.sqrt(len(str(part))) for part in (a, b, rest, c, more)]


def recursive(n):
    return 1 if n < 2 else n * recursive(n - 1)


def uses_a_global():
    return CONSTANT


def uses_a_module():
    return os.getcwd()


def has_a_default_from_outside(a=CONSTANT):
    return a


def hides_a_builtin():
    return sorted([2, 1])


def has_an_annotation_from_outside(a: types.ModuleType):
    return a


def writes_a_global():
    global written
    written = 1


def decorated_with(function):
    return function


@decorated_with
def decorated():
    return 1


class Method:
    def method(self):
        return __class__


class Completeness(unittest.TestCase):
    def about(self, function):
        return source.described(function)

    def test_what_needs_nothing_from_outside(self):
        for function in (complete, recursive):
            self.assertTrue(self.about(function)["source_is_complete"], function)

    def test_the_source_defines_the_same_function(self):
        names = {}
        exec(self.about(complete)["source"], names)
        self.assertEqual(names["complete"](1, 2, 3, c=4, d=5), complete(1, 2, 3, c=4, d=5))

    def test_a_nested_function_without_closure_is_dedented(self):
        def nested(x):
            return x + 1

        about = self.about(nested)
        self.assertTrue(about["source"].startswith("def nested"))
        self.assertTrue(about["source_is_complete"])

    def test_what_needs_something_from_outside(self):
        def closure():
            return names

        names = [closure]
        for function in (
            uses_a_global,
            uses_a_module,
            has_a_default_from_outside,
            has_an_annotation_from_outside,
            writes_a_global,
            decorated,
            closure,
            Method.method,
            lambda x: x,
        ):
            self.assertFalse(self.about(function)["source_is_complete"], function)

    def test_a_builtin_that_is_hidden_by_a_global(self):
        self.assertTrue(self.about(hides_a_builtin)["source_is_complete"])
        globals()["sorted"] = builtins.reversed
        try:
            self.assertFalse(self.about(hides_a_builtin)["source_is_complete"])
        finally:
            del globals()["sorted"]

    def test_a_source_that_is_no_longer_that_of_the_function(self):
        text = self.about(complete)["source"]
        self.assertTrue(source.is_complete(complete, text))
        self.assertFalse(source.is_complete(complete, text.replace("len(", "hash(")))
        self.assertFalse(source.is_complete(complete, text.replace('"x"', '"y"')))
        self.assertFalse(source.is_complete(complete, "def complete("))

    def test_defaults_that_were_changed_afterwards(self):
        def f(a=1):
            return a

        self.assertTrue(self.about(f)["source_is_complete"])
        f.__defaults__ = (2,)
        self.assertFalse(self.about(f)["source_is_complete"])

    def test_without_source(self):
        names = {}
        exec("def unseen():\n    return 1", names)
        about = self.about(names["unseen"])
        self.assertNotIn("source", about)
        self.assertRegex(about["python_version"], r"^3\.\d+\.\d+")
        self.assertIn(about["python_implementation"], ("cpython", "pypy"))
