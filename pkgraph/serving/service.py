"""From a whole request to an answer, whatever happens on the way; no sockets here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pkgraph.errors import InputError
from pkgraph.serving.endpoints import Ask
from pkgraph.serving.fields import bad
from pkgraph.serving.problems import Answer, Problem, problem_answer
from pkgraph.serving.routes import find_route

if TYPE_CHECKING:
    from pkgraph.serving.endpoints import Headers
    from pkgraph.serving.events import Log
    from pkgraph.serving.metrics import Metrics
    from pkgraph.serving.routes import Route
    from pkgraph.serving.served import Served

_ALLOWED = {"GET": (b"GET", b"HEAD"), "POST": (b"POST",)}
_HOST = re.compile(rb"([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


def _check_method(method: bytes, route: Route) -> None:
    if method not in _ALLOWED[route.method]:
        allow = b"allow: " + b", ".join(_ALLOWED[route.method]) + b"\r\n"
        raise Problem(405, "method-not-allowed", f"{route.path} takes {route.method}.", allow)


@dataclass(slots=True)
class Service:
    """What the connections ask.

    Attributes:
        hosts: Lower-case host names that requests may name; empty: any.
    """

    served: Served
    metrics: Metrics
    log: Log
    hosts: frozenset[bytes] = frozenset()
    is_draining: bool = False

    def check_host(self, host: bytes) -> None:
        """A host header is never put into an answer; what is no host name, or none of ours, is refused.

        Raises:
            Problem: 400 or 421.
        """
        found = _HOST.fullmatch(host)
        if not found:
            raise bad("The Host header must be one host name, with a port or without.")
        if self.hosts and found[1].lower() not in self.hosts:
            raise Problem(421, "misdirected-request", "This server does not answer for that host.")

    def answer(self, method: bytes, target: bytes, headers: Headers, body: bytes) -> tuple[str, Answer]:
        """The name of the route, and the answer; every error becomes a problem document."""
        path, _, query = target.partition(b"?")
        name = "none"
        try:
            route, value = find_route(path)
            name = route.name
            _check_method(method, route)
            ask = Ask(
                self.served, self.metrics, value, query, headers, body, self.is_draining, self._age_seconds
            )
            return name, route.answer(ask)
        except Problem as problem:
            return name, problem_answer(problem, path.decode("latin-1"))
        except InputError as error:
            return name, problem_answer(bad(str(error)), path.decode("latin-1"))
        except Exception as error:  # noqa: BLE001 - the border: a fault of ours costs this answer alone
            self.log.failed("answer_failed", error, target=target.decode("latin-1"))
            fault = Problem(500, "internal-error", "The server failed; its log says why.")
            return name, problem_answer(fault, path.decode("latin-1"))

    def _age_seconds(self, created_at: str) -> float:
        """Time since a moment; 0 where the text is no moment: it is information only."""
        try:
            moment = datetime.fromisoformat(created_at)
        except ValueError:
            return 0.0
        now = self.log.clock()
        return (now - (moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo))).total_seconds()
