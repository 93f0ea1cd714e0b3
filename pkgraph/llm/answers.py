"""What the ledger keeps: an answer under its prompt, model, parameters and sample, and an attempt number."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pkgraph.model import Response, content_key

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class AnswerKey(NamedTuple):
    """Under what an answer is kept; `parameters` is canonical JSON."""

    prompt_id: str
    model: str
    parameters: str
    sample: int = 0

    def response_id(self, attempt: int) -> str:
        return content_key(*self[:3], str(self.sample), str(attempt), length=16)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """One row of the ledger.

    Attributes:
        asked_at: ISO 8601 in UTC, as the caller's clock said.
        parse_status: What the parser said of the text when it was last read; None where it never was.
    """

    key: AnswerKey
    attempt: int
    response: Response
    asked_at: str
    parse_status: str | None = None

    @property
    def response_id(self) -> str:
        return self.key.response_id(self.attempt)


def parameters_json(parameters: Mapping[str, object]) -> str:
    """Sampling parameters as canonical JSON: sorted, compact, one spelling each."""
    return json.dumps(dict(parameters), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def storable(text: str | None) -> str | None:
    """The text as every database can hold it: NUL and lone surrogates become U+FFFD, all else stays."""
    return None if text is None else _UNSTORABLE.sub("\ufffd", text)
