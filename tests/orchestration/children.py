"""Work in children that may die: forked from one process that has imported everything, never from pytest.

The thread pool of Polars does not survive a fork, so the parent of the children imports and does nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_S = 100


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended.

    Attributes:
        exit_code: 0, or minus the signal that killed it.
        value: What the function returned; None where it was killed.
    """

    exit_code: int
    value: Any


@cache
def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.orchestration.preloaded"])
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    # The server and so every child inherits these; nothing of a person's own home may play a part.
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    return context


def start(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Connection]:
    """A child at work; hand both to `ended`."""
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(sender, function, arguments), daemon=True)
    child.start()
    sender.close()
    return child, receiver


def ended(child: Any, receiver: Connection, *, patience_s: float = PATIENCE_S) -> Ended:
    """Wait for the child.

    Raises:
        AssertionError: It hangs, or its function raised.
    """
    try:
        value, fault = receiver.recv() if receiver.poll(patience_s) else (None, "the child hangs")
    except EOFError:
        value, fault = None, ""
    child.join(10 if not fault else 0)
    if fault:
        child.kill()
        raise AssertionError(fault)
    receiver.close()
    return Ended(int(child.exitcode), value)


def in_child(function: Callable[..., Any], *arguments: Any, patience_s: float = PATIENCE_S) -> Ended:
    return ended(*start(function, *arguments), patience_s=patience_s)


def _work(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        sender.send((function(*arguments), ""))
    except BaseException:  # noqa: BLE001 - the test shows it
        sender.send((None, traceback.format_exc()))
    sender.close()
