"""An image pipeline: blur, find edges, count what stands out. The pictures (PPM) are made first, and results written beside them.

python images.py [--local]
"""

import math
import pathlib
import sys
import tempfile
import zlib

if "--local" in sys.argv:
    from concurrent.futures import ProcessPoolExecutor
else:
    from mpcsfaas import Executor as ProcessPoolExecutor

SIZE = 64


class Picture:
    """Grey values from 0 to 255, row by row."""

    def __init__(self, width, height, values):
        self.width = width
        self.height = height
        self.values = bytes(values)

    def at(self, x, y):
        return self.values[min(max(y, 0), self.height - 1) * self.width + min(max(x, 0), self.width - 1)]

    def each(self, compute):
        return Picture(
            self.width,
            self.height,
            (min(255, max(0, int(compute(x, y)))) for y in range(self.height) for x in range(self.width)),
        )

    def save(self, path):
        path.write_bytes(b"P5 %d %d 255\n" % (self.width, self.height) + self.values)

    @classmethod
    def load(cls, path):
        head, values = path.read_bytes().split(b"\n", 1)
        _, width, height, _ = head.split()
        return cls(int(width), int(height), values)


def draw(number):
    """Rings and a bar, different for every number."""
    blank = Picture(SIZE, SIZE, bytes(SIZE * SIZE))
    return blank.each(
        lambda x, y: (
            200
            if abs(x - y - number) < 3
            else 128 + 100 * math.sin(math.hypot(x - 3 * number, y - SIZE / 2) / 3)
        )
    )


def blur(picture):
    around = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    return picture.each(lambda x, y: sum(picture.at(x + dx, y + dy) for dx, dy in around) / 9)


def edges(picture):
    def strength(x, y):
        across = picture.at(x + 1, y) - picture.at(x - 1, y)
        down = picture.at(x, y + 1) - picture.at(x, y - 1)
        return math.hypot(across, down) * 2

    return picture.each(strength)


def process(picture):
    found = edges(blur(picture))
    return found, sum(value > 100 for value in found.values)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for number in range(12):
            draw(number).save(folder / f"picture-{number:02}.pgm")
        files = sorted(folder.glob("picture-*.pgm"))
        with ProcessPoolExecutor() as executor:
            done = executor.map(process, map(Picture.load, files))
            for file, (picture, strong) in zip(files, done):
                result = file.with_name(file.name.replace("picture", "edges"))
                picture.save(result)
                print(
                    f"{result.name}: {strong} strong points, checksum {zlib.crc32(result.read_bytes()):08x}"
                )


if __name__ == "__main__":
    main()
