"""What distilling would cost, before anything is sent: calls, tokens and US dollars a model and category."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import polars as pl

from pkgraph.llm.answers import AnswerKey, parameters_json
from pkgraph.model import PURPOSES
from pkgraph.prompts.judging import JUDGE_TEMPLATE, judge_prompts, judged_statements, specimen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pkgraph.llm.answers import StoredAnswer
    from pkgraph.llm.ledger import Ledger
    from pkgraph.llm.prices import Prices

# A handful of answers says little of the mean: until a model has so many, the recorded ones stand in.
_ENOUGH_ANSWERS = 20


@dataclass(frozen=True, slots=True)
class OutputTokens:
    """How long answers to a template are, tokens: the shortest twentieth, the mean."""

    low: float
    likely: float


# The 348 recorded answers of the demo, counted with the tokenizer of gpt-4o; of the judge, the form that is
# asked for about the statements of its 408 answers with any.
RECORDED = {
    "companions.v1": OutputTokens(297, 360),
    "occasions.v1": OutputTokens(422, 445),
    JUDGE_TEMPLATE: OutputTokens(83, 123),
}
_UNKNOWN = OutputTokens(297, 445)


class Estimated(Protocol):
    """What has to be known of a model; it is never asked anything.

    Attributes:
        parameters: As the ledger's key has them.
        max_tokens: The longest answer it may give.
        attempts: Requests for one prompt at most.
        prices: None where nobody knows them.
        recorded: Prompts with a recorded answer; None for a live model.
    """

    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, object]: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def prices(self) -> Prices | None: ...
    @property
    def recorded(self) -> frozenset[str] | None: ...

    def count_tokens(self, messages: Sequence[Mapping[str, str]]) -> int: ...


SCHEMA = pl.Schema(
    {
        "model": pl.String,
        "category_key": pl.String,
        "category": pl.String,
        "n_prompts": pl.Int64,
        "n_answered": pl.Int64,
        "n_calls": pl.Int64,
        "input_tokens": pl.Int64,
        "output_tokens_min": pl.Int64,
        "output_tokens_likely": pl.Int64,
        "output_tokens_max": pl.Int64,
        "usd_min": pl.Float64,
        "usd_likely": pl.Float64,
        "usd_max": pl.Float64,
        "usd_batch": pl.Float64,
    }
)
"""One row a model and category. `usd_min`: each answer is as short as the shortest twentieth;
`usd_likely`: as long as the mean; `usd_max`: each is cut off at `max_tokens`, and every attempt is needed and
billed; `usd_batch`: likely, at the price of the Batch API. Null where the price is not known."""


def prompts_to_price(kinds: pl.DataFrame, companions: pl.DataFrame, occasions: pl.DataFrame) -> pl.DataFrame:
    """Columns category_key, category, prompt_id, template, messages: every prompt of the shop.

    Args:
        kinds: KINDS.
        companions: PROMPTS, one a kind.
        occasions: PROMPTS, one a purpose.
    """
    of_kind = kinds.select("kind_id", "category_key", "category")
    wanted = ("category_key", "category", "prompt_id", "template", "messages")
    purposes = occasions.with_columns(category_key=pl.lit(PURPOSES), category=pl.lit(PURPOSES))
    found = companions.join(of_kind, left_on="source_kind_id", right_on="kind_id").select(wanted)
    return pl.concat([found, purposes.select(wanted)]).sort("category_key", "prompt_id")


def judge_prompts_to_price(
    prompts: pl.DataFrame,
    relations: pl.DataFrame,
    read: pl.DataFrame,
    models: Mapping[str, frozenset[str] | None],
) -> pl.DataFrame:
    """The same of what a judge would be asked: about the statements that are there, and those to be expected.

    Args:
        prompts: As `prompts_to_price` gives them.
        relations: RELATIONS; what is there is asked about word for word.
        read: Columns prompt_id and model of every answer that was read, with or without statements.
        models: Those that make statements, with the prompts they have a recorded answer to; None: live ones.
    """
    category = prompts.select("prompt_id", "category_key", "category")
    ours = relations.join(category, on="prompt_id", how="semi")
    asked_about = judged_statements(ours).join(ours.select("relation_id", of="prompt_id"), on="relation_id")
    there = asked_about.unique("prompt_id", keep="first", maintain_order=True)
    known = judge_prompts(ours).join(there.select("prompt_id", "of"), on="prompt_id")
    known = known.join(category, left_on="of", right_on="prompt_id")
    asked = [
        prompts.with_columns(model=pl.lit(name)).filter(
            pl.lit(recorded is None) | pl.col("prompt_id").is_in(list(recorded or ()))
        )
        for name, recorded in models.items()
    ]
    still_open = pl.concat(asked).join(read.unique(), on=["prompt_id", "model"], how="anti")
    # An answer has at most as many statements as its prompt asks for.
    is_long = pl.col("template").str.starts_with("occasions")
    expected = still_open.with_columns(
        prompt_id=pl.concat_str("prompt_id", "model", separator=" "),
        messages=pl.when(is_long).then(pl.lit(specimen(12))).otherwise(pl.lit(specimen(8))),
        template=pl.lit(JUDGE_TEMPLATE),
    )
    columns = prompts.columns
    return pl.concat([known.select(columns), expected.select(columns)]).sort("category_key", "prompt_id")


def _answers(model: Estimated, prompts: pl.DataFrame, ledger: Ledger | None) -> dict[str, StoredAnswer]:
    if ledger is None:
        return {}
    parameters = parameters_json(model.parameters)
    found = ledger.latest(AnswerKey(key, model.name, parameters) for key in prompts["prompt_id"])
    return {key.prompt_id: answer for key, answer in found.items()}


def _lengths(prompts: pl.DataFrame, answers: Mapping[str, StoredAnswer]) -> dict[str, OutputTokens]:
    """How long this model's answers are by template, where the ledger has enough of them."""
    seen = defaultdict(list)
    for prompt_id, template in prompts.select("prompt_id", "template").iter_rows():
        tokens = answers[prompt_id].response.output_tokens if prompt_id in answers else None
        if tokens:
            seen[template].append(tokens)
    return {
        template: OutputTokens(sorted(tokens)[len(tokens) // 20], sum(tokens) / len(tokens))
        for template, tokens in seen.items()
        if len(tokens) >= _ENOUGH_ANSWERS
    }


def _row(
    model: Estimated, open_prompts: pl.DataFrame, lengths: Mapping[str, OutputTokens]
) -> dict[str, object]:
    texts = [json.loads(messages) for messages in open_prompts["messages"]]
    said = [lengths.get(t) or RECORDED.get(t, _UNKNOWN) for t in open_prompts["template"]]
    n_in, longest = sum(map(model.count_tokens, texts)), model.max_tokens * len(texts)
    low = min(round(sum(length.low for length in said)), longest)
    likely = min(round(sum(length.likely for length in said)), longest)
    prices = model.prices
    return {
        "n_calls": len(texts),
        "input_tokens": n_in,
        "output_tokens_min": low,
        "output_tokens_likely": likely,
        "output_tokens_max": longest,
        "usd_min": prices and prices.usd(n_in, low),
        "usd_likely": prices and prices.usd(n_in, likely),
        "usd_max": prices and prices.usd(n_in, longest) * model.attempts,
        "usd_batch": prices and prices.batch_usd(n_in, likely),
    }


_NOTHING = {name: 0 for name in SCHEMA if name.startswith(("n_calls", "input_", "output_", "usd_"))}


def estimate(prompts: pl.DataFrame, models: Iterable[Estimated], ledger: Ledger | None) -> pl.DataFrame:
    """What each model would be asked, by category; see `SCHEMA`. Nothing is sent and nothing is written.

    Args:
        prompts: As `prompts_to_price` gives them.
        models: Recorded ones cost nothing and are asked nothing.
        ledger: What it has an answer to is not asked again; None where there is none yet.
    """
    rows = []
    for model in models:
        answers = _answers(model, prompts, ledger)
        lengths = _lengths(prompts, answers)
        known = model.recorded if model.recorded is not None else answers.keys()
        for (key, title), found in prompts.group_by("category_key", "category", maintain_order=True):
            is_known = pl.col("prompt_id").is_in(list(known))
            still_open = found.filter(~is_known)
            cost = _NOTHING if model.recorded is not None else _row(model, still_open, lengths)
            head = {"model": model.name, "category_key": key, "category": title}
            n = {"n_prompts": found.height, "n_answered": found.height - still_open.height}
            rows.append({**head, **n, **cost})
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def totals(estimated: pl.DataFrame) -> pl.DataFrame:
    """One row a model, in the order they came; a sum over an unknown price is unknown."""
    sums = [
        pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum())
        for name in SCHEMA
        if name not in ("model", "category_key", "category")
    ]
    return estimated.group_by("model", maintain_order=True).agg(sums)
