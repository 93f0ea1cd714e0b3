"""What a provider's error means for the next call, told without the secrets that providers echo.

Errors are told apart by HTTP status, so nothing of litellm is imported here.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MAX_CHARS = 300
# What keys of providers look like, for those that litellm read from the environment on its own.
_KEYS = re.compile(
    r"(?i)\b(?:sk|pk|rk|gsk|hf|xai|key)[-_][\w*-]{6,}|\bAIza[\w-]{20,}|bearer\s+[\w.~+/=-]{6,}"
)
# 402 no credit, 401/403 key, 404/405 no such model or address: as true for the next prompt as for this one.
_FINAL_FOR_ALL = {401, 402, 403, 404, 405}
_TRANSIENT = {408, 409, 425, 429}
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


class Fault(Exception):
    """One call that brought no answer; its text is fit to be shown.

    Attributes:
        is_transient: Another attempt at this prompt may succeed.
        is_final_for_all: No call of any prompt can succeed.
        retry_after_s: How long the provider asks to wait; None where it does not say.
    """

    def __init__(
        self,
        text: str,
        *,
        is_transient: bool = False,
        is_final_for_all: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        self.is_transient = is_transient
        self.is_final_for_all = is_final_for_all
        self.retry_after_s = retry_after_s
        super().__init__(text)


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


def _header(error: Exception, name: str) -> str | None:
    headers = getattr(getattr(error, "response", None), "headers", None) or getattr(
        error, "litellm_response_headers", None
    )
    value = headers.get(name) if headers is not None else None
    return value if isinstance(value, str) else None


def classify(error: Exception, redact: Redaction, *, deadline_s: float) -> Fault:
    """What an error of a call means for the next one."""
    if isinstance(error, TimeoutError):
        return Fault(f"no answer within {deadline_s:g} s", is_transient=True)
    status = getattr(error, "status_code", None)
    text = redact(f"{type(error).__name__}: {error}")
    is_final = status in _FINAL_FOR_ALL or "LLM Provider NOT provided" in str(error)
    if status == 429 and any(word in str(error) for word in _NO_CREDIT):  # noqa: PLR2004 - HTTP status
        is_final = True
    is_server_side = isinstance(status, int) and (status in _TRANSIENT or status >= 500)  # noqa: PLR2004
    # Without a status the call did not get through at all: connection refused or reset, a name not found.
    return Fault(
        text,
        is_transient=not is_final and (is_server_side or status is None),
        is_final_for_all=is_final,
        retry_after_s=retry_after_s(_header(error, "retry-after"), datetime.now(UTC)),
    )
