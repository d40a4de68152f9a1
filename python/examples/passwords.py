"""A search that stops when it has found something: which PINs belong to these hashes? Uses an initializer, `wait` and `cancel`.

python passwords.py [--local]
"""

import hashlib
import sys
from concurrent.futures import FIRST_COMPLETED, wait

if "--local" in sys.argv:
    from concurrent.futures import ProcessPoolExecutor
else:
    from mpcsfaas import Executor as ProcessPoolExecutor

SALT = b"pepper and salt"
BLOCK = 2_000


def hashed(salt, pin):
    return hashlib.sha256(salt + b"%06d" % pin).hexdigest()


def set_salt(salt):
    global _salt
    _salt = salt


def search(start, wanted):
    """The PINs of a block whose hashes are wanted."""
    return [(pin, hashed(_salt, pin)) for pin in range(start, start + BLOCK) if hashed(_salt, pin) in wanted]


def main():
    wanted = {hashed(SALT, pin) for pin in (1_234, 31_415, 54_321)}
    found = {}
    with ProcessPoolExecutor(max_workers=4, initializer=set_salt, initargs=(SALT,)) as executor:
        waiting = {executor.submit(search, start, wanted) for start in range(0, 400_000, BLOCK)}
        while waiting and len(found) < len(wanted):
            done, waiting = wait(waiting, timeout=60, return_when=FIRST_COMPLETED)
            for future in done:
                found.update(future.result())
        for future in waiting:
            future.cancel()
    for pin, digest in sorted(found.items()):
        print(f"{pin:06} {digest[:16]}")
    print("all found" if len(found) == len(wanted) else "some are missing")


if __name__ == "__main__":
    main()
