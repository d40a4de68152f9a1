"""Where a task stands, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def explanation(story: Mapping[str, Any]) -> str:
    """Return sentences for people from a task's story (`Client.task`)."""
    status = story["status"]
    if status == "COMPLETED":
        return f"It completed{_ran(story)}."
    if status == "CANCELLED":
        return "It was cancelled."
    if status == "FAILED":
        return f"It failed{_ran(story)}: {_failure(story.get('failure') or {})}"
    waiting = story.get("waiting_for")
    if waiting:
        return f"It {waiting['text']}."
    if status == "RUNNING":
        where = f" on worker {story['worker']}" if story.get("worker") else ""
        return f"It runs{where}, since {story.get('claimed_at')}."
    if story.get("state") == "blocked":
        return f"It waits for tasks whose values it needs, since {story.get('queued_at')}."
    return f"It waits to be started, since {story.get('queued_at')}."


def _ran(story: Mapping[str, Any]) -> str:
    text = f" on worker {story['worker']}" if story.get("worker") else ""
    if story.get("run_time_us") is not None:
        text += f" after {story['run_time_us'] / 1e6:.3f} s"
    if story.get("attempts", 1) > 1:
        text += f", at attempt {story['attempts']}"
    return text


def _failure(failure: Mapping[str, Any]) -> str:
    if failure.get("type") == "UserException":
        return f"its function raised {failure.get('exception')}: {failure.get('message')}"
    return f"{failure.get('type')}: {failure.get('message')}"
