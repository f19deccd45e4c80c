"""What users may change of tasks: `TASK.SETTING` and its value, as `--set` gives them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from sightword.config import override
from sightword.errors import SightwordError, unknown
from sightword.evaluation.task import Task


def chosen(known: Sequence[Task], names: Sequence[str], changes: Mapping[str, Any]) -> list[Task]:
    """The tasks of these names, each once, with their settings changed.

    Args:
        known: all tasks.
        names: which are wanted.
        changes: values by `TASK.SETTING`, such as `{"fewshot.shots": "1,4"}`; text becomes what is wanted.

    Raises:
        SightwordError: for a task that nobody knows, a setting that it does not have or that is of a task
            that is not wanted, and a value that it cannot take.
    """
    tasks = {task.name: task for task in known}
    for name in names:
        if name not in tasks:
            raise unknown("task", name, tasks)
    for change, value in changes.items():
        name, _, setting = change.partition(".")
        if name not in tasks:
            raise unknown("task", name, tasks, f"(in --set {change})")
        if name not in names:
            raise SightwordError(f"--set {change} is of a task that is not asked for; add {name} to --tasks")
        tasks[name] = _changed(tasks[name], setting, value)
    return [tasks[name] for name in dict.fromkeys(names)]


def _changed(task: Task, setting: str, value: Any) -> Task:
    if task.settings is None:
        raise SightwordError(f"the task {task.name} has no settings; leave out --set {task.name}.{setting}")
    return task.having(override(task.settings, {setting: value}, f"--set {task.name}:"))


def described(task: Task) -> str:
    """The settings of a task and their values, as `--set` takes them."""
    fields = dataclasses.fields(task.settings) if task.settings is not None else ()
    return "  ".join(f"{field.name}={_text(getattr(task.settings, field.name))}" for field in fields)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(_text(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
