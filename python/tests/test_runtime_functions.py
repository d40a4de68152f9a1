import dis
import json
import pickle
import struct
import sys
import types
import unittest

import dill

from mpcsfaas import runtime_bytecode as bytecode
from mpcsfaas import runtime_functions as functions
from mpcsfaas import runtime_pickling as pickling
from mpcsfaas.runtime_failures import PlatformError

OWN = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}.99"
OTHER = "cpython 3.99.1"


def body(payload, **origin):
    head = json.dumps(origin).encode()
    return b"\0" + struct.pack("<I", len(head)) + head + payload


def made():
    namespace = {"__name__": "__main__"}
    exec("def f(x):\n    return 'pickle', x", namespace)
    return dill.dumps(namespace["f"])


def load(data):
    return functions.load(data, pickling.clean_main())


class Load(unittest.TestCase):
    def test_takes_the_pickle_when_it_is_of_this_python_or_of_an_unknown_one(self):
        for data in (
            made(),
            body(made(), python=OWN),
            body(made(), python=OWN, name="f", source="f = None"),
            body(made(), python=" ", name="f", source="f = None"),
        ):
            self.assertEqual(load(data)(1), ("pickle", 1))

    def test_compiles_the_source_of_another_python(self):
        origin = {"python": OTHER, "name": "f"}
        self.assertEqual(load(body(b"", source="def f(x):\n    return x * 2", **origin))(4), 8)
        self.assertEqual(load(body(b"", source="f = lambda x: -x", **origin))(4), -4)
        awaited = load(body(b"", source="async def f(x):\n    return x", **origin))(4)
        with self.assertRaises(StopIteration) as end:
            awaited.send(None)
        self.assertEqual(end.exception.value, 4)

    def test_runs_the_source_in_the_main_of_the_function_alone(self):
        main = pickling.clean_main()
        found = functions.load(body(b"", python=OTHER, name="f", source="def f():\n    return f"), main)
        self.assertIs(found(), found)
        self.assertIs(found.__globals__, main.__dict__)

    def test_says_both_versions_where_there_is_no_source(self):
        with self.assertRaises(PlatformError) as caught:
            load(body(made(), python=OTHER))
        self.assertEqual(caught.exception.kind, "VersionMismatch")
        self.assertIn(OTHER, caught.exception.message)
        self.assertIn(sys.implementation.name, caught.exception.message)

    def test_says_what_is_wrong_with_a_source(self):
        with self.assertRaisesRegex(PlatformError, "SyntaxError"):
            load(body(b"", python=OTHER, name="f", source="def f(:"))
        with self.assertRaisesRegex(NameError, "'f'"):
            load(body(b"", python=OTHER, name="f", source="g = 1"))

    def test_knows_bytecode_of_another_python_when_nobody_told(self):
        for data in (foreign(), marshalled(b"\xff"), marshalled(b"")):
            with self.assertRaises(PlatformError) as caught:
                load(data)
            self.assertEqual(caught.exception.kind, "VersionMismatch")
            self.assertIn("did not tell", caught.exception.message)
        # With a source it is of use all the same.
        self.assertEqual(load(body(foreign(), python="", name="f", source="f = abs"))(-1), 1)

    def test_leaves_other_errors_alone(self):
        with self.assertRaises(ModuleNotFoundError):
            load(b"cno_such_module\nf\n.")


class Running(unittest.TestCase):
    def test_an_unknown_instruction_is_no_answer_of_the_function(self):
        error = functions.explained(SystemError("unknown opcode"), made())
        self.assertEqual(getattr(error, "kind", ""), "VersionMismatch")
        for other in (SystemError("something else"), ValueError("unknown opcode")):
            self.assertIs(functions.explained(other, made()), other)


class Bytecode(unittest.TestCase):
    def test_all_of_this_python_is_taken(self):
        for module in (dis, json, unittest.case, pickle):
            for one in vars(module).values():
                if isinstance(one, types.FunctionType):
                    bytecode.check(one.__code__.co_code)
                    self.assertTrue(callable(dill.loads(dill.dumps(one))))


def foreign():
    """Return the pickle of a function with an instruction that no Python has."""
    unknown = next(number for number in range(255, 0, -1) if number not in dis.opmap.values())
    code = made.__code__.replace(co_code=bytes([unknown, 0]) + made.__code__.co_code[2:])
    return dill.dumps(types.FunctionType(code, {}))


class Marshalled:
    def __init__(self, data):
        self.data = data

    def __reduce__(self):
        import marshal

        return marshal.loads, (self.data,)


def marshalled(data):
    return pickle.dumps(Marshalled(data))


if __name__ == "__main__":
    unittest.main()
