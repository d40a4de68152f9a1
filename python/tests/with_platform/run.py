"""Runs the tests of one file against the platform at MPCSFAAS_URL and prints a JSON line for each, for the spec that started it."""

import json
import sys
import traceback
import unittest


class Reporter(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self._why = None

    def addError(self, test, err):
        self._why = "".join(traceback.format_exception(*err))

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._why = f"{subtest}\n" + "".join(traceback.format_exception(*err))

    def addSkip(self, test, reason):
        self._why = f"skipped: {reason}"

    def stopTest(self, test):
        super().stopTest(test)
        # A class that could not be set up is no test of its own.
        name = test.id().split(".", 1)[1] if hasattr(test, "_testMethodName") else str(test)
        print(json.dumps({"test": name, "why": self._why}), flush=True)


if __name__ == "__main__":
    unittest.defaultTestLoader.loadTestsFromName(sys.argv[1]).run(Reporter())
