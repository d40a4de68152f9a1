"""Print, for each file named, its size and how many bytes of it the kernel has in memory."""

import ctypes
import mmap
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]

for path in sys.argv[1:]:
    descriptor = os.open(path, os.O_RDONLY)
    size = os.fstat(descriptor).st_size
    pages = ctypes.create_string_buffer(size // mmap.PAGESIZE + 1)
    if size > 0:
        place = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
        if libc.mincore(place, size, pages) != 0:
            raise OSError(ctypes.get_errno(), "mincore", path)
    print(size, sum(byte & 1 for byte in pages.raw) * mmap.PAGESIZE)
