"""A small shop whose jobs are run by library functions alone, without Dagster, so that hundreds cost seconds.

The steps, and what each is made from, are those of a build; only the running of a job is played.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from pkg_assets.incremental import DISTIL, JUDGE, MAP, READ, TRAIN, Steps
from pkg_assets.inputs import fingerprints
from pkg_assets.knowledge import all_evidence, calibration_of, kind_index_of, promises_of
from pkg_assets.reporting import fingerprint
from pkg_assets.staleness import prompts_by_category
from pkgraph import tables as t
from pkgraph.acceptance import accept, score_relations
from pkgraph.acceptance.judgement import Judgement, Knowledge, make_judgement
from pkgraph.baskets import co_purchase
from pkgraph.catalog import kinds_of, read_catalog, with_popularity
from pkgraph.home import Home
from pkgraph.labels import join_labels, read_relation_labels
from pkgraph.labels.standing import with_stored
from pkgraph.llm import Ledger, ReplayLanguageModel, ask_all
from pkgraph.mapping import KindIndex, map_relations
from pkgraph.model import PURPOSES, content_key
from pkgraph.prompts.shop import prompts_of_kinds, prompts_of_purposes
from pkgraph.relations import read_relations
from pkgraph.settings import Settings, settings_from
from pkgraph.snapshot.compile import compile_graph
from resources.artifacts import INDEX, JUDGEMENT
from resources.label_store import ReviewersLabels

NOW = datetime(2026, 11, 25, tzinfo=UTC)
MODEL = "recorded"
MADE_BY = {
    READ: (
        "products",
        "rejected_products",
        "basket_lines",
        "rejected_basket_lines",
        "kinds",
        "co_purchase",
        "kind_index",
    ),
    DISTIL: (
        "catalog",
        "prompts",
        "llm_responses",
        "relations",
        "unreadable_responses",
        "mapped_relations",
        "unmapped_products",
    ),
    TRAIN: ("labelled_relations", "rejected_labels", "calibration_pairs", "hallucination_classifier"),
    JUDGE: ("relation_evidence", "scored_relations", "accepted_relations"),
}
OF_A_CATEGORY = (*MADE_BY[DISTIL], *MADE_BY[JUDGE])
Product = tuple[str, str, str, float]
"""Title, kind, category, price."""


@dataclass
class World:
    """What is outside of pkgraph: the shop's products, what a model says, what reviewers say.

    Attributes:
        products: By SKU.
        told: Kind or purpose to what the model names with it.
        labels: Source and place in its answer to whether it holds.
    """

    products: dict[str, Product]
    told: dict[str, tuple[str, ...]]
    labels: dict[tuple[str, int], bool] = field(default_factory=dict)

    def settings(self, folder: Path) -> Settings:
        columns = {"sku": "sku", "title": "title", "kind": "kind", "category": "category", "price": "price"}
        return settings_from(
            {
                "catalog": {"path": str(folder / "shop.csv"), "columns": columns},
                "models": [{"name": MODEL, "answers": str(folder / "answers.jsonl")}],
                "prompts": {"purposes": ["italian dinner"]},
                "labels": {"relations": str(folder / "labels.tsv")},
            },
            name="the world",
        )

    def write(self, folder: Path) -> Settings:
        """The files that a build reads."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = [(sku, *product) for sku, product in sorted(self.products.items())]
        frame = pl.DataFrame(rows, schema=["sku", "title", "kind", "category", "price"], orient="row")
        frame.write_csv(folder / "shop.csv")
        settings = self.settings(folder)
        prompts = _prompts(folder, settings)
        ids = {source: prompt_id for prompt_id, source in prompts}
        answers = [
            {"prompt_id": prompt_id, "text": _answer(source, self.told[source])}
            for prompt_id, source in prompts
            if source in self.told
        ]
        (folder / "answers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in answers))
        labels = [
            f"{ids[source]}\t{MODEL}\t{position}\t{int(holds)}\t\tA\n"
            for (source, position), holds in sorted(self.labels.items())
            if source in ids
        ]
        header = "prompt_id\tmodel\tposition\tholds\treason\tannotator\n"
        (folder / "labels.tsv").write_text(header + "".join(labels))
        return settings


def _prompts(folder: Path, settings: Settings) -> list[tuple[str, str]]:
    kinds = kinds_of(read_catalog(settings.catalog).products)
    of_kinds = prompts_of_kinds(kinds, settings.prompts).select("prompt_id", "source_kind").rows()
    return [*of_kinds, *prompts_of_purposes(settings.prompts).select("prompt_id", "rationale").rows()]


def _answer(source: str, told: tuple[str, ...]) -> str:
    relations = [
        {
            "relation": "ingredient",
            "rationale": "italian dinner",
            "product": product,
            "explanation": f"An Italian dinner of {source} often has {product} in it.",
            "confidence": 0.9,
        }
        for product in told
    ]
    return json.dumps({"relations": relations})


@dataclass
class LibraryShop:
    """A home in which the jobs are library functions.

    Attributes:
        ran: The jobs that were run since the last build began, each with its category.
        code: Key of the code.
    """

    home: Home
    settings: Settings
    keys: list[str] = field(default_factory=list)
    accepted: dict[str, str] = field(default_factory=dict)
    ran: list[tuple[str, str | None]] = field(default_factory=list)
    code: str = "one"

    def build(self) -> None:
        self.ran.clear()
        self.steps = Steps(
            self.home,
            self.settings,
            MADE_BY,
            run=self.run,
            categories=lambda: self.keys,
            accepted=lambda: self.accepted,
            code=self.code,
        )
        self.steps.read_catalog()
        kinds = self.steps.tables.read("kinds")
        assert kinds is not None
        prompts = prompts_by_category(kinds, self.settings)
        for key in self.keys:
            self.distil_with(prompts)(key)
        self.steps.train(prompts)
        judge = self.steps.judge()
        for key in self.keys:
            judge(key)

    def distil_with(self, prompts: pl.DataFrame) -> Callable[[str], object]:
        return self.steps.distil(prompts)

    def run(self, job: str, key: str | None) -> None:
        self.ran.append((job, key))
        jobs: dict[str, Callable[[str], None]] = {
            READ: lambda _: self._read(),
            DISTIL: self._distil,
            MAP: self._map,
            TRAIN: lambda _: self._train(),
            JUDGE: self._judge,
        }
        jobs[job](str(key))

    def frame(self, name: str, key: str | None = None) -> pl.DataFrame:
        found = self.steps.tables.read(name, key)
        assert found is not None, (name, key)
        return found

    def _write(self, table: t.Table, frame: pl.DataFrame, key: str | None = None) -> None:
        self.steps.tables.write(table.name, table.conform(frame), key)

    def _read(self) -> None:
        read, lines = read_catalog(self.settings.catalog), t.BASKET_LINES.empty()
        products = with_popularity(read.products, lines)
        kinds = kinds_of(products, lines)
        self.keys = sorted({*products["category_key"], PURPOSES})
        self._write(t.PRODUCTS, products)
        self._write(t.REJECTED_PRODUCTS, read.rejected)
        self._write(t.BASKET_LINES, lines)
        self._write(t.REJECTED_BASKET_LINES, t.REJECTED_BASKET_LINES.empty())
        self._write(t.KINDS, kinds)
        self._write(t.CO_PURCHASE, co_purchase(products, lines))
        with self.steps.artifacts.replacing(INDEX) as path:
            KindIndex.fit(kinds).save(path)

    def _distil(self, key: str) -> None:
        catalog = self.frame("products").filter(pl.col("category_key") == key)
        asked = self.settings.prompts
        prompts = (
            prompts_of_purposes(asked) if key == PURPOSES else prompts_of_kinds(kinds_of(catalog), asked)
        )
        model = ReplayLanguageModel(MODEL, str(self.settings.models[0].answers))
        with Ledger.open(self.home.ledger) as ledger:
            responses = ask_all(prompts, [model], ledger, now=lambda: NOW)
        read = read_relations(responses)
        self._write(t.CATALOG, catalog, key)
        self._write(t.PROMPTS, prompts, key)
        self._write(t.LLM_RESPONSES, responses, key)
        self._write(t.RELATIONS, read.relations, key)
        self._write(t.UNREADABLE_RESPONSES, read.unreadable, key)
        self._map(key)

    def _map(self, key: str) -> None:
        mapping = map_relations(self.frame("relations", key), kind_index_of(self.steps.artifacts))
        self._write(t.MAPPED_RELATIONS, mapping.mapped, key)
        self._write(t.UNMAPPED_PRODUCTS, mapping.unmapped, key)

    def _train(self) -> None:
        read = read_relation_labels(Path(str(self.settings.labels.relations)))
        relations = self.steps.tables.read_all(t.RELATIONS, self.keys)
        with ReviewersLabels(home=str(self.home.root)).open() as store:
            joined = join_labels(with_stored(read.labels, store), relations)
        self._write(t.LABELLED_RELATIONS, joined.labelled)
        self._write(t.REJECTED_LABELS, read.rejected)
        sample = calibration_of(self.settings, self.steps.tables, self.keys)
        self._write(t.CALIBRATION_PAIRS, sample.pairs)
        known = Knowledge(
            relations=relations,
            mapped_relations=self.steps.tables.read_all(t.MAPPED_RELATIONS, self.keys),
            relation_evidence=all_evidence(self.steps.tables, self.keys),
            labelled_relations=joined.labelled,
        )
        judging = make_judgement(
            known,
            sample,
            promises=promises_of(self.settings),
            label_source="reviewers",
            fingerprints=fingerprints(self.settings),
        )
        with self.steps.artifacts.replacing(JUDGEMENT) as path:
            path.write_text(judging.judgement.to_json(), encoding="utf-8")

    def _judge(self, key: str) -> None:
        judgement = Judgement.from_json(self.steps.artifacts.read(JUDGEMENT))
        mapped, unmapped = self.frame("mapped_relations", key), self.frame("unmapped_products", key)
        ids = pl.concat([mapped["relation_id"], unmapped["relation_id"]]).unique()
        everything = all_evidence(self.steps.tables, self.keys)
        evidence = everything.filter(pl.col("relation_id").is_in(ids.implode()))
        scored = score_relations(
            mapped,
            evidence,
            judgement.classifier,
            judgement.policy,
            labelled=self.frame("labelled_relations"),
            calibration=self.frame("calibration_pairs"),
        )
        accepted = t.ACCEPTED_RELATIONS.conform(accept(scored))
        self._write(t.RELATION_EVIDENCE, evidence, key)
        self._write(t.SCORED_RELATIONS, scored, key)
        self._write(t.ACCEPTED_RELATIONS, accepted, key)
        self.accepted[key] = fingerprint(accepted)

    def graph(self) -> dict[str, bytes]:
        """Every array of the compiled graph, as bytes."""
        accepted = self.steps.tables.read_all(t.ACCEPTED_RELATIONS, self.keys)
        compiled = compile_graph(self.frame("products"), accepted)
        return dict(_bytes(compiled.sections))


def _bytes(sections: object) -> Iterator[tuple[str, bytes]]:
    for name in type(sections).__slots__:  # type: ignore[attr-defined]
        value = getattr(sections, name)
        arrays = (value.offsets, value.data) if hasattr(value, "offsets") else (value,)
        yield name, b"".join(array.tobytes() for array in arrays)


def built_anew(shop: LibraryShop, folder: Path) -> LibraryShop:
    """A home with nothing in it but the ledger, built whole."""
    home = Home(folder / content_key("anew", str(len(list(folder.iterdir())))))
    home.root.mkdir(parents=True)
    shutil.copyfile(shop.home.ledger, home.ledger)
    anew = LibraryShop(home, shop.settings)
    anew.build()
    return anew
