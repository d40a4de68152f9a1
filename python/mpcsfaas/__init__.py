"""MPCSFaaS for Python: the client that users import, and the runtime that workers start.

    from mpcsfaas import Executor

    with Executor() as executor:
        print(list(executor.map(pow, range(10), range(10))))

Every warm process imports this package, so nothing is imported here before it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .aio import (
        AsyncExecutor as AsyncExecutor,
    )
    from .aio_client import (
        AsyncClient as AsyncClient,
    )
    from .aio_client import (
        AsyncGroup as AsyncGroup,
    )
    from .client import (
        Client as Client,
    )
    from .errors import (
        DependencyFailed as DependencyFailed,
    )
    from .errors import (
        DeserializationError as DeserializationError,
    )
    from .errors import (
        InvalidRequest as InvalidRequest,
    )
    from .errors import (
        MemoryLimit as MemoryLimit,
    )
    from .errors import (
        NoSuitableWorker as NoSuitableWorker,
    )
    from .errors import (
        NotAuthorized as NotAuthorized,
    )
    from .errors import (
        NotFound as NotFound,
    )
    from .errors import (
        PlatformError as PlatformError,
    )
    from .errors import (
        PlatformUnreachable as PlatformUnreachable,
    )
    from .errors import (
        ProcessCrashed as ProcessCrashed,
    )
    from .errors import (
        RemoteTraceback as RemoteTraceback,
    )
    from .errors import (
        RequestRefused as RequestRefused,
    )
    from .errors import (
        ResultLoadError as ResultLoadError,
    )
    from .errors import (
        ResultSerializationError as ResultSerializationError,
    )
    from .errors import (
        ResultTooLarge as ResultTooLarge,
    )
    from .errors import (
        TaskCancelled as TaskCancelled,
    )
    from .errors import (
        TaskFailure as TaskFailure,
    )
    from .errors import (
        TaskTimeout as TaskTimeout,
    )
    from .errors import (
        TaskUnknown as TaskUnknown,
    )
    from .errors import (
        VersionMismatch as VersionMismatch,
    )
    from .errors import (
        WorkerFailure as WorkerFailure,
    )
    from .executor import (
        Executor as Executor,
    )
    from .futures import (
        TaskFuture as TaskFuture,
    )
    from .group import (
        Group as Group,
    )
    from .group import (
        TaskResult as TaskResult,
    )
    from .options import (
        Retry as Retry,
    )
    from .options import (
        TaskOptions as TaskOptions,
    )
    from .remote_function import (
        RemoteFunction as RemoteFunction,
    )
    from .remote_function import (
        function as function,
    )

_HOMES = {
    "aio": ("AsyncExecutor",),
    "aio_client": ("AsyncClient", "AsyncGroup"),
    "client": ("Client",),
    "errors": (
        "DependencyFailed",
        "DeserializationError",
        "InvalidRequest",
        "MemoryLimit",
        "NoSuitableWorker",
        "NotAuthorized",
        "NotFound",
        "PlatformError",
        "PlatformUnreachable",
        "ProcessCrashed",
        "RemoteTraceback",
        "RequestRefused",
        "ResultLoadError",
        "ResultSerializationError",
        "ResultTooLarge",
        "TaskCancelled",
        "TaskFailure",
        "TaskTimeout",
        "TaskUnknown",
        "VersionMismatch",
        "WorkerFailure",
    ),
    "executor": ("Executor",),
    "remote_function": ("RemoteFunction", "function"),
    "futures": ("TaskFuture",),
    "group": ("Group", "TaskResult"),
    "options": ("Retry", "TaskOptions"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
