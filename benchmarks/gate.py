"""How good the classifier is and what can be certified, on the demo's labels: `python -m benchmarks.gate`.

Everything follows from the seed. Statements are judged by members that have not seen their source.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pkgraph.acceptance import (
    Certification,
    Metrics,
    Promise,
    Promises,
    Recipe,
    Training,
    certify,
    clopper_pearson,
    kept_against_bound_png,
    measure,
    measure_by,
    reliability_png,
    score_histogram_png,
    statements_of,
    train_classifier,
)
from pkgraph.acceptance.certificate import OTHERS
from pkgraph.acceptance.classifier import deal
from pkgraph.acceptance.judgement import Knowledge, judged_pairs
from pkgraph.acceptance.member import signal_values
from pkgraph.acceptance.thresholds import (
    Pairs,
    Step,
    Tuning,
    loosest_that_holds,
    planned_walk,
    spaced,
    step_at,
    walk,
)
from pkgraph.acceptance.training import N_MEMBERS
from pkgraph.baskets import before, co_purchase, read_baskets
from pkgraph.catalog import kinds_of, read_catalog
from pkgraph.evidence import GROUPS, SIGNALS, gather_evidence
from pkgraph.labels import (
    CalibrationSet,
    JoinedLabels,
    frame_of,
    join_calibration,
    join_labels,
    read_calibration_labels,
    read_frame,
    read_relation_labels,
    with_tuning,
)
from pkgraph.mapping import KindIndex, map_relations
from pkgraph.model import kind_id
from pkgraph.relations import read_relations
from pkgraph.settings import Settings, read_settings
from pkgraph.tables import LLM_RESPONSES

DEMO = Path(__file__).parents[1] / "demo"
SMALL = "qwen2.5-coder-1.5b-instruct"


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo shop up to its evidence.

    Attributes:
        taught: Table `labelled_relations` with what the tuning part of the random sample says.
    """

    settings: Settings
    relations: pl.DataFrame
    mapped: pl.DataFrame
    unmapped: pl.DataFrame
    kinds: pl.DataFrame
    co_purchase: pl.DataFrame | None
    labels: JoinedLabels
    sample: CalibrationSet
    taught: pl.DataFrame

    def evidence(self) -> pl.DataFrame:
        return gather_evidence(
            self.mapped,
            self.mapped,
            unmapped_part=self.unmapped,
            all_unmapped=self.unmapped,
            co_purchase=self.co_purchase,
            kinds=self.kinds,
        )

    def statements(self) -> pl.DataFrame:
        return statements_of(self.relations, self.evidence())

    def without_baskets(self) -> Demo:
        return replace(self, co_purchase=None, kinds=self.kinds.with_columns(popularity=pl.lit(0.0)))

    def of_one_model(self) -> Demo:
        mine = pl.col("model") != SMALL
        relations = self.relations.filter(mine)
        mapped, unmapped = self.mapped.filter(mine), self.unmapped.filter(mine)
        taught = self.taught.filter(mine)
        return replace(self, relations=relations, mapped=mapped, unmapped=unmapped, taught=taught)


def _responses(settings: Settings) -> Iterator[dict[str, object]]:
    for model in settings.models:
        for line in Path(str(model.answers)).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            kind, category = row.get("kind"), row.get("category")
            key = hashlib.sha256(f"{model.name} {row['prompt_id']}".encode()).hexdigest()[:12]
            yield {
                "response_id": key,
                "prompt_id": row["prompt_id"],
                "template": row["template"],
                "source_kind_id": kind_id(category, kind) if kind else None,
                "source_kind": kind,
                "source_category": category if kind else None,
                "rationale": row.get("rationale"),
                "model": model.name,
                "parameters": "{}",
                "sample": 0,
                "attempt": 0,
                "status": "answered",
                "text": row["text"],
            }


def demo_shop() -> Demo:
    settings = read_settings(DEMO / "pkgraph.toml")
    products = read_catalog(settings.catalog).products
    baskets = read_baskets(settings.baskets, settings.catalog)
    assert baskets is not None
    responses = pl.DataFrame(list(_responses(settings)), schema=LLM_RESPONSES.schema)
    relations = read_relations(LLM_RESPONSES.conform(responses)).relations
    kinds = kinds_of(products, before(baskets.lines, baskets.cut_off))
    mapping = map_relations(relations, KindIndex.fit(kinds))
    labels = join_labels(read_relation_labels(Path(str(settings.labels.relations))).labels, relations)
    together = co_purchase(products, baskets.lines, until=baskets.cut_off)
    sample = sample_of(settings, mapping.mapped)
    taught = with_tuning(labels.labelled, sample.pairs, relations)
    return Demo(
        settings, relations, mapping.mapped, mapping.unmapped, kinds, together, labels, sample, taught
    )


