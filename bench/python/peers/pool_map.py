"""multiprocessing.Pool(2).map with chunks of one: the fastest that the standard library has, all arguments known beforehand."""

from multiprocessing import Pool

from questions import Adapter, serve


class MultiprocessingPool(Adapter):
    def __init__(self):
        self.pool = Pool(2)

    def run_all(self, function, arguments):
        return self.pool.map(function, arguments, chunksize=1)

    def call(self, function, argument):
        return self.pool.apply(function, (argument,))

    def close(self):
        self.pool.terminate()
        self.pool.join()


if __name__ == "__main__":
    serve(MultiprocessingPool())
