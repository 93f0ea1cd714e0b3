"""The log: one JSON object a line, on one stream, with the time in UTC."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Log:
    """Writes events; requests are gathered and written once a tick, for a write costs more than an answer.

    {"time":"2026-11-25T19:47:01.123456+00:00","event":"swapped","pid":71,"snapshot_id":"1f0c2b7d9a3e"}
    """

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], datetime] = utc_now
    _gathered: list[str] = field(default_factory=list)

    def _line(self, event: str, fields: dict[str, Any]) -> str:
        # Escaped to ASCII: a path or header may hold bytes that steer a terminal.
        return json.dumps({"time": self.clock().isoformat(), "event": event, "pid": os.getpid(), **fields})

    def say(self, event: str, **fields: Any) -> None:
        self.gather(event, **fields)
        self.flush()

    def failed(self, event: str, error: BaseException, **fields: Any) -> None:
        """An error of our own, with its traceback."""
        self.say(event, **fields, error=repr(error), traceback="".join(traceback.format_exception(error)))

    def gather(self, event: str, **fields: Any) -> None:
        self._gathered.append(self._line(event, fields))

    def flush(self) -> None:
        if self._gathered:
            lines, self._gathered = self._gathered, []
            self.stream.write("".join(f"{line}\n" for line in lines))
            self.stream.flush()