def sample_of(settings: Settings, mapped: pl.DataFrame) -> CalibrationSet:
    labels = settings.labels
    read = read_calibration_labels(Path(str(labels.calibration)))
    frame = read_frame(Path(str(labels.calibration_frame)))
    return join_calibration(read.labels, frame, mapped, tuning_draws=labels.tuning_draws)


def _row(name: str, m: Metrics) -> str:
    ranking = "      -       -" if m.auroc is None else f"{m.auroc:7.3f} {m.auprc_wrong:7.3f}"
    return f"  {name:34s} {m.n:5d} {m.wrong_share:7.3f} {ranking} {m.brier:7.3f} {m.ece:7.3f}"


_HEAD = f"  {'':34s} {'n':>5s} {'wrong':>7s} {'AUROC':>7s} {'AUPRC':>7s} {'Brier':>7s} {'ECE':>7s}"


def print_metrics(judged: pl.DataFrame) -> None:
    print(
        "\nClassifier on its labels, by source, five members (AUPRC of the wrong; ECE in 15 equal-mass bins)"
    )
    print(_HEAD)
    for column in (None, "model", "relation_type"):
        for name, metrics in measure_by(judged, column).items():
            print(_row(name, metrics))


def _known(demo: Demo) -> Knowledge:
    return Knowledge(demo.relations, demo.mapped, demo.evidence(), demo.labels.labelled)


def print_sample(sample: CalibrationSet, pairs: pl.DataFrame) -> None:
    """The random sample, statement and kind together: what tuned, and what nothing was tuned on."""
    holds, fit = sample.agreement_holds, sample.agreement_fit
    n_tuning = int(sample.pairs["tunes"].sum())
    print(
        f"\nRandom sample, statement and kind together: {sample.pairs.height} pairs of {pairs.height}, the "
        f"first {n_tuning} tuned, unused {dict(sample.unused)}; judged twice {holds.n}: holds "
        f"{holds.share or 0:.3f} (kappa {holds.kappa or 0:.2f}), fits {fit.share or 0:.3f} "
        f"(kappa {fit.kappa or 0:.2f})"
    )
    print(_HEAD)
    for title, part in (("tuning", pl.col("tunes")), ("certifying", ~pl.col("tunes"))):
        known = pairs.filter(part).drop_nulls("is_right")
        _print_pairs(title, known)
        for (name,), of_model in known.sort("model").group_by("model", maintain_order=True):
            _print_pairs(f"{title}, {name}", of_model)
        drawn = sample.pairs.filter(part)
        strict = (drawn["holds"] & (drawn["fit"] == 2)).mean()
        print(f"  right {drawn['is_right'].mean():.3f}; {strict:.3f} if an acceptable kind were wrong")


def _print_pairs(name: str, known: pl.DataFrame) -> None:
    if known.height:
        print(_row(name, measure(known["probability"].to_numpy(), known["is_right"].to_numpy())))


def print_certificate(pairs: pl.DataFrame, settings: Settings) -> Certification:
    gate = settings.gate
    print(f"\nCertificate at alpha {gate.alpha:.0%}, confidence {1 - gate.delta:.0%}")
    promises = Promises(Promise(gate.alpha, gate.delta))
    found = certify(pairs, promises=promises, label_source="demo")
    for name, part in (("both models", pairs), ("frontier alone", pairs.filter(pl.col("model") != SMALL))):
        one = certify(part, promises=promises, label_source="demo")
        if one.certificate is None:
            print(f"  {name}: none. {one.reason}")
            continue
        c = one.certificate.parts[OTHERS]
        print(
            f"  {name}: threshold {c.threshold:.3f}; {c.errors} of {c.n} certifying pairs wrong, kept out "
            f"with {c.n_refused - c.errors} of their statements' other kinds;\n    at most {c.most_wrong} of "
            f"{c.n_published} published pairs wrong, {c.bound:.2%} ({c.n_known} of them known to be right); "
            f"{c.kept_share:.1%} of the right ones kept"
        )
        print(f"    pairs yet to come: {c.beyond or 'no threshold holds'}")
    print("  thresholds tried, each with the bound it has by itself:")
    for r in found.curve.iter_rows(named=True):
        wrong = f"{r['errors']} of {r['n']} wrong"
        print(f"    {r['threshold']:.3f}  {wrong:18s} bound {r['bound']:.2%}  kept {r['kept_share']:.1%}")
    return found


