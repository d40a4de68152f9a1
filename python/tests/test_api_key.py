import os
import pickle
import unittest
from unittest import mock

import mpcsfaas
from mpcsfaas import errors, transport

KEY = "mpcs_0123456789ab_" + "5ec2e7" * 7


class ApiKey(unittest.TestCase):
    def test_it_is_in_no_repr_and_in_no_pickle(self):
        one = transport.Transport("http://127.0.0.1:1", 1.0, KEY)
        with mpcsfaas.Client("http://127.0.0.1:1", api_key=KEY) as client:
            self.assertNotIn(KEY, repr(one) + str(one) + repr(client))
        with mock.patch.dict(os.environ, {}, clear=True):
            packed = pickle.dumps(one)
            self.assertNotIn(KEY.encode(), packed)
            copy = pickle.loads(packed)
        self.assertEqual((copy.url, copy.timeout), ("http://127.0.0.1:1", 1.0))

    def test_it_is_not_in_the_error_of_a_platform_that_is_away(self):
        with self.assertRaises(mpcsfaas.PlatformUnreachable) as caught:
            transport.Transport("http://127.0.0.1:1", 0.1, KEY).call("GET", "/tasks")
        self.assertNotIn(KEY, repr(caught.exception) + repr(caught.exception.__cause__))

    def test_what_cannot_be_one_is_refused_and_not_repeated(self):
        for wrong in ("two words", "line\nX-Other: 1", "\u00e9clair"):
            with self.assertRaises(ValueError) as caught:
                transport.Transport(api_key=wrong)
            self.assertNotIn(wrong, str(caught.exception))
        # As a file ends.
        transport.Transport(api_key=f"{KEY}\n").close()

    def test_a_refusal_is_an_error_of_permissions(self):
        for status in (401, 403):
            answer = {"detail": "This needs an API key.", "code": "UNAUTHENTICATED", "remedy": "Send one."}
            refused = errors.refusal(status, answer)
            self.assertIsInstance(refused, mpcsfaas.NotAuthorized)
            self.assertIsInstance(refused, PermissionError)
            self.assertEqual(str(refused), "This needs an API key. Send one.")
            self.assertEqual((refused.status, refused.code), (status, "UNAUTHENTICATED"))
            again = pickle.loads(pickle.dumps(refused))
            self.assertEqual((again.status, str(again)), (status, str(refused)))
