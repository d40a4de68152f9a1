import unittest

import mpcsfaas


class Names(unittest.TestCase):
    def test_all_can_be_imported_at_once(self):
        names = {}
        exec("from mpcsfaas import *", names)
        for name in ("AsyncClient", "Client", "Executor", "Group", "Retry", "TaskTimeout", "function"):
            self.assertIs(names[name], getattr(mpcsfaas, name))