def print_simulation(pairs: pl.DataFrame, seed: int, n: int = 2_000) -> None:
    """Draws of two parts from made-up truths of the demo's own scores: how often is the claim false?"""
    tuned, certifying = (int((pairs["is_right"].is_not_null() & part).sum()) for part in _parts_of(pairs))
    score = pairs.filter("is_open")["probability"].to_numpy()
    share = score.size / pairs.height
    random = np.random.default_rng(seed)
    outcomes = [_drawn_once(score, round(tuned * share), round(certifying * share), random) for _ in range(n)]
    claims, false, naive = (sum(outcome[i] for outcome in outcomes) / n for i in range(3))
    print(
        f"\nGuarantee over {n} simulated draws at 95 %: a claim in {claims:.1%}, false in {false:.2%}; the "
        f"loosest threshold at which the sample's own share of errors is small enough is false in {naive:.1%}"
    )


def _parts_of(pairs: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    return pairs["tunes"], ~pairs["tunes"]


def _drawn_once(
    score: NDArray[np.float64], n_tuning: int, n: int, random: np.random.Generator
) -> tuple[bool, bool, bool]:
    """Whether there is a claim, whether it is false, and whether the one without a bound is."""
    # As many wrong as make the loosest thresholds bad ones: twice the doubt that the scores own to, and more.
    wrong = random.random(score.size) < np.minimum(1, 0.04 + 2 * (1 - score))
    order = random.permutation(score.size)
    is_tuning, is_sampled = np.zeros((2, score.size), dtype=bool)
    is_tuning[order[:n_tuning]], is_sampled[order[n_tuning : n_tuning + n]] = True, True
    stays = ~(is_tuning & wrong)
    found = (is_sampled & wrong)[stays]
    pairs, truth = Pairs(score[stays], is_sampled[stays], found, found, is_tuning[stays]), wrong[stays]
    tuning = Tuning(score[is_tuning], wrong[is_tuning], n / (score.size - n_tuning))
    walked = walk(pairs, planned_walk(pairs, tuning, 0.05), alpha=0.05, delta=0.05)
    held = loosest_that_holds(walked.reached, 0.05)
    is_false = held is not None and _left(pairs, truth, held.threshold)[0] > walked.left_at(held)
    by_eye = [
        step for step in (step_at(pairs, t, 0.05) for t in spaced(pairs.score, 20)) if _seems_good(step)
    ]
    left, out = _left(pairs, truth, by_eye[-1].threshold) if by_eye else (0, 1)
    return held is not None, is_false, left > 0.05 * out


def _left(pairs: Pairs, truth: NDArray[np.bool_], threshold: float) -> tuple[int, int]:
    """Wrong pairs among those that are published, and how many these are."""
    out = truth[(pairs.score >= threshold) & ~pairs.is_refused]
    return int(out.sum()), out.size


def _seems_good(step: Step) -> bool:
    return bool(step.n) and step.errors / step.n * step.size - step.refused <= 0.05 * step.n_published


def print_left_out(demo: Demo, statements: pl.DataFrame, seed: int) -> None:
    """Members that have seen no label of the whole category they judge."""
    category = demo.relations.select("relation_id", source=pl.col("source_category").fill_null("purposes"))
    whole = statements.drop("source").join(category, on="relation_id")
    print("\nCategories left out")
    print(_HEAD)
    _print_case("folds by category", _trained(whole, demo, seed, Recipe()).judged)


def _trained(
    statements: pl.DataFrame, demo: Demo, seed: int, recipe: Recipe, n_members: int = N_MEMBERS
) -> Training:
    return train_classifier(statements, demo.taught, seed=seed, recipe=recipe, n_members=n_members)


def print_ablations(demo: Demo, statements: pl.DataFrame, seed: int) -> None:
    quick = Recipe()
    print("\nAblations (last column: frontier's AUROC)")
    print(_HEAD)
    cases = [("everything", statements, demo, quick)]
    cases += [("without the model's identity", statements, demo, replace(quick, has_witness=False))]
    cases += [("without words", statements, demo, replace(quick, has_words=False))]
    cases += [("words and witness alone", statements, demo, replace(quick, signals=()))]
    unheard = [name for name in SIGNALS if statements[name].null_count() == statements.height]
    for group, names in GROUPS.items():
        if set(names) <= set(unheard):
            continue
        left = tuple(name for name in quick.signals if name not in names)
        cases.append((f"without {group}", statements, demo, replace(quick, signals=left)))
    no_baskets, one_model = demo.without_baskets(), demo.of_one_model()
    cases.append(("no baskets in the shop", no_baskets.statements(), no_baskets, quick))
    cases.append(("no second model", one_model.statements(), one_model, quick))
    for name, part, its_demo, recipe in cases:
        _print_case(name, _trained(part, its_demo, seed, recipe).judged)
    _print_case("two members, half of the labels each", _trained(statements, demo, seed, quick, 2).judged)
    _print_case("ten members, nine tenths each", _trained(statements, demo, seed, quick, 10).judged)
    print(
        f"  No data for {', '.join(unheard)}: each model gave one sample and no judge was asked, so "
        "'everything' is a single sample without a judge, and what these add is not known."
    )
    _print_case("boosted trees, no words", _boosted(statements, demo, seed))


def _print_case(name: str, judged: pl.DataFrame) -> None:
    frontier = measure_by(judged.filter(pl.col("model") != SMALL))["all"]
    print(_row(name, measure_by(judged)["all"]) + f"   {frontier.auroc:.3f}")


def _boosted(statements: pl.DataFrame, demo: Demo, seed: int) -> pl.DataFrame:
    """Gradient boosted trees on signals and model, out of fold by source: what a black box would give."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    known = statements.join(demo.taught.select("relation_id", "holds"), on="relation_id")
    matrix = np.column_stack([signal_values(known, name) for name in SIGNALS])
    matrix = matrix[:, ~np.isnan(matrix).all(axis=0)]
    matrix = np.column_stack([matrix, (known["model"] == SMALL).to_numpy()])
    holds, folds = known["holds"].to_numpy(), deal(known["source"], seed, 10)
    found = np.zeros(known.height)
    for fold in range(10):
        trees = HistGradientBoostingClassifier(
            learning_rate=0.05, max_iter=120, max_leaf_nodes=8, min_samples_leaf=15, random_state=seed
        )
        trees.fit(matrix[folds != fold], holds[folds != fold])
        found[folds == fold] = trees.predict_proba(matrix[folds == fold])[:, 1]
    return known.with_columns(holds_probability=pl.Series(found))


def print_seeds(demo: Demo, statements: pl.DataFrame, seeds: range) -> None:
    print("\nOther seeds deal the sources out otherwise (AUROC, ECE)")
    for seed in seeds:
        m = measure_by(_trained(statements, demo, seed, Recipe()).judged)["all"]
        print(f"  seed {seed}: {m.auroc:.3f} {m.ece:.3f}")


def print_mapping(demo: Demo) -> None:
    """Precision of the mapping where a phrase, a kind and a reviewer meet."""
    path = Path(str(demo.settings.labels.mapping))
    labels = pl.read_csv(path, separator="\t", quote_char=None)
    columns = {"phrase": "product", "type": "target_kind", "category": "target_category"}
    pairs = demo.mapped.select(
        phrase=pl.col("product").str.to_lowercase(), type="target_kind", category="target_category"
    ).unique()
    met = pairs.join(labels.with_columns(pl.col("phrase").str.to_lowercase()), on=list(columns))
    wrong = met.filter(pl.col("fit") == 0).height
    most = clopper_pearson(wrong, met.height, 0.05)
    print(
        f"\nMapping on its own labels: {met.height - wrong} of {met.height} labelled pairs that it made fit;"
    )
    print(f"  at most {most:.1%} wrong at 95 %. Part of these labels calibrated it.")


def print_labels(labels: JoinedLabels, mapped: pl.DataFrame) -> None:
    n_mapped = labels.labelled.join(mapped, on="relation_id", how="semi").height
    print(
        f"{labels.n_labels} labels of {labels.labelled.height} relations ({n_mapped} mapped), "
        f"{labels.n_conflicting} conflicting, unused {dict(labels.unused)}"
    )
    for model, a in labels.agreement_by_model.items():
        print(f"  {model}: {a.n} shared, agreement {a.share or 0:.3f}, kappa {a.kappa or 0:.2f}")


def write_plots(folder: Path, judged: pl.DataFrame, found: Certification, alpha: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reliability.png").write_bytes(reliability_png(judged))
    (folder / "scores.png").write_bytes(score_histogram_png(judged))
    (folder / "kept_against_bound.png").write_bytes(kept_against_bound_png(found, alpha))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plots", type=Path, help="folder to write three pictures to")
    parser.add_argument("--pretrained", type=Path, help="write the classifier for shops without labels here")
    parser.add_argument("--frame", type=Path, help="write the frame that a sample drawn now is drawn from")
    options = parser.parse_args()
    demo = demo_shop()
    statements = demo.statements()
    print_labels(demo.labels, demo.mapped)
    training = _trained(statements, demo, options.seed, Recipe())
    print_metrics(training.judged)
    pairs, _ = judged_pairs(_known(demo), training.classifier, demo.sample)
    print_sample(demo.sample, pairs)
    found = print_certificate(pairs, demo.settings)
    if options.plots:
        write_plots(options.plots, training.judged, found, demo.settings.gate.alpha)
    print_simulation(pairs, options.seed)
    print_left_out(demo, statements, options.seed)
    print_ablations(demo, statements, options.seed)
    print_seeds(demo, statements, range(options.seed + 1, options.seed + 4))
    print_mapping(demo)
    if options.frame:
        frame_of(demo.mapped).write_csv(options.frame, separator="\t", quote_style="never")
    if options.pretrained:
        transferred = _trained(statements, demo, options.seed, Recipe(has_witness=False), n_members=1)
        options.pretrained.write_text(transferred.classifier.to_json() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
