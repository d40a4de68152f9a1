"""Our platform over HTTP, with the standard library alone: batches by POST /tasks, results from the group's stream."""

import base64
import http.client
import json
import pickle
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from line import Line
from questions import Adapter, serve

sys.path.insert(0, str(Path(__file__).parents[2] / "python"))
from mpcsfaas.packing import is_array, pack_with_binaries, unpack_results

REQUEST_TASKS = 500
REQUEST_BYTES = 8 * 1024 * 1024
READ_BYTES = 256 * 1024
WAIT_S = 30
# The server closes a connection that nobody has used for a while, perhaps just when the next request is under way.
STALE_AFTER_S = 3
JSON_TYPE = "application/json"
MSGPACK_TYPE = "application/x-msgpack"


def pack_arguments(argument):
    """What dill would make of plain values, by the C pickler: about thirty times faster."""
    return pickle.dumps(((argument,), {}), 4)


def batches(arguments):
    """Payloads in lists that fit into one request, and whether the list is the last."""
    batch, size = [], 0
    for argument in arguments:
        payload = pack_arguments(argument)
        if batch and (len(batch) == REQUEST_TASKS or size + len(payload) > REQUEST_BYTES):
            yield batch, False
            batch, size = [], 0
        batch.append(payload)
        size += len(payload)
    yield batch, True


class Results(threading.Thread):
    """Reads the stream of a group to its end. As text, which Python's JSON reads five times faster than it could read binary."""

    format = "ndjson"

    def __init__(self, address, group_id, count):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(address)
        self.path = f"/groups/{group_id}/results?follow=true&format={self.format}"
        self.results = [None] * count
        self.received = 0
        self.rest = []
        self.error = None

    def run(self):
        try:
            self.connection.request("GET", self.path)
            response = self.connection.getresponse()
            if response.status != 200:
                raise RuntimeError(f"stream: {response.status} {response.read()!r}")
            while self.received < len(self.results):
                self.read_some(response)
        except Exception as error:
            self.error = error
        finally:
            self.connection.close()

    def read_some(self, response):
        data = response.read1(READ_BYTES)
        self.must_go_on(data)
        lines, newline, rest = data.rpartition(b"\n")
        if newline:
            lines = b"".join([*self.rest, lines])
            self.rest = []
            for one in json.loads(b"[" + lines.replace(b"\n", b",") + b"]"):
                if "index" in one:
                    self.take(one["index"], one["status"], base64.b64decode(one["result"]))
        self.rest.append(rest)

    def must_go_on(self, data):
        if not data:
            raise RuntimeError(f"the stream ended after {self.received} of {len(self.results)} results")

    def take(self, index, status, result):
        if status != "COMPLETED":
            raise RuntimeError(f"task {index} is {status}")
        self.results[index] = pickle.loads(result)
        self.received += 1


class LargeResults(Results):
    """The same as MessagePack, in which large results are not a third larger: frames of four bytes of length and so many bytes."""

    format = "msgpack"

    def read_some(self, response):
        head = response.read(4)
        self.must_go_on(head)
        frame = response.read(int.from_bytes(head, "little"))
        if is_array(frame):
            for result in unpack_results(frame):
                self.take(result.place, result.status, result.payload)


class Platform(Adapter):
    def __init__(self, url, function_ids):
        self.address = urlsplit(url).netloc
        self.function_ids = function_ids
        self.line = Line(url)
        self.used_at = 0

    def run_all(self, function, arguments):
        function_id = self.function_ids[function.__name__]
        group_id = self.request("POST", "/groups")["group_id"]
        reads = LargeResults if isinstance(arguments[0], bytes) else Results
        reader = reads(self.address, group_id, len(arguments))
        reader.start()
        for payloads, final in batches(arguments):
            fields = {"function_id": function_id, "group_id": group_id, "final": final}
            self.request(
                "POST",
                "/tasks",
                pack_with_binaries(fields, "payloads", payloads),
                MSGPACK_TYPE,
            )
        reader.join()
        if reader.error:
            raise reader.error
        return reader.results

    def call(self, function, argument):
        payload = base64.b64encode(pack_arguments(argument)).decode()
        body = json.dumps({"function_id": self.function_ids[function.__name__], "payload": payload}).encode()
        answer = self.request("POST", f"/execute_function?wait={WAIT_S}", body, JSON_TYPE)
        if answer["status"] != "COMPLETED":
            raise RuntimeError(f"task {answer['task_id']} is {answer['status']}")
        return pickle.loads(base64.b64decode(answer["result"]))

    def request(self, method, path, body=b"", content_type=""):
        if time.monotonic() - self.used_at > STALE_AFTER_S:
            self.line.close()
        status, text = self.line.request(method, path, body, content_type)
        self.used_at = time.monotonic()
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {text[:500]!r}")
        return json.loads(text)

    def close(self):
        self.line.close()


if __name__ == "__main__":
    serve(Platform(sys.argv[1], json.loads(sys.argv[2])))
