"""The Celery application, for its client and its worker alike. CELERY_TUNED=1: what its manual and users advise for short tasks."""

import os

import functions
from celery import Celery

url = os.environ["PEER_REDIS_URL"]
app = Celery("bench", broker=url, backend=url)
if os.environ.get("CELERY_TUNED"):
    app.conf.update(
        task_serializer="pickle",
        result_serializer="pickle",
        accept_content=["pickle", "json"],
        worker_prefetch_multiplier=64,
        worker_disable_rate_limits=True,
        task_track_started=False,
    )

TASKS = {
    function.__name__: app.task(function, name=function.__name__)
    for function in (functions.noop, functions.nap, functions.echo)
}
