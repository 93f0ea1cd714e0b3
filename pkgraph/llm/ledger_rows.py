"""How an answer lies in a row of the ledger."""

from __future__ import annotations

import sqlalchemy as sa

from pkgraph.llm.answers import AnswerKey, StoredAnswer, storable
from pkgraph.llm.ledger_tables import READINGS, RESPONSES
from pkgraph.model import Response

ANSWERS = sa.select(RESPONSES, READINGS.c.parse_status).join_from(
    RESPONSES, READINGS, RESPONSES.c.response_id == READINGS.c.response_id, isouter=True
)
"""Every answer with what the parser last said of it; a row is read by `answer_of`."""


def row_of(answer: StoredAnswer) -> dict[str, object]:
    response = answer.response
    return {
        **answer.key._asdict(),
        "attempt": answer.attempt,
        "status": response.status,
        "text": storable(response.text),
        "finish_reason": storable(response.finish_reason),
        "input_tokens": response.input_tokens,
        "output_tokens": response.output_tokens,
        "cost_usd": response.cost_usd,
        "latency_s": response.latency_s,
        "detail": storable(response.detail),
        "provider_model": storable(response.provider_model),
        "asked_at": answer.asked_at,
    }


def answer_of(row: sa.Row[tuple[object, ...]]) -> StoredAnswer:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return StoredAnswer(
        AnswerKey(*(values[name] for name in AnswerKey._fields)),
        values["attempt"],
        Response(**{name: values[name] for name in Response.__dataclass_fields__}),
        values["asked_at"],
        values["parse_status"],
    )
