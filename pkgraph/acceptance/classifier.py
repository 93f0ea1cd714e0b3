"""The hallucination classifier: plain numbers in JSON, checked when read, never code.

It has members. Sources are dealt out to them by a hash, and each member was trained on the labels of the
other members' sources: no statement is ever judged by a member that has seen a label of its source. So every
label serves twice, and what is measured on the labels is measured on what is published.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from pkgraph.acceptance.member import Floats, Member, Signal, Witness, Word, probability
from pkgraph.acceptance.statements import TEXTS
from pkgraph.errors import InputError
from pkgraph.evidence import SIGNALS

if TYPE_CHECKING:
    import polars as pl

FORMAT = "pkgraph-hallucination-classifier-1"
MAX_BYTES = 8 << 20
_MAX_MEMBERS = 16


@dataclass(frozen=True, slots=True)
class HallucinationClassifier:
    """Probability that a statement holds.

    Attributes:
        members: See the module; at least one.
        seed: Deals sources out to members.
        n_labels: Labelled statements it was trained on.
        is_transferred: Trained on another shop's labels: no certificate can be claimed.
    """

    members: tuple[Member, ...]
    seed: int
    n_labels: int
    is_transferred: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """Models it has labels of; empty where it does not tell models apart."""
        return tuple(sorted({name for member in self.members for name in member.witnesses}))

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def deal(self, sources: pl.Series) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Number of the member that judges each source, shape (n,)."""
        return deal(sources, self.seed, len(self.members))

    def probabilities(self, statements: pl.DataFrame) -> Floats:
        """Probability that each statement holds, shape (n_statements,).

        Args:
            statements: As `statements_of` makes them.
        """
        judged_by = self.deal(statements["source"])
        found = np.full(statements.height, np.nan)
        for number, member in enumerate(self.members):
            mine = judged_by == number
            if mine.any():
                found[mine] = probability(member.logits(statements.filter(mine)))
        return found

    def explain(self, statements: pl.DataFrame, relation_id: str) -> dict[str, float]:
        """What spoke for (positive) and against (negative) a statement, in logits, strongest first.

        The parts and the "base" sum to the logit of its probability.

        Raises:
            InputError: There is no such statement.
        """
        row = statements.filter(relation_id=relation_id)
        if row.is_empty():
            raise InputError(f"There is no evidence about the relation {relation_id}.")
        return self.contributions(row)

    def contributions(self, row: pl.DataFrame) -> dict[str, float]:
        """The same of a frame of one statement, as `statements_of` makes it of an accepted or scored one.

        A signal's name to its part; "words of <field>" for the words of a text, "witness" for the model.
        """
        member = self.members[int(self.deal(row["source"])[0])]
        parts = {name: float(part[0]) * member.slope for name, part in member.contributions(row).items()}
        ordered = sorted(parts.items(), key=lambda part: (-abs(part[1]), part[0]))
        return {"base": member.bias * member.slope + member.offset} | dict(ordered)

    def to_json(self) -> str:
        document = {"format": FORMAT, **_plain(self)}
        return json.dumps(
            document,
            ensure_ascii=False,
            sort_keys=True,
            allow_nan=False,
            separators=(",", ":"),
            # Record by record: dataclasses.asdict copies each of 5 000 numbers, in three times the time.
            default=_plain,
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> HallucinationClassifier:
        """The classifier in a document.

        Raises:
            InputError: It is no such document, or a number or a signal in it is not what it must be.
        """
        if len(text) > MAX_BYTES:
            raise InputError(f"A classifier of more than {MAX_BYTES} bytes is none.")
        try:
            data = json.loads(text, parse_constant=_refuse)
            if data.pop("format") != FORMAT:
                raise ValueError("another format")  # noqa: TRY301
            members = tuple(_member(one) for one in data.pop("members"))
            found = cls(members=members, **data)
            _check(found)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(
                f"The classifier cannot be read: {error}.",
                remedy="Materialize `hallucination_classifier` again.",
            ) from error
        return found


def deal(sources: pl.Series, seed: int, n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A number from 0 to n - 1 for each source, the same for the same source."""
    numbers = [int.from_bytes(hashlib.sha256(f"{seed}\x1f{s}".encode()).digest()[:8]) % n for s in sources]
    return np.array(numbers, dtype=np.int64)


def _plain(record: Any) -> dict[str, Any]:
    """A record's fields by name, with the records in them as they are."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _member(data: dict[str, Any]) -> Member:
    return Member(
        bias=data["bias"],
        signals={name: Signal(**one) for name, one in data["signals"].items()},
        words={field: {w: Word(**one) for w, one in words.items()} for field, words in data["words"].items()},
        witnesses={name: Witness(**one) for name, one in data["witnesses"].items()},
        slope=data["slope"],
        offset=data["offset"],
    )


def _check(classifier: HallucinationClassifier) -> None:
    if not 1 <= len(classifier.members) <= _MAX_MEMBERS:
        raise ValueError(f"{len(classifier.members)} members")
    for name in ("seed", "n_labels"):
        if type(getattr(classifier, name)) is not int:
            raise ValueError(f"{name} is no whole number")
    if type(classifier.is_transferred) is not bool:
        raise ValueError("is_transferred is neither true nor false")
    for member in classifier.members:
        _check_member(member)


def _check_member(member: Member) -> None:
    unknown = sorted(set(member.signals) - set(SIGNALS)) + sorted(set(member.words) - set(TEXTS))
    if unknown:
        raise ValueError(f"unknown signals {', '.join(unknown)}")
    records: list[Signal | Witness | Word] = [*member.signals.values(), *member.witnesses.values()]
    records += [word for words in member.words.values() for word in words.values()]
    numbers = [member.bias, member.slope, member.offset]
    numbers += [value for record in records for value in _plain(record).values()]
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
        raise ValueError("a weight is no finite number")
    if member.slope <= 0 or any(signal.scale <= 0 for signal in member.signals.values()):
        raise ValueError("a scale is not above 0")
