"""The replaying language model: recorded answers from a JSONL file, free and the same every time.

One line an answer: `prompt_id` and `text`, and where known `model`, `finish_reason`, `usage`, `latency_s`.
Further lines of one prompt are further samples of it, unless they name the `sample` they are another attempt
at. A line that cannot be read costs that line alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from pkgraph.errors import InputError
from pkgraph.model import Prompt, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# The longest recorded answer of the demo has some 2 400 characters; a line beyond a megabyte is no answer.
MAX_LINE_CHARS = 1_000_000
_MAX_PROMPT_ID_CHARS = 64
_MAX_LATENCY_S = 1e6
_MAX_TOKENS = 1_000_000_000
_MAX_NAME_CHARS = 200


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of an answer file left out: its number from 1, and why in one word and in a sentence."""

    line: int
    reason: str
    detail: str


def _count(usage: object, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_TOKENS
    return value if is_count else None


def _amount(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A bound as well as a check: NaN fails it, and so does an integer that no float can hold.
    return float(value) if 0 <= value <= _MAX_LATENCY_S else None


def response_from(name: str, row: Mapping[str, object], *, is_free: bool = True) -> Response:
    """The response of a line; replaying is free, whatever the answer once cost."""
    text, finish = row.get("text"), row.get("finish_reason")
    said_something = isinstance(text, str) and bool(text.strip())
    return Response(
        model=name,
        text=text if isinstance(text, str) else None,
        status="answered" if said_something else "unanswered",
        finish_reason=finish if isinstance(finish, str) else None,
        input_tokens=_count(row.get("usage"), "prompt_tokens"),
        output_tokens=_count(row.get("usage"), "completion_tokens"),
        cost_usd=0.0 if is_free else _amount(row.get("cost_usd")),
        latency_s=_amount(row.get("latency_s")),
        detail=None if said_something else "the recorded answer is empty",
        provider_model=_short(row.get("provider_model")),
    )


def _short(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= _MAX_NAME_CHARS else None


def _parsed(line: str) -> tuple[object, tuple[str, str] | None]:
    """The JSON value of a line, or why there is none."""
    if len(line) > MAX_LINE_CHARS:
        return None, ("too_long", f"more than {MAX_LINE_CHARS} characters")
    try:
        return json.loads(line.encode()), None
    except UnicodeEncodeError:
        # Bytes that are no UTF-8 were read as lone surrogates, which cannot be written again.
        return None, ("not_utf8", "bytes that are no UTF-8")
    except (ValueError, RecursionError) as error:
        return None, ("not_json", str(error)[:200])


def row_from(line: str) -> tuple[dict[str, object], tuple[str, str] | None]:
    """The fields of a line, or why it is left out."""
    row, fault = _parsed(line)
    if fault is not None:
        return {}, fault
    if not isinstance(row, dict):
        return {}, ("not_an_object", f"a JSON {type(row).__name__} where an object is expected")
    key = row.get("prompt_id")
    if not isinstance(key, str) or not 0 < len(key) <= _MAX_PROMPT_ID_CHARS:
        return {}, ("missing_prompt_id", "no prompt_id, or one that is no text of at most 64 characters")
    if not isinstance(row.get("text"), str | None):
        return {}, ("wrong_text", "text is neither text nor null")
    return row, None


class ReplayLanguageModel:
    """Answers from a file, or honestly none: nothing is ever sent.

    Attributes:
        name: Lines of other models are passed over; a line without a model belongs to this one.
        n_other_models: Lines that belong to other models.
    """

    def __init__(self, name: str, answers: str | Path) -> None:
        self._name = name
        self._answers: dict[str, list[Response]] = {}
        self._bad_lines: list[BadLine] = []
        self.n_other_models = 0
        for number, line in enumerate(answer_lines(answers), start=1):
            self._take(number, line)

    def _take(self, number: int, line: str) -> None:
        if not line.strip():
            return
        row, fault = row_from(line)
        if fault is not None:
            self._bad_lines.append(BadLine(number, *fault))
        elif row.get("model") not in (None, self._name):
            self.n_other_models += 1
        else:
            self._keep(row)

    def _keep(self, row: Mapping[str, object]) -> None:
        """Another attempt at a sample takes the place of the former; any other line is a further sample."""
        samples, at = self._answers.setdefault(str(row["prompt_id"]), []), row.get("sample")
        if isinstance(at, int) and 0 <= at < len(samples):
            samples[at] = response_from(self._name, row)
        else:
            samples.append(response_from(self._name, row))

    @property
    def name(self) -> str:
        return self._name

    @property
    def bad_lines(self) -> tuple[BadLine, ...]:
        """What could not be read, in the order of the file."""
        return tuple(self._bad_lines)

    @property
    def parameters(self) -> Mapping[str, object]:
        """None: whatever the answers were sampled with happened elsewhere."""
        return MappingProxyType({})

    @property
    def prompt_ids(self) -> tuple[str, ...]:
        """Prompts with a recorded answer, sorted."""
        return tuple(sorted(self._answers))

    def answer(self, prompt: Prompt, *, sample: int = 0) -> Response:
        """The recorded answer; "unanswered" where there is none."""
        recorded = self._answers.get(prompt.prompt_id, [])
        if sample < len(recorded):
            return recorded[sample]
        return Response(self._name, None, status="unanswered", detail="no recorded answer")

    def unused(self, prompt_ids: Iterable[str]) -> tuple[str, ...]:
        """Recorded prompts that are not among those asked, sorted: answers to unknown questions."""
        return tuple(sorted(set(self._answers) - set(prompt_ids)))


def answer_lines(answers: str | Path) -> list[str]:
    from upath import UPath  # noqa: PLC0415 - only files need it

    try:
        # A byte that is no UTF-8 costs its line, not the file.
        text = UPath(answers).read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise InputError(
            f"The recorded answers {answers} cannot be read: {error.strerror or error}.",
            remedy="Check `answers` of this model in the settings.",
        ) from error
    return text.split("\n")
