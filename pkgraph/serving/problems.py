"""Answers, and errors as RFC 9457 problem documents."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMON = b"x-content-type-options: nosniff\r\n"
NO_STORE = b"cache-control: no-store\r\n" + COMMON
_PROBLEM = b"content-type: application/problem+json\r\n" + NO_STORE
_JSON = b"content-type: application/json\r\n" + NO_STORE


class Answer(NamedTuple):
    """What goes back to a caller.

    Attributes:
        head: Header lines, each with its line end; the connection adds length, date and request id.
    """

    status: int
    head: bytes
    body: bytes


class Problem(Exception):
    """An answer that is an error.

    Attributes:
        slug: Stable name of the kind of problem, the end of its `type`.
        detail: What was wrong with this request, and what would be right.
        head: More header lines.
    """

    def __init__(self, status: int, slug: str, detail: str, head: bytes = b"") -> None:
        self.status = status
        self.slug = slug
        self.detail = detail
        self.head = head
        super().__init__(detail)


def as_json(body: Mapping[str, Any]) -> bytes:
    """Compact JSON; a number that is none is our fault and raises."""
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def json_answer(body: Mapping[str, Any], status: int = 200) -> Answer:
    """An answer about this very moment: never cached."""
    return Answer(status, _JSON, as_json(body))


def problem_answer(problem: Problem, instance: str) -> Answer:
    """The problem as a document; `instance` is the path that was asked for, as it came."""
    body = {
        "type": f"urn:pkgraph:problem:{problem.slug}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
    }
    # Escaped to ASCII: a detail may quote half a character of what was sent.
    content = json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode()
    return Answer(problem.status, _PROBLEM + problem.head, content)
