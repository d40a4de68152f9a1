import collections
import functools
import pickle
import sys
import types
import unittest

import dill

from mpcsfaas import runtime_pickling as pickling

Point = collections.namedtuple("Point", "x y")


def in_a_client(payload):
    """Load as a client does: by dill alone."""
    return dill.loads(payload)


class Dumps(unittest.TestCase):
    def test_plain_values_and_containers_round_trip_by_the_c_pickler(self):
        values = [
            None,
            True,
            5,
            1.5,
            "x",
            b"y",
            [1, {"a": (2, {3})}],
            Point(1, 2),
            collections.OrderedDict(a=1),
        ]
        for value in values:
            with self.subTest(value=value):
                payload = pickling.dumps(value)
                self.assertEqual(in_a_client(payload), value)
                self.assertNotIn(b"dill", payload)
                self.assertEqual(payload[:2], b"\x80\x05")

    def test_functions_of_modules_travel_by_name(self):
        self.assertIs(in_a_client(pickling.dumps(functools.reduce)), functools.reduce)
        self.assertEqual(pickling.dumps(in_a_client), pickle.dumps(in_a_client, 5))

    def test_what_has_no_importable_name_travels_by_value(self):
        def nested():
            return 41

        class Local:
            def __init__(self):
                self.x = 1

        self.assertEqual(in_a_client(pickling.dumps([nested]))[0](), 41)
        self.assertEqual(in_a_client(pickling.dumps({"f": lambda: 42}))["f"](), 42)
        self.assertEqual(in_a_client(pickling.dumps((Local(),)))[0].x, 1)
        self.assertIn(b"dill", pickling.dumps(functools.partial(nested)))

    def test_classes_of_main_travel_by_value(self):
        main = pickling.clean_main()
        exec("class C:\n    x = 3\ndef g():\n    return C.x", main.__dict__)
        before = sys.modules["__main__"]
        pickling.enter_main(main)
        try:
            payload = pickling.dumps(main.C())
        finally:
            pickling.enter_main(before)
        self.assertIn(b"_create_type", payload)
        self.assertEqual(in_a_client(payload).x, 3)

    def test_what_nothing_can_pickle_raises(self):
        with self.assertRaises(TypeError):
            pickling.dumps(x for x in [1])


class Loads(unittest.TestCase):
    def test_the_fast_way_is_taken_only_where_dill_would_do_the_same(self):
        self.assertFalse(pickling.needs_dill(pickle.dumps([1, "a"], 5)))
        self.assertTrue(pickling.needs_dill(dill.dumps(lambda: 1)))

    def test_both_ways_give_equal_values(self):
        main = pickling.clean_main()
        for value in [((5,), {"k": 1.5}), [Point(1, 2)], {"a": [b"x"] * 3}]:
            for protocol in range(0, 6):
                payload = dill.dumps(value, protocol=protocol)
                self.assertEqual(pickling.loads(payload, main), dill.loads(payload))

    def test_none_type_of_old_protocols(self):
        self.assertIs(pickling.loads(b"c__builtin__\nNoneType\n.", pickling.clean_main()), type(None))

    def test_a_function_gets_the_main_it_is_given(self):
        source = types.ModuleType("__main__")
        exec("def f():\n    return __name__, marker", source.__dict__)
        before = sys.modules["__main__"]
        pickling.enter_main(source)
        try:
            payload = dill.dumps(source.f)
        finally:
            pickling.enter_main(before)
        main = pickling.clean_main()
        main.marker = "mine"
        self.assertEqual(pickling.loads(payload, main)(), ("__main__", "mine"))
