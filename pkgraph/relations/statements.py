"""What a statement must fulfil to become a relation: one rule a reason, each a sentence and a test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pkgraph.model import RelationType, normalise_rationale
from pkgraph.prompts.untrusted import plain_phrase
from pkgraph.relations.parsing import DuplicateKeys

if TYPE_CHECKING:
    from collections.abc import Callable

# The longest of the 3 053 recorded statements: product 34, rationale 52, explanation 141 characters.
MAX_PRODUCT_CHARS = 80
MAX_RATIONALE_CHARS = 60
MAX_EXPLANATION_CHARS = 300

_RELATION_TYPES = frozenset(RelationType)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, cleaned and typed but not yet believed.

    Attributes:
        raw: As it came.
        relation, product, rationale, explanation: Each cut one character beyond its limit; "" where there is
            no text.
        confidence: NaN where it is missing or no number.
        is_about_purpose: The rationale is the prompt's, not the model's.
        is_repeated: The same relation, rationale and product stand earlier in the answer.
        is_cut_off: The answer ends inside it.
    """

    raw: object
    relation: str
    product: str
    rationale: str
    explanation: str
    confidence: float
    is_about_purpose: bool = False
    is_repeated: bool = False
    is_cut_off: bool = False

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.relation, self.rationale, self.product.casefold()


def _text(raw: object, field: str, limit: int) -> str:
    value = raw.get(field) if isinstance(raw, dict) else None
    return plain_phrase(value, limit=limit + 1) if isinstance(value, str) else ""


def _confidence(raw: object) -> float:
    value = raw.get("confidence") if isinstance(raw, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if -1 <= value <= 2 else math.nan  # noqa: PLR2004 - an integer of 4 000 digits is no float


def statement_from(raw: object, *, purpose: str | None) -> Statement:
    """The statement in a JSON value of any type.

    Args:
        raw: A statement as it came.
        purpose: What the prompt asked about; it is the rationale then, whatever the model wrote.
    """
    rationale = _text(raw, "rationale", MAX_RATIONALE_CHARS) if purpose is None else purpose
    return Statement(
        raw=raw,
        relation=_text(raw, "relation", 40).casefold(),
        product=_text(raw, "product", MAX_PRODUCT_CHARS),
        rationale=normalise_rationale(rationale),
        explanation=_text(raw, "explanation", MAX_EXPLANATION_CHARS),
        confidence=_confidence(raw),
        is_about_purpose=purpose is not None,
    )


def _has_wrong_type(statement: Statement) -> bool:
    raw = statement.raw
    if not isinstance(raw, dict):
        return True
    fields = [raw.get(name) for name in ("relation", "rationale", "product", "explanation")]
    return any(value is not None and not isinstance(value, str) for value in fields)


def _is_too_long(statement: Statement) -> bool:
    return (
        len(statement.product) > MAX_PRODUCT_CHARS
        or len(statement.explanation) > MAX_EXPLANATION_CHARS
        or (len(statement.rationale) > MAX_RATIONALE_CHARS and not statement.is_about_purpose)
    )


def _has_no_word(text: str) -> bool:
    return not any(character.isalpha() for character in text)


# Reason -> what holds where it does not apply, and whether a statement breaks it.
# The first broken rule is the reason; the others follow in the detail.
STATEMENT_RULES: dict[str, tuple[str, Callable[[Statement], bool]]] = {
    "cut_off": ("The answer does not end inside the statement.", lambda s: s.is_cut_off),
    "wrong_type": ("A statement is an object whose fields are texts.", _has_wrong_type),
    "duplicate_key": ("A statement names each field once.", lambda s: isinstance(s.raw, DuplicateKeys)),
    "unknown_relation_type": (
        f"The relation is one of {', '.join(RelationType)}.",
        lambda s: s.relation not in _RELATION_TYPES,
    ),
    "empty_product": ("The product has at least one letter.", lambda s: _has_no_word(s.product)),
    "empty_rationale": ("The rationale has at least one letter.", lambda s: _has_no_word(s.rationale)),
    "empty_explanation": ("The explanation has at least one letter.", lambda s: _has_no_word(s.explanation)),
    "too_long": (
        (
            f"Product, rationale and explanation have at most {MAX_PRODUCT_CHARS}, {MAX_RATIONALE_CHARS} "
            f"and {MAX_EXPLANATION_CHARS} characters."
        ),
        _is_too_long,
    ),
    "confidence_out_of_range": (
        "The confidence is a number from 0 to 1.",
        lambda s: not 0 <= s.confidence <= 1,
    ),
    "repeated_statement": (
        "Relation, rationale and product differ from those of every earlier statement of the answer.",
        lambda s: s.is_repeated,
    ),
}


# Of half a statement, or of one that is no object of texts, nothing else can be said.
_DECISIVE = {"cut_off", "wrong_type"}


def broken_rules(statement: Statement) -> list[str]:
    """Every rule that the statement breaks, in the order of STATEMENT_RULES; a decisive one stands alone."""
    broken = [name for name, (_, breaks) in STATEMENT_RULES.items() if breaks(statement)]
    return broken[:1] if broken and broken[0] in _DECISIVE else broken
