"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

import json
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pkgraph.errors import InputError


class Problem(Exception):
    """An answer that is an error.

    Attributes:
        slug: Stable name of the kind of problem, the end of its `type`.
        detail: What was wrong with this request, and what would be right.
    """

    def __init__(self, status: int, slug: str, detail: str) -> None:
        self.status = status
        self.slug = slug
        self.detail = detail
        super().__init__(detail)


def problem_response(problem: Problem, path: str, headers: dict[str, str] | None = None) -> Response:
    body = {
        "type": f"urn:pkgraph:problem:{problem.slug}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": path,
    }
    return Response(
        json.dumps(body, ensure_ascii=True),
        problem.status,
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
        media_type="application/problem+json",
    )


async def answer_problem(request: Request, error: Exception) -> Response:
    """Whatever was raised while answering, as a problem document; our own faults keep details to the log."""
    path = request.scope["path"]
    match error:
        case Problem():
            return problem_response(error, path)
        case InputError():
            return problem_response(Problem(400, "bad-request", str(error)), path)
        case HTTPException():
            slug = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
            return problem_response(
                Problem(error.status_code, slug, error.detail), path, dict(error.headers or {})
            )
    return problem_response(Problem(500, "internal-error", "The server failed; its log says why."), path)


HANDLERS = {
    Problem: answer_problem,
    InputError: answer_problem,
    HTTPException: answer_problem,
    Exception: answer_problem,
}
