import functools
import os
import tracemalloc
import unittest

from mpcsfaas.registry import Registry

SIZE = 4 << 20


def size(data, number):
    return len(data) + number


class Memory(unittest.TestCase):
    def test_functions_that_bring_much_along_are_not_kept(self):
        registry = Registry()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for number in range(30):
            card, _ = registry.call(functools.partial(size, os.urandom(SIZE), number), (), {}, False)
            self.assertGreater(len(card.payload), SIZE)
        del card
        held, _ = tracemalloc.get_traced_memory()
        self.assertLess(held, 15 * SIZE)

    def test_one_that_is_used_again_is_the_same(self):
        registry = Registry()
        data = os.urandom(SIZE)
        cards = []
        for number in range(5):
            cards.append(registry.card(functools.partial(size, data, 1)))
            registry.card(functools.partial(size, os.urandom(SIZE), number))
        self.assertEqual(len({id(card) for card in cards}), 1)
