"""Evidence is what is known, and null where nothing is."""

from __future__ import annotations

from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkgraph.evidence import GROUPS, MODEL_STYLE, SIGNALS, gather_evidence
from pkgraph.evidence.statements import leaks_example
from pkgraph.evidence.words import share_used, similarity
from pkgraph.model import kind_id
from pkgraph.tables import CO_PURCHASE, KINDS, RELATION_EVIDENCE, RELATIONS
from tests.gate_data import BAD, answers, mapped, relation


def signal(name: str, *rows: dict[str, object], **more: object) -> object:
    """A signal of the first row, among all of them."""
    everything = mapped(*rows)
    evidence = gather_evidence(mapped(rows[0]), everything, **more)  # type: ignore[arg-type]
    return evidence[name].item()


def kinds(**popularity: float) -> pl.DataFrame:
    rows = [
        {
            "kind_id": kind_id("food", n),
            "kind": n,
            "category": "food",
            "category_key": "f",
            "department": d,
            "n_skus": 1,
            "popularity": p,
        }
        for (n, p), d in zip(popularity.items(), ("GROCERY", "GROCERY", None), strict=False)
    ]
    return KINDS.conform(pl.DataFrame(rows, schema=KINDS.schema))


def bought(a: str, b: str, n_both: int, expected: float) -> pl.DataFrame:
    first, second = sorted([kind_id("food", a), kind_id("food", b)])
    row = {"kind_a_id": first, "kind_b_id": second, "n_a": 50, "n_b": 50, "n_both": n_both, "n_baskets": 1000}
    row |= {
        "expected": expected,
        "lift": n_both / expected,
        "lift_low": n_both / expected / 2,
        "lift_high": 9.0,
    }
    return CO_PURCHASE.conform(pl.DataFrame([row], schema=CO_PURCHASE.schema))


def test_every_signal_belongs_to_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]

    assert sorted(grouped) == sorted(SIGNALS)
    assert set(MODEL_STYLE) <= set(SIGNALS)


def test_every_signal_that_can_be_missing_says_what_that_means() -> None:
    for name in SIGNALS:
        column = RELATION_EVIDENCE.columns[name]
        assert column.nullable == ("null:" in column.description), name


def test_another_model_agrees_differs_or_was_never_asked() -> None:
    row, other = relation("tea", "sugar"), relation("tea", "sugar", model=BAD)

    assert signal("models_agree", row, other) == 1.0
    assert signal("models_agree", row, other | {"target_kind_id": "else"}) == 0.0
    assert signal("models_agree", row) is None


def test_another_sample_of_the_model_agrees_differs_or_is_not_there() -> None:
    row, other = relation("tea", "sugar"), relation("tea", "sugar", sample=1)

    assert signal("samples_agree", row, other) == 1.0
    assert signal("samples_agree", row, relation("tea", "milk", sample=1)) == 0.0
    assert signal("samples_agree", row) is None


def test_the_targets_own_answer_names_the_source_or_not_or_does_not_exist() -> None:
    row = relation("tea", "sugar")

    assert signal("is_reversed", row, relation("sugar", "tea")) == 1.0
    assert signal("is_reversed", row, relation("sugar", "flour")) == 0.0
    assert signal("is_reversed", row) is None


def test_other_sources_support_a_rationale_and_its_target() -> None:
    row = relation("tea", "sugar")

    assert (
        signal("rationale_target_support", row, relation("coffee", "sugar"), relation("milk", "sugar")) == 2.0
    )
    assert signal("rationale_target_support", row, relation("coffee", "sugar", rationale="baking")) == 0.0
    assert signal("target_degree", row, relation("coffee", "sugar", rationale="baking")) == 1.0


def test_what_was_bought_together_speaks_and_what_is_unknown_is_silent() -> None:
    row = relation("tea", "sugar")

    assert signal("lift_low_log", row, co_purchase=bought("sugar", "tea", 40, 10.0)) == pytest.approx(1.0)
    assert signal("lift_low_log", row, co_purchase=bought("tea", "sugar", 0, 10.0)) == -4.0
    assert signal("lift_low_log", row, co_purchase=bought("tea", "milk", 40, 10.0)) is None
    assert signal("lift_low_log", row) is None


def test_shelf_signals_are_missing_where_the_shop_does_not_say() -> None:
    row = relation("tea", "sugar")

    assert signal("is_same_department", row, kinds=kinds(tea=0.1, sugar=0.01)) == 1.0
    assert signal("target_popularity_log", row, kinds=kinds(tea=0.1, sugar=0.01)) == pytest.approx(-2.0)
    assert signal("target_popularity_log", row, kinds=kinds(tea=0.1, sugar=0.0)) is None
    assert signal("is_same_department", row, kinds=kinds(milk=0.1, sugar=0.1, tea=0.1)) is None
    assert signal("is_same_department", row) is None
    assert signal("is_same_category", relation(None, "sugar")) is None


