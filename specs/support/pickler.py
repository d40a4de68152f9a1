"""What users' programs do, for the specs: one JSON request per line on stdin, one JSON answer per line on stdout."""

import codecs
import io
import json
import sys
import traceback

import dill


def pack(value):
    return codecs.encode(dill.dumps(value), "base64").decode()


def unpack(text):
    return dill.loads(codecs.decode(text.encode(), "base64"))


def pickle_named(request):
    namespace = {"__name__": "__main__"}
    exec(request["source"], namespace)
    return pack(namespace[request["name"]])


class Reference:
    """Stands for the value of a task among arguments."""

    def __init__(self, task_id):
        self.task_id = task_id


class ReferencePickler(dill.Pickler):
    def persistent_id(self, obj):
        return ("mpcsfaas.task", obj.task_id) if type(obj) is Reference else None


def pickle_references(request):
    buffer = io.BytesIO()
    arguments = tuple(Reference(task_id) for task_id in request["ids"]), {}
    ReferencePickler(buffer, 5).dump(arguments)
    return codecs.encode(buffer.getvalue(), "base64").decode()


def load(request):
    value = unpack(request["base64"])
    is_exception = isinstance(value, BaseException)
    kind = type(value)
    return json.dumps(
        {
            "type": f"{kind.__module__}.{kind.__qualname__}",
            "repr": repr(value),
            "text": str(value),
            "isException": is_exception,
            "printed": "".join(traceback.format_exception(kind, value, value.__traceback__))
            if is_exception
            else "",
        }
    )


ACTIONS = {
    "pickleNamed": pickle_named,
    "pickleExpression": lambda request: pack(eval(request["expression"])),
    "pickleArguments": lambda request: pack((tuple(request["args"]), request["kwargs"])),
    "pickleReferences": pickle_references,
    "load": load,
    "loadJson": lambda request: json.dumps(unpack(request["base64"])),
}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"ok": ACTIONS[request["do"]](request)}
    except BaseException:
        answer = {"error": traceback.format_exc()}
    print(json.dumps(answer), flush=True)
