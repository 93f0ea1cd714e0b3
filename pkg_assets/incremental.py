"""The steps of a build, each made only where something it depends on changed.

A step is one job, of one category where it is cut by category. What it was made from is noted beside the
home's tables. Dagster's own record of versions is not enough: it knows neither the answers in the ledger nor
the label files, and not that the evidence of one category counts the relations of all others.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from pkg_assets.knowledge import all_evidence, kind_index_of
from pkg_assets.partitions import category_keys
from pkg_assets.reporting import fingerprint
from pkg_assets.versions import versions_by_partition
from pkgraph.catalog.digest import category_versions, delivery_digest
from pkgraph.freshness.traces import MISSING, Trace, code_key, file_key, why_again
from pkgraph.home import Home
from pkgraph.llm import ReplayLanguageModel
from pkgraph.model import Prompt, content_key
from pkgraph.prompts.judging import judge_prompts
from pkgraph.settings import read_settings
from pkgraph.tables import (
    ACCEPTED_RELATIONS,
    JUDGE_VERDICTS,
    KINDS,
    MAPPED_RELATIONS,
    OFFLINE_METRICS,
    RELATIONS,
    SCORED_RELATIONS,
    UNMAPPED_PRODUCTS,
)
from resources.answer_ledger import AnswerLedger
from resources.artifacts import INDEX, JUDGEMENT, Artifacts, replacing
from resources.graph_store import GraphStore
from resources.label_store import ReviewersLabels
from resources.table_store import TableStore

if TYPE_CHECKING:
    from pkg_assets.runs import Failure, Runner
    from pkgraph.settings import Settings

READ, DISTIL, TRAIN, JUDGE = "read_catalog", "distil_category", "train_classifier", "judge_category"
# What a second model says of the statements, where the shop names one.
HEAR = "hear_judge"
# The last stage of distilling alone: all that has to be done where only the index changed.
MAP = "map_category"
ARTIFACTS = {"kind_index": INDEX, "hallucination_classifier": JUDGEMENT}
# The input of distilling that only its last stage takes.
MAPPING = "mapping"
_ROOT = Path(__file__).parents[1]
# Neither how it is served nor how it is told changes what is built.
_CODE, _NO_CODE = ("pkgraph", "pkg_assets", "resources", "checks"), ("pkgraph/serving", "pkgraph/cli")
_LIBRARIES = ("numpy", "polars", "scikit-learn", "scipy")

Inputs = dict[str, str]


def _code() -> str:
    libraries = [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES]
    return content_key("code", code_key(_ROOT, _CODE, without=_NO_CODE), *libraries)


def _answers_key(
    prompt_ids: Sequence[str], marks: Mapping[str, int], replays: Sequence[ReplayLanguageModel]
) -> str:
    """Key of all answers to these prompts, in the ledger and in the files."""
    kept = sorted((prompt_id, marks[prompt_id]) for prompt_id in prompt_ids if prompt_id in marks)
    recorded = [(one.name, key, repr(one.answer(Prompt(key, ())))) for one in replays for key in prompt_ids]
    return content_key("answers", repr(kept), repr(recorded))


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a step.

    Attributes:
        why: Why it was made; () where it was not.
    """

    why: tuple[str, ...]
    failure: Failure | None = None


