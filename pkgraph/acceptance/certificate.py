"""The certificate: at most alpha of the published pairs are wrong, with confidence 1 - delta.

A pair is a statement and a kind that its phrase was resolved to: what becomes an edge. It is wrong if the
statement does not hold or the kind is not what the phrase asks for; both errors are in the bound.

**Why pairs of one prompt may all be counted.** They are alike, so they are no independent draws from all
prompts one might ask. The bound does not speak of those: it speaks of a finite set of pairs, the frame, of
which the labelled ones were drawn uniformly at random. Scores and truth are fixed before the draw, and the
draw alone is random, so the count of wrong ones in the sample is hypergeometric however alike the pairs are.

**Pairs outside the frame** (new answers, new categories) are judged by a second, stricter threshold, from
Clopper and Pearson's bound on a sample shrunk by its design effect. It assumes that they are like the sample;
that is why a drift test and the audits watch them, see `pkgraph.acceptance.validity`.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pkgraph.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHERS = "others"
"""The part of the relation types without a promise of their own."""

ASSUMPTIONS = (
    "The labelled pairs were drawn uniformly at random from the frame, all pairs of the answers it names.",
    "The labels are right: their annotators are the yardstick, and their errors are not in the bound.",
    "Nothing was trained, tuned or chosen on the labels that certify; the draw's earlier part may have been.",
    "A statement holds or does not, whichever kind of it was drawn; an acceptable kind counts as right.",
    "Pairs outside the frame: they are like the labelled ones, as far as drift test and audits can tell.",
)


@dataclass(frozen=True, slots=True)
class Beyond:
    """What is claimed of pairs outside the frame, under the last assumption.

    Attributes:
        threshold: Least probability at which one of them is published.
        n, errors: Labelled pairs at or above it, and the wrong ones.
        effect: Alike pairs that count as one independent draw, >= 1.
        bound: Upper bound on their long-run wrong share, <= alpha.
    """

    threshold: float
    n: int
    errors: int
    effect: float
    bound: float


@dataclass(frozen=True, slots=True)
class Part:
    """What is claimed of the pairs of some relation types.

    Attributes:
        alpha, delta: At most alpha of what is published is wrong, with confidence 1 - delta.
        threshold: Least probability that is published; None where no threshold holds: nothing is.
        n: Pairs at or above the threshold that were judged to certify.
        errors: How many of them are wrong.
        n_refused: Pairs that these verdicts keep out: the wrong ones, and their statements' other targets.
        n_published: Pairs of the frame the bound speaks of, those kept out not counted.
        most_wrong: How many of these are wrong at most, all of them pairs nobody looked at.
        kept_share: Share of the right pairs among those judged to certify that is published.
        beyond: Of pairs outside the frame; None: none may be published.
        n_known: Published pairs that the tuning part of the sample found right.
    """

    alpha: float
    delta: float
    threshold: float | None
    n: int
    errors: int
    n_refused: int
    n_published: int
    most_wrong: int
    kept_share: float
    beyond: Beyond | None
    n_known: int = 0

    @property
    def bound(self) -> float:
        return self.most_wrong / self.n_published if self.n_published else 0.0

    @property
    def is_sound(self) -> bool:
        """Whether the numbers can be those of a claim that holds."""
        shares = [self.alpha, self.delta, self.kept_share, self.threshold or 0.0]
        shares += [self.beyond.threshold, self.beyond.bound] if self.beyond else []
        counts = (self.n, self.errors, self.n_refused, self.n_known, self.n_published, self.most_wrong)
        is_possible = all(math.isfinite(share) and 0 <= share <= 1 for share in shares)
        is_possible = is_possible and all(type(count) is int and count >= 0 for count in counts)
        is_held = self.threshold is None or (self.n >= 1 and self.bound <= self.alpha + _ROUNDING)
        is_beyond = self.beyond is None or (self.beyond.n >= 1 and self.beyond.bound <= self.alpha)
        return is_possible and is_held and is_beyond and 0 < self.alpha < _HALF and 0 < self.delta < _HALF


_ROUNDING = 1e-6
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a snapshot may claim.

    Attributes:
        parts: Relation type with a promise of its own, or `OTHERS`, to what is claimed of it.
        n_labels: Pairs of the random sample that were judged to certify.
        n_frame: Pairs it was drawn from.
        label_source: Where the labels come from.
        fingerprints: Name of an input (classifier, mapping, models, promise, templates) to its key; a change
            of one voids the certificate.
        n_tuning: Pairs of the sample's earlier part, which trained and tuned.
        sample: Key of the verdicts that certified. Audits that were drawn under it count, whatever else
            changes meanwhile; those of a former sample do not.
    """

    parts: Mapping[str, Part]
    n_labels: int
    n_frame: int
    label_source: str
    assumptions: tuple[str, ...] = ASSUMPTIONS
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    n_tuning: int = 0
    sample: str = ""

    @property
    def held(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts.values() if part.threshold is not None)

    @property
    def alpha(self) -> float:
        """The largest of the parts'."""
        return max(part.alpha for part in self.held)

    @property
    def delta(self) -> float:
        """Chance that the claim about any part is false: the sum of theirs."""
        return min(1.0, sum(part.delta for part in self.held))

    @property
    def threshold(self) -> float:
        """Of `OTHERS`, or the strictest where nothing is claimed of them."""
        others = self.parts.get(OTHERS)
        known = others.threshold if others else None
        return max(part.threshold or 0.0 for part in self.held) if known is None else known

    @property
    def n_published(self) -> int:
        return sum(part.n_published for part in self.held)

    @property
    def most_wrong(self) -> int:
        return sum(part.most_wrong for part in self.held)

    @property
    def bound(self) -> float:
        """Upper bound on the wrong share of all pairs of the frame that are published."""
        return self.bound_over(self.n_published)

    def bound_over(self, n: int, n_found: int = 0) -> float:
        """The bound where only n of the pairs are published: all the wrong ones may be among them.

        A category that was held back, or rows without products, can leave fewer than were tested.

        Args:
            n: Pairs of the frame that are published.
            n_found: Pairs of the frame that were found wrong after it was certified, and are not.
        """
        return min(1.0, max(0, self.most_wrong - n_found) / n) if n > 0 else 1.0

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values for the manifest; the totals stand beside the parts they follow from."""
        record: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return record | {
            "alpha": self.alpha,
            "delta": self.delta,
            "threshold": self.threshold,
            "n": sum(part.n for part in self.held),
            "errors": sum(part.errors for part in self.held),
            "bound": self.bound,
            "n_published": self.n_published,
            "most_wrong": self.most_wrong,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Certificate:
        """The certificate in plain JSON values.

        Raises:
            InputError: A number is missing or impossible, or a total is not that of the parts.
        """
        try:
            fields = {name: record[name] for name in ("n_labels", "n_frame", "label_source")}
            parts = {name: _part(one) for name, one in record["parts"].items()}
            found = cls(
                parts,
                **fields,
                assumptions=tuple(record["assumptions"]),
                fingerprints=dict(record["fingerprints"]),
                n_tuning=record["n_tuning"],
                sample=record["sample"],
            )
            is_sound = bool(found.held) and all(part.is_sound for part in parts.values())
            if not is_sound or found.to_record() != dict(record):
                raise ValueError("its numbers contradict each other")  # noqa: TRY301
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"The certificate cannot be read: {error}.") from error
        return found

    def changed_inputs(self, fingerprints: Mapping[str, str]) -> tuple[str, ...]:
        """Names of the inputs that are not those it was made for; none: it stands."""
        names = {*self.fingerprints, *fingerprints}
        return tuple(sorted(n for n in names if self.fingerprints.get(n) != fingerprints.get(n)))


def _part(data: Mapping[str, Any]) -> Part:
    beyond = data["beyond"]
    return Part(**{**data, "beyond": Beyond(**beyond) if beyond else None})
