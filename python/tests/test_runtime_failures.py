import json
import pickle
import unittest

import dill

from mpcsfaas import runtime_failures as failures
from mpcsfaas import runtime_pickling as pickling


class WithOwnConstructor(ValueError):
    def __init__(self, a, b):
        super().__init__(f"{a}+{b}")
        self.a = a


def render(error, knows=lambda top: True):
    try:
        raise error
    except BaseException as caught:
        meta, payload = failures.render(caught, pickling.clean_main(), knows)
    return json.loads(meta), pickle.loads(payload) if b"dill" not in payload else dill.loads(payload)


class Render(unittest.TestCase):
    def test_the_original_exception_with_its_traceback_as_cause(self):
        meta, loaded = render(KeyError("k", 1))
        self.assertEqual((type(loaded), loaded.args), (KeyError, ("k", 1)))
        self.assertIn("KeyError: ('k', 1)", str(loaded.__cause__))
        self.assertEqual((meta["type"], meta["exception"]), ("UserException", "KeyError"))

    def test_an_exception_whose_constructor_does_not_fit_its_args_keeps_its_class(self):
        _, loaded = render(WithOwnConstructor(1, 2))
        self.assertEqual((type(loaded), str(loaded), loaded.a), (WithOwnConstructor, "1+2", 1))

    def test_a_class_the_client_lacks_becomes_its_standard_base(self):
        _, loaded = render(WithOwnConstructor(1, 2), lambda top: False)
        self.assertEqual((type(loaded), str(loaded)), (ValueError, "WithOwnConstructor: 1+2"))

    def test_attributes_that_cannot_travel_are_left_out(self):
        error = OSError(2, "gone")
        error.handle = (i for i in [])
        error.note = "kept"
        _, loaded = render(error)
        self.assertIsInstance(loaded, OSError)
        self.assertEqual(loaded.note, "kept")

    def test_a_bare_exception_subclass_becomes_a_runtime_error(self):
        class Lost(Exception):
            def __reduce__(self):
                raise RuntimeError

            def __reduce_ex__(self, protocol):
                raise RuntimeError

        _, loaded = render(Lost("x"), lambda top: False)
        self.assertIn("x", str(loaded))

    def test_texts_are_bounded_and_encodable(self):
        meta, loaded = render(ValueError("y" * 10_000_000))
        self.assertLessEqual(len(meta["message"]), failures.TEXT_LIMIT)
        self.assertLessEqual(len(meta["traceback"]), failures.TEXT_LIMIT)
        self.assertLessEqual(len(str(loaded)), failures.TEXT_LIMIT)
        self.assertEqual(render(ValueError("lone \ud800"))[0]["message"], "lone \\ud800")

    def test_standard_exceptions_of_many_shapes(self):
        try:
            b"\xff".decode()
        except UnicodeDecodeError as caught:
            decode = caught
        for error in [
            SystemExit(3),
            KeyboardInterrupt(),
            StopIteration(5),
            decode,
            FileNotFoundError(2, "no", "/x"),
            ImportError("m", name="n"),
        ]:
            with self.subTest(error=error):
                _, loaded = render(error)
                self.assertIs(type(loaded), type(error))
                self.assertEqual(str(loaded), str(error))

    def test_the_hint_is_in_the_text_of_an_import_error(self):
        error = ModuleNotFoundError("No module named 'm'", name="m")
        failures.add_hint(error)
        _, loaded = render(error)
        self.assertIn("--pythonpath", str(loaded))
        self.assertEqual(loaded.name, "m")
