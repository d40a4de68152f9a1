"""concurrent.futures.ProcessPoolExecutor(2).submit: what a user has without any platform."""

from concurrent.futures import ProcessPoolExecutor

from questions import Adapter, serve


class ExecutorPool(Adapter):
    def __init__(self):
        self.pool = ProcessPoolExecutor(2)

    def run_all(self, function, arguments):
        futures = [self.pool.submit(function, argument) for argument in arguments]
        return [future.result() for future in futures]

    def call(self, function, argument):
        return self.pool.submit(function, argument).result()

    def close(self):
        self.pool.shutdown()


if __name__ == "__main__":
    serve(ExecutorPool())