@dataclass
class Steps:
    """The steps of one home.

    Attributes:
        made_by: Job to the names of the assets it materializes.
        run: Runs a job, for a category where it has one; None where that went well.
        categories: The keys of the partitions.
        accepted: Category to the version of its accepted relations that the event log knows.
    """

    home: Home
    settings: Settings
    made_by: Mapping[str, tuple[str, ...]]
    run: Callable[[str, str | None], Failure | None]
    categories: Callable[[], list[str]]
    accepted: Callable[[], Mapping[str, str]]
    code: str = field(default_factory=_code)

    @cached_property
    def tables(self) -> TableStore:
        return TableStore(home=str(self.home.root))

    @cached_property
    def artifacts(self) -> Artifacts:
        return Artifacts(home=str(self.home.root))

    def read_catalog(self) -> Made:
        return self.make(READ, None, {"code": self.code, "delivery": delivery_digest(self.settings)})

    def distil(self, prompts: pl.DataFrame) -> Callable[[str], Made]:
        """Distils a category.

        Args:
            prompts: Every prompt of the shop, as `prompts_by_category` gives them.
        """
        kinds = self.tables.read(KINDS.name)
        versions = category_versions(KINDS.empty() if kinds is None else kinds)
        ids = {str(key): part["prompt_id"].sort() for (key,), part in prompts.group_by("category_key")}
        replays = [ReplayLanguageModel(m.name, m.answers) for m in self.settings.models if m.answers]
        asked = self.settings.prompts.model_dump_json()
        # A run answers the prompts of its own category alone, so the marks of the others hold until theirs.
        before = self._marks(prompts["prompt_id"])

        def answers(key: str, marks: Mapping[str, int]) -> str:
            return _answers_key(list(ids.get(key, ())), marks, replays)

        def distil(key: str) -> Made:
            inputs = {
                "code": self.code,
                "kinds": versions.get(key, "none"),
                "prompts": content_key("prompts", asked, *ids.get(key, ())),
                "models": self._models(),
                "answers": answers(key, before),
                MAPPING: self.key_of("kind_index"),
            }
            return self.make(
                DISTIL, key, inputs, late=lambda: {"answers": answers(key, self._marks(ids.get(key, ())))}
            )

        return distil

    def hear(self) -> Callable[[str], Made]:
        """Lets the judge of the settings speak of a category's statements; without one, nobody does."""
        judge = self.settings.judge
        replays = [ReplayLanguageModel(judge.name, judge.answers)] if judge and judge.answers else []

        def answers(key: str) -> str:
            own = self.judge_prompts([key])["prompt_id"].to_list() if judge else []
            return _answers_key(own, self._marks(own), replays)

        def hear(key: str) -> Made:
            said = self.tables.read(JUDGE_VERDICTS.name, key)
            if judge is None and (said is None or said.is_empty()):
                return Made(())
            inputs = {
                "code": self.code,
                "judge": judge.model_dump_json(exclude={"answers"}) if judge else "none",
                "relations": self.key_of(RELATIONS.name, key),
                "answers": answers(key),
            }
            return self.make(HEAR, key, inputs, late=lambda: {"answers": answers(key)})

        return hear

    def judge_prompts(self, keys: Sequence[str]) -> pl.DataFrame:
        """What a judge is asked about the statements of these categories, each once: table `prompts`."""
        return judge_prompts(self.tables.read_all(RELATIONS, keys))

    def train(self, prompts: pl.DataFrame) -> Made:
        labels = self.settings.labels.model_dump()
        files = [file_key(Path(path)) for path in labels.values() if isinstance(path, str)]
        inputs = {
            "code": self.code,
            "gate": self.settings.gate.model_dump_json(),
            "labels": content_key("labels", self.settings.labels.model_dump_json(), *files),
            "reviews": self._reviews(),
            "models": self._models(),
            "prompts": content_key("prompts", *prompts["prompt_id"].sort()),
            "relations": self.parts(RELATIONS.name, MAPPED_RELATIONS.name, UNMAPPED_PRODUCTS.name),
            "verdicts": self.parts(JUDGE_VERDICTS.name),
            "co_purchase": self.key_of("co_purchase"),
            "kind_index": self.key_of("kind_index"),
            "kinds": self.key_of(KINDS.name),
        }
        return self.make(TRAIN, None, inputs)

    @property
    def is_trained(self) -> bool:
        return self.key_of("hallucination_classifier") != MISSING

    def judge(self) -> Callable[[str], Made]:
        """Judges a category, by the judgement and the evidence there are now."""
        judged_by = content_key("judgement", *self.present(TRAIN, None).values())
        evidence = self._evidence()
        everywhere = content_key("evidence", *(f"{key}:{evidence[key]}" for key in sorted(evidence)))

        def others(key: str) -> str:
            """Pairs outside the certified frame are held against those of all categories."""
            try:
                scored = self.tables.read(SCORED_RELATIONS.name, key)
            except pl.exceptions.ComputeError:  # a damaged table is not what was made: it is made again
                return "none"
            return "none" if scored is None or scored["is_covered"].all() else everywhere

        def judge(key: str) -> Made:
            inputs = {
                "code": self.code,
                "mapped": self.key_of(MAPPED_RELATIONS.name, key),
                "unmapped": self.key_of(UNMAPPED_PRODUCTS.name, key),
                "evidence": evidence.get(key, "none"),
                "judgement": judged_by,
                "others": others(key),
            }
            return self.make(JUDGE, key, inputs, late=lambda: {"others": others(key)})

        return judge

    def what_is_published(self) -> Inputs:
        """What a snapshot of now would be made from, but for what a person says when publishing."""
        return {
            "code": self.code,
            "accepted": self.parts(ACCEPTED_RELATIONS.name),
            "relations": self.parts(RELATIONS.name),
            "products": self.key_of("products"),
            "kind_index": self.key_of("kind_index"),
            "judgement": content_key("judgement", *self.present(TRAIN, None).values()),
            "models": self._models(),
            "settings": self.settings.gate.model_dump_json() + self.settings.history.model_dump_json(),
            "answers": str(self._ledger_mark()),
            "reviews": self._reviews(),
        }

    def measure(self) -> Made:
        """How good the served graph is; once a graph, shop and settings."""
        served = GraphStore(home=str(self.home.root)).served()
        inputs = {
            "code": self.code,
            "snapshot": served.snapshot_id if served else "none",
            "kinds": self.key_of(KINDS.name),
            "basket_lines": self.key_of("basket_lines"),
            "delivery": delivery_digest(self.settings),
        }
        return self.make("measure", None, inputs)

    def make(self, job: str, key: str | None, inputs: Inputs, *, late: Callable[[], Inputs] = dict) -> Made:
        """Run the job where its inputs or outputs are not those of its last run.

        Args:
            job: Name of the job.
            key: Category, for a job that is cut by category.
            inputs: What it depends on.
            late: Inputs that the run itself adds to, looked at again after it.
        """
        why = why_again(self.noted(job, key), inputs, self.present(job, key))
        if why == (MAPPING,) and self._maps_the_same(str(key)):
            self.note(job, key, inputs)
            return Made(())
        if not why:
            return Made(())
        failure = self.run(MAP if why == (MAPPING,) else job, key)
        if failure is None:
            self.note(job, key, {**inputs, **late()})
        return Made(why, failure)

    def noted(self, job: str, key: str | None) -> Trace | None:
        path = self._trace(job, key)
        return Trace.from_json(path.read_text(encoding="utf-8")) if path.exists() else None

    def note(
        self, job: str, key: str | None, inputs: Inputs, outputs: Mapping[str, str] | None = None
    ) -> None:
        trace = Trace(inputs, self.present(job, key) if outputs is None else outputs)
        with replacing(self._trace(job, key)) as path:
            path.write_text(trace.to_json(), encoding="utf-8")

    def present(self, job: str, key: str | None) -> dict[str, str]:
        """Keys of what lies where the job's outputs belong."""
        found = {name: self.key_of(name, key) for name in self.made_by[job]}
        if job == READ:  # it makes the partitions, too
            found["partitions"] = content_key("partitions", *self.categories())
        if ACCEPTED_RELATIONS.name in found:  # publishing takes only what the event log knows, too
            found["accepted version"] = self.accepted().get(str(key), MISSING)
        return found

    def key_of(self, asset: str, key: str | None = None) -> str:
        is_table = asset not in ARTIFACTS
        return file_key(self.tables.path(asset, key) if is_table else self.artifacts.path(ARTIFACTS[asset]))

    def parts(self, *tables: str) -> str:
        """Key of these tables of all categories."""
        keys = self.categories()
        return content_key(
            "parts", *(f"{name}/{key}:{self.key_of(name, key)}" for name in tables for key in keys)
        )

    def _trace(self, job: str, key: str | None) -> Path:
        folder = self.home.traces / job
        return folder / f"{key}.json" if key else folder.with_suffix(".json")

    def _models(self) -> str:
        """The models with their parameters; where recorded answers lie is no part of them, their text is."""
        told = [
            model.model_copy(update={"answers": "" if model.answers else None})
            for model in self.settings.models
        ]
        return content_key("models", *sorted(model.model_dump_json() for model in told))

    def _marks(self, prompt_ids: Iterable[str]) -> dict[str, int]:
        """Prompt to the number of its newest answer in the ledger."""
        with AnswerLedger(home=str(self.home.root)).open() as ledger:
            return ledger.marks(prompt_ids)

    def _reviews(self) -> str:
        """Key of all that reviewers ever said, and of what was drawn for them."""
        with ReviewersLabels(home=str(self.home.root)).open() as store:
            return content_key("reviews", fingerprint(store.history()), fingerprint(store.draws()))

    def _ledger_mark(self) -> int:
        with AnswerLedger(home=str(self.home.root)).open() as ledger:
            return ledger.totals().high_water_mark

    def _maps_the_same(self, key: str) -> bool:
        """Whether the index of now maps a category's relations as they are mapped."""
        from pkgraph.mapping import map_relations

        relations = self.tables.read(RELATIONS.name, key)
        if relations is None:
            return False
        mapping = map_relations(relations, kind_index_of(self.artifacts))
        made = ((MAPPED_RELATIONS, mapping.mapped), (UNMAPPED_PRODUCTS, mapping.unmapped))
        kept = [(table.conform(frame), self.tables.read(table.name, key)) for table, frame in made]
        return all(then is not None and fingerprint(now) == fingerprint(then) for now, then in kept)

    def _evidence(self) -> dict[str, str]:
        """Category to the key of the evidence about its relations, which counts those of all categories."""
        keys = self.categories()
        names = (MAPPED_RELATIONS.name, UNMAPPED_PRODUCTS.name)
        owned = [
            part.select("relation_id", category_key=pl.lit(key))
            for key in keys
            for name in names
            if (part := self.tables.read(name, key)) is not None
        ]
        if not owned:
            return {}
        evidence = all_evidence(self.tables, keys)
        cut = evidence.join(pl.concat(owned).unique(), on="relation_id", maintain_order="left")
        return {
            str(key): fingerprint(part.drop("category_key"))
            for (key,), part in cut.group_by("category_key", maintain_order=True)
        }


def steps_of(home: Home, runner: Runner) -> Steps:
    """The steps as the jobs of the definitions take them."""
    instance = runner.instance
    assets = {
        job: runner.definitions.resolve_job_def(job).asset_layer.selected_asset_keys
        for job in (READ, DISTIL, HEAR, TRAIN, JUDGE)
    }
    made_by = {job: tuple(sorted(key.to_user_string() for key in keys)) for job, keys in assets.items()}
    return Steps(
        home,
        read_settings(home.settings),
        # The report on staleness follows the clock, and is made again by others.
        {**made_by, "measure": (OFFLINE_METRICS.name,)},
        run=lambda job, key: runner.run(job, partition=key)[1],
        categories=lambda: category_keys(instance),
        accepted=lambda: versions_by_partition(instance, ACCEPTED_RELATIONS.name),
    )