def test_confidence_stands_among_that_of_its_answer() -> None:
    rows = [relation("tea", f"t{i}", i, stated_confidence=c) for i, c in enumerate([0.9, 0.5, 0.5])]
    standing = gather_evidence(mapped(*rows), mapped(*rows)).sort("relation_id")["confidence_standing"]

    assert standing.to_list() == [1.0, 0.25, 0.25]
    assert signal("confidence_standing", rows[0]) is None


@pytest.mark.parametrize(
    ("source", "rationale", "product", "explanation", "leaks"),
    [
        (
            "AVOCADO",
            "birthday gift",
            "card",
            "Carnations for Mother's Day are usually given with a card.",
            True,
        ),
        ("AVOCADO", "mother's day gift", "guacamole", "Mothers like it.", True),
        ("AVOCADO", "taco night", "taco shells", "Tacos take avocado.", False),
        ("FLORAL-CARNATIONS", "mother's day gift", "greeting card", "A card goes with the flowers.", False),
    ],
)
def test_the_prompts_example_leaks_only_into_what_it_is_not_true_of(
    source: str, rationale: str, product: str, explanation: str, leaks: bool
) -> None:
    assert leaks_example(source, rationale, product, explanation) is leaks


def test_words_are_found_in_their_other_forms() -> None:
    assert share_used("party napkins", "A napkin for the guests.") == 0.5
    assert share_used("", "anything") == 0.0
    assert similarity("sugar", "sugar") == 1.0
    assert similarity("sugar", "") == 0.0


def test_a_statement_that_was_resolved_to_nothing_has_evidence_without_a_target() -> None:
    row = relation("tea", "clotted cream", 1)
    unmapped = pl.DataFrame([{name: row[name] for name in RELATIONS.columns}], schema=RELATIONS.schema)
    part = mapped(relation("tea", "sugar"))

    evidence = gather_evidence(part, part, unmapped_part=unmapped, all_unmapped=unmapped)
    lost = evidence.filter(relation_id=row["relation_id"])

    assert evidence["answer_size"].to_list() == [2.0, 2.0]
    assert lost["target_kind_id"].item() is None
    assert lost["match_score"].item() is None
    assert lost["stated_confidence"].item() == 0.8


def test_an_empty_part_has_no_evidence() -> None:
    everything, _ = answers(2, seed=0)

    assert gather_evidence(everything.clear(), everything).is_empty()


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", None]), st.text(max_size=20), st.text(max_size=20), st.floats(0, 1)
        ),
        min_size=1,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_evidence_is_in_range_finite_and_independent_of_order(
    statements: list[tuple[str | None, str, str, float]], random: Random
) -> None:
    rows = [
        relation(s, "x", i, product=p, explanation=e, stated_confidence=c)
        for i, (s, p, e, c) in enumerate(statements)
    ]
    frame = mapped(*rows)
    order = list(range(frame.height))
    random.shuffle(order)

    evidence = gather_evidence(frame, frame)

    for name in SIGNALS:
        column, known = RELATION_EVIDENCE.columns[name], evidence[name].drop_nulls()
        assert known.is_finite().all(), name
        assert column.low is None or (known >= column.low).all(), name
        assert column.high is None or (known <= column.high).all(), name
        assert column.nullable or known.len() == evidence.height, name
    assert gather_evidence(frame[order], frame[order]).equals(evidence)


def test_evidence_about_a_part_is_that_about_the_whole() -> None:
    everything, _ = answers(6, seed=0)
    rows = [relation(f"source {i}", "clotted cream", 9) for i in range(6)]
    lost = pl.DataFrame([{n: r[n] for n in RELATIONS.columns} for r in rows], schema=RELATIONS.schema)
    is_mine = pl.col("source_kind") == "source 3"

    whole = gather_evidence(everything, everything, unmapped_part=lost, all_unmapped=lost)
    part = gather_evidence(
        everything.filter(is_mine), everything, unmapped_part=lost.filter(is_mine), all_unmapped=lost
    )

    assert part.equals(whole.join(part, on="relation_id", how="semi"))


def test_the_relation_type_that_other_sources_use_between_two_categories_is_the_usual_one() -> None:
    row = relation("tea", "sugar")
    same = [relation(name, "sugar") for name in ("coffee", "cocoa")]
    other = [relation(name, "sugar", relation_type="substitute") for name in ("syrup", "honey")]

    assert signal("type_prior", row, *same) == pytest.approx(1.0)
    assert signal("type_prior", row, *other) == pytest.approx(3 * (1 / 3) / 5)
    assert signal("type_prior", row) is None


def test_a_target_that_its_category_names_more_than_others_do_is_specific() -> None:
    row = relation("tea", "sugar")
    alike = [relation(f"food {i}", "sugar") for i in range(3)]
    strange = [relation(f"pet {i}", "leash", source_category="pets") for i in range(3)]
    elsewhere = [relation(f"pet {i}", "sugar", source_category="pets") for i in range(3)]
    elsewhere += [relation(f"food {i}", "milk") for i in range(3)]

    at_home, abroad = signal("target_pmi", row, *alike, *strange), signal("target_pmi", row, *elsewhere)

    assert isinstance(at_home, float)
    assert isinstance(abroad, float)
    assert at_home > 0 > abroad
    assert signal("target_pmi", row) is None
