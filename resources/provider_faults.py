"""What a provider's error means for the next call, told without the secrets that providers echo.

Errors are told apart by HTTP status, so nothing of litellm is imported here.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from pkgraph.errors import CallFailed, ProviderGone

if TYPE_CHECKING:
    from resources.wire import Wire

_MAX_CHARS = 300
# What keys of providers look like, for those that litellm read from the environment on its own.
_KEYS = re.compile(
    r"(?i)\b(?:sk|pk|rk|gsk|hf|xai|key)[-_][\w*-]{6,}|\bAIza[\w-]{20,}|bearer\s+[\w.~+/=-]{6,}"
)
# 402 no credit, 401/403 key, 404/405 no such model or address: as true for the next prompt as for this one.
_FINAL_FOR_ALL = {401, 402, 403, 404, 405}
_TRANSIENT = {408, 409, 425, 429}
# 529 is Anthropic's "overloaded".
_OVERLOADED = {429, 503, 529}
_FIRST_ERROR, _FIRST_SERVER_ERROR = 400, 500
_MADE_UP = {408, 500}
_REMEDY = "Check the model's name, its key (`api_key_env`) and its account, then run again."
_NO_CREDIT = ("insufficient_quota", "billing")


class Redaction:
    """Takes keys and lines out of a provider's text before anything else sees it."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[redacted]")
        text = _KEYS.sub("[redacted]", text[: 10 * _MAX_CHARS])
        return " ".join(text.split())[:_MAX_CHARS]


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date; None for anything else."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def classify(
    error: Exception, wire: Wire, redact: Redaction, *, deadline_s: float
) -> ProviderGone | CallFailed:
    """What an error of a request means for the next one.

    Where the wire saw no answer, litellm's own status counts: some of its providers use other clients.
    """
    status = wire.status if wire.status is not None else _status(error)
    said = str(error)
    is_error_status = status is not None and status >= _FIRST_ERROR
    if isinstance(error, TimeoutError):
        return CallFailed(f"no answer within {deadline_s:g} s", is_transient=True, may_be_billed=True)
    if wire.refusal is not None:
        return CallFailed(wire.refusal, may_be_billed=not is_error_status)
    text = redact(f"{type(error).__name__}: {said}")
    if status in _FINAL_FOR_ALL or "LLM Provider NOT provided" in said or _has_no_credit(status, said):
        return ProviderGone(text, remedy=_REMEDY)
    return CallFailed(
        text,
        # Without an error status the request did not get through, or what came back is no answer.
        is_transient=not is_error_status or status in _TRANSIENT or (status or 0) >= _FIRST_SERVER_ERROR,
        slows_down=status in _OVERLOADED,
        # Refused, or never sent: nothing was worked on.
        may_be_billed=wire.was_sent and not is_error_status,
        retry_after_s=retry_after_s(wire.headers.get("retry-after"), datetime.now(UTC)),
    )


def _status(error: Exception) -> int | None:
    """The HTTP status in litellm's error, except those that it makes up for broken connections."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and status not in _MADE_UP else None


def _has_no_credit(status: int | None, said: str) -> bool:
    return status == 429 and any(word in said for word in _NO_CREDIT)  # noqa: PLR2004 - HTTP status
