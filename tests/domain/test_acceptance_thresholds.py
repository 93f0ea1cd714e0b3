"""The bounds are exact, what is claimed from them is rarely false, and a threshold picked by eye often is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from pkgraph.acceptance.bounds import clopper_pearson, design_effect, most_wrong
from pkgraph.acceptance.thresholds import (
    Pairs,
    Sample,
    Step,
    Tuning,
    loosest_rate,
    loosest_that_holds,
    planned_walk,
    rates_of,
    spaced,
    step_at,
    steps_of,
    walk,
    walked_rates,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
ALPHA, DELTA = 0.05, 0.1


def test_the_binomial_bound_is_clopper_and_pearsons() -> None:
    assert clopper_pearson(0, 59, 0.05) == pytest.approx(0.0495, abs=1e-4)
    assert clopper_pearson(0, 58, 0.05) > 0.05
    assert clopper_pearson(3, 3, 0.05) == 1.0
    assert clopper_pearson(0, 0, 0.05) == 1.0


@pytest.mark.parametrize("wrong", [0, 1, 3, 10, 29, 30])
def test_the_finite_bound_is_exceeded_at_most_as_often_as_it_says(wrong: int) -> None:
    population_size, n, delta = 30, 12, 0.1
    ways = [
        math.comb(wrong, k) * math.comb(population_size - wrong, n - k)
        for k in range(n + 1)
        if most_wrong(k, n, population_size, delta) < wrong
    ]

    assert sum(ways) / math.comb(population_size, n) <= delta


def test_the_finite_bound_nears_the_binomial_one_as_the_population_grows() -> None:
    assert most_wrong(3, 200, 1_000_000, 0.05) / 1_000_000 == pytest.approx(
        clopper_pearson(3, 200, 0.05), abs=1e-4
    )
    assert most_wrong(3, 200, 200, 0.05) == 3


def test_pairs_of_one_prompt_that_err_together_count_as_fewer() -> None:
    clusters = np.repeat(np.arange(50), 10)
    together, apart = clusters < 5, np.arange(500) % 10 == 0

    assert design_effect(together, clusters) == pytest.approx(10, rel=0.1)
    assert design_effect(apart, clusters) == 1.0
    assert design_effect(np.zeros(500, dtype=bool), clusters) == 1.0
    assert design_effect(together[:10], clusters[:10]) == 1.0


def world(n: int, seed: int) -> tuple[Floats, Bools]:
    """Scores that are honest probabilities, and what is wrong; prompts of six pairs tend to err together."""
    random = np.random.default_rng(seed)
    prompts = -(-n // 6)
    score = np.round(np.repeat(random.beta(14, 1.0, prompts), 6)[:n] * random.uniform(0.98, 1, n), 3)
    return score, np.repeat(random.random(prompts), 6)[:n] > score


def drawn(score: Floats, is_wrong: Bools, n: int, random: np.random.Generator) -> Pairs:
    """A random sample; what it found wrong is kept out."""
    is_sampled = np.zeros(score.size, dtype=bool)
    is_sampled[random.choice(score.size, n, replace=False)] = True
    found = is_wrong & is_sampled
    return Pairs(score, is_sampled, found, found, np.zeros(score.size, dtype=bool))


def published(pairs: Pairs, is_wrong: Bools, threshold: float) -> float:
    out = is_wrong[(pairs.score >= threshold) & ~pairs.is_refused]
    return float(out.mean()) if out.size else 0.0


def by_eye(pairs: Pairs, steps: list[Step]) -> float:
    """The loosest threshold at which the sample's own share of errors is small enough."""
    ok = [step.threshold for step in steps if step.n and step.errors <= ALPHA * step.n]
    return ok[-1] if ok else 1.0


N_DRAWS = 2_000


def simulated(score: Floats, is_wrong: Bools, n: int) -> tuple[float, float, float]:
    """Shares of the draws with a claim, with a false one, and with a false one by eye."""
    random = np.random.default_rng(0)
    claims = false = naive = 0
    for _ in range(N_DRAWS):
        pairs = drawn(score, is_wrong, n, random)
        steps = steps_of(pairs, DELTA)
        held = loosest_that_holds(steps, ALPHA)
        claims += held is not None
        false += held is not None and published(pairs, is_wrong, held.threshold) > ALPHA
        naive += published(pairs, is_wrong, by_eye(pairs, steps)) > ALPHA
    return claims / N_DRAWS, false / N_DRAWS, naive / N_DRAWS


def test_in_2000_draws_the_claim_is_rarely_false_and_one_by_eye_often() -> None:
    claims, false, naive = simulated(*world(1_200, seed=7), n=240)

    assert claims > 0.1
    assert false <= DELTA
    # Even with the errors it found kept out, a threshold picked by eye promises nothing.
    assert naive > 2 * DELTA


def test_in_2000_draws_it_is_rarely_false_where_scores_say_nothing_and_every_threshold_is_a_little_bad() -> (
    None
):
    """The hardest case: each of the thresholds is wrong by little, none better than another."""
    score = np.linspace(0.99, 0.95, 600).round(3)
    is_wrong = np.arange(600) % 13 == 0

    _, false, naive = simulated(score, is_wrong, n=240)

    assert false <= DELTA
    assert naive > 2 * DELTA


def test_all_bounds_hold_together() -> None:
    score, is_wrong = world(600, seed=3)
    random = np.random.default_rng(0)
    missed = 0
    for _ in range(300):
        steps = steps_of(drawn(score, is_wrong, 200, random), DELTA)
        missed += any(is_wrong[score >= step.threshold].sum() > step.most_wrong for step in steps)

    # 300 draws at delta 0.1: more than 43 would come by chance once in a hundred times.
    assert missed <= 43


def test_thresholds_follow_from_the_scores_and_equal_scores_are_not_parted() -> None:
    score = np.array([0.9, 0.8, 0.8, 0.8, 0.7, 0.6])
    no, yes = np.zeros(6, dtype=bool), np.ones(6, dtype=bool)

    found = steps_of(Pairs(score, yes, no, no, no), DELTA, 3)

    assert [(step.threshold, step.size) for step in found] == [(0.8, 4), (0.6, 6)]
    assert steps_of(Pairs(score[:0], no[:0], no[:0], no[:0], no[:0]), DELTA) == []


def test_a_sample_without_an_error_claims_all_of_a_good_population_and_nothing_where_it_is_small() -> None:
    score, nothing = np.linspace(0.5, 1, 1000), np.zeros(1000, dtype=bool)
    tenth, few = np.arange(1000) % 10 == 0, np.arange(1000) % 50 == 0
    good = loosest_that_holds(steps_of(Pairs(score, tenth, nothing, nothing, nothing), DELTA), ALPHA)
    small = loosest_that_holds(steps_of(Pairs(score, few, nothing, nothing, nothing), DELTA), ALPHA)

    assert good is not None
    assert (good.size, good.errors) == (1000, 0)
    assert small is None


def test_what_is_kept_out_is_not_counted_as_left() -> None:
    step = Step(threshold=0.9, size=100, n=50, errors=4, refused=6, most_wrong=10)

    assert (step.n_published, step.left) == (94, 4)
    assert step.bound == pytest.approx(4 / 94)


def test_pairs_to_come_count_alike_draws_as_fewer_and_are_bounded_for_themselves() -> None:
    random = np.random.default_rng(0)
    score = np.linspace(0.99, 0.89, 4000).round(3)
    # Prompts of two pairs are wrong as a whole, from 1 % of them among the surest to 12 %.
    is_wrong = np.repeat(random.random(2000) < np.linspace(0.01, 0.12, 2000), 2)
    held = loosest_rate(rates_of(Sample(score, is_wrong, np.arange(4000) // 2), DELTA), ALPHA)
    alone = loosest_rate(rates_of(Sample(score, is_wrong, np.arange(4000)), DELTA), ALPHA)

    assert held is not None
    assert alone is not None
    assert held.effect == pytest.approx(2, rel=0.1)
    assert held.bound <= ALPHA
    assert alone.threshold <= held.threshold


def test_no_rate_is_claimed_where_every_other_pair_is_wrong() -> None:
    score, wrong = np.linspace(0.5, 1, 500), np.arange(500) % 2 == 0

    found = rates_of(Sample(score, wrong, np.arange(500)), DELTA)

    assert loosest_rate(found, ALPHA) is None
    assert len(found) == 10


def two_samples(
    score: Floats, is_wrong: Bools, n_tuning: int, n: int, random: np.random.Generator
) -> tuple[Pairs, Tuning, Bools]:
    """The draw in two parts: what the first found wrong is out, what it found right is known.

    The third of the results: which of the pairs are wrong, for whoever knows the truth.
    """
    order = random.permutation(score.size)
    is_tuning, is_sampled = np.zeros((2, score.size), dtype=bool)
    is_tuning[order[:n_tuning]], is_sampled[order[n_tuning : n_tuning + n]] = True, True
    stays = ~(is_tuning & is_wrong)
    found = (is_sampled & is_wrong)[stays]
    pairs = Pairs(score[stays], is_sampled[stays], found, found, is_tuning[stays])
    tuning = Tuning(score[is_tuning], is_wrong[is_tuning], n / (score.size - n_tuning))
    return pairs, tuning, is_wrong[stays]


def without_a_bound(pairs: Pairs) -> float:
    """The loosest threshold at which the sample's own share of errors says that it holds."""
    steps = [step_at(pairs, threshold, DELTA) for threshold in spaced(pairs.score, 20)]
    return min(
        (
            step.threshold
            for step in steps
            if step.n and step.errors / step.n * step.size - step.refused <= ALPHA * step.n_published
        ),
        default=1.0,
    )


def simulated_in_two(score: Floats, is_wrong: Bools, n_tuning: int, n: int) -> tuple[float, float, float]:
    """As `simulated`, where the first part of the draw tunes and the second certifies."""
    random = np.random.default_rng(0)
    claims = false = naive = 0
    for _ in range(N_DRAWS):
        pairs, tuning, truth = two_samples(score, is_wrong, n_tuning, n, random)
        thresholds = planned_walk(pairs, tuning, DELTA)
        walked = walk(pairs, thresholds, alpha=ALPHA, delta=DELTA)
        held = loosest_that_holds(walked.reached, ALPHA)
        claims += held is not None
        if held is not None:
            is_out = (pairs.score < held.threshold) | pairs.is_refused
            false += truth[~is_out].sum() > walked.left_at(held)
        naive += published(pairs, truth, without_a_bound(pairs)) > ALPHA
    return claims / N_DRAWS, false / N_DRAWS, naive / N_DRAWS


def test_in_2000_draws_of_two_parts_the_claim_is_rarely_false_and_one_without_a_bound_often() -> None:
    claims, false, naive = simulated_in_two(*world(1_200, seed=7), n_tuning=240, n=240)

    assert claims > 0.5
    assert false <= DELTA
    assert naive > 2 * DELTA


def test_a_walk_is_rarely_false_where_every_threshold_is_as_bad_as_may_be() -> None:
    """The level is used up: wherever it begins, as many are wrong as just make the claim false."""
    score = np.linspace(0.99, 0.95, 600).round(3)
    is_wrong = np.arange(600) % 11 == 0

    _, false, naive = simulated_in_two(score, is_wrong, n_tuning=100, n=240)

    assert 0.01 < false <= DELTA
    assert false < naive


def test_a_walk_goes_on_by_what_stood_before_the_sample_and_claims_with_what_it_kept_out() -> None:
    step = Step(threshold=0.9, size=900, n=300, errors=15, refused=20, most_wrong=60, known=100)

    assert not step.goes_on(0.05)  # 60 of 1 000
    assert step.holds(0.05)  # 40 of 980
    assert Step(threshold=0.9, size=900, n=300, errors=9, refused=9, most_wrong=50, known=100).goes_on(0.05)


def test_a_sample_that_takes_known_pairs_out_and_hardly_any_other_claims_nothing() -> None:
    step = Step(0.9, size=900, n=300, errors=1, refused=1, most_wrong=10, known=100, known_refused=20)

    assert step.bound < 0.05
    assert not step.holds(0.05)


def test_a_walk_ends_at_the_first_threshold_that_it_may_not_pass() -> None:
    score = np.repeat(np.linspace(0.99, 0.80, 20), 100)
    no = np.zeros(2000, dtype=bool)
    is_sampled = np.arange(2000) % 2 == 0
    # The eleventh hundred is wrong, and nothing behind it.
    wrong = is_sampled & (np.arange(2000) // 100 == 10)
    walked = walk(Pairs(score, is_sampled, wrong, wrong, no), spaced(score, 20), alpha=ALPHA, delta=DELTA)

    assert [step.size for step in walked.reached] == [100 * n for n in range(1, 12)]
    assert not walked.is_whole
    # It claims alpha and no more, whatever the bound of that threshold alone is.
    assert walked.left_at(walked.reached[-2]) == 50 > walked.reached[-2].left


def test_a_walk_to_its_end_bounds_what_is_wrong_at_every_threshold_by_what_is_at_the_end() -> None:
    score = np.repeat(np.linspace(0.99, 0.80, 20), 100)
    no, is_sampled = np.zeros(2000, dtype=bool), np.arange(2000) % 2 == 0
    wrong = is_sampled & (np.arange(2000) % 200 == 0)
    thresholds = spaced(score, 20)[1:]
    walked = walk(Pairs(score, is_sampled, wrong, wrong, no), thresholds, alpha=ALPHA, delta=DELTA)

    assert walked.is_whole
    assert {walked.left_at(step) for step in walked.reached[10:]} == {walked.reached[-1].left}
    # 5 % of the 199 that the strictest set publishes: fewer than may be wrong at the end.
    assert walked.left_at(walked.reached[0]) == 9 < walked.reached[-1].left


def test_what_is_rather_wrong_than_right_is_not_claimed_however_good_the_bound() -> None:
    score, no = np.linspace(0.3, 1, 700), np.zeros(700, dtype=bool)
    steps = steps_of(Pairs(score, np.arange(700) % 2 == 0, no, no, no), DELTA)
    held = loosest_that_holds(steps, ALPHA)

    assert steps[-1].holds(ALPHA)
    assert held is not None
    assert 0.5 <= held.threshold < 0.6


def test_a_walk_begins_where_the_earlier_sample_foretells_the_least_bound() -> None:
    score = np.linspace(0.5, 1, 1000)
    no = np.zeros(1000, dtype=bool)
    pairs = Pairs(score, np.arange(1000) % 4 == 0, no, no, no)
    # Of the surest fifth a quarter is wrong, of the others hardly any.
    earlier = np.linspace(0.5, 1, 200)
    tuning = Tuning(earlier, (earlier > 0.9) & (np.arange(200) % 4 == 0), 0.25)
    thresholds = planned_walk(pairs, tuning, DELTA)

    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[0] < 0.9
    assert planned_walk(Pairs(score[:0], no[:0], no[:0], no[:0], no[:0]), tuning, DELTA) == []


def test_pairs_to_come_are_walked_by_the_earlier_samples_order_at_full_delta() -> None:
    random = np.random.default_rng(0)
    score = np.linspace(0.99, 0.89, 2000).round(3)
    is_wrong = random.random(2000) < np.linspace(0.01, 0.12, 2000)
    halves = [Sample(score[part::2], is_wrong[part::2], np.arange(1000)) for part in (0, 1)]
    walked = loosest_rate(walked_rates(*halves, alpha=ALPHA, delta=DELTA), ALPHA)
    at_once = loosest_rate(rates_of(halves[0], DELTA), ALPHA)

    assert walked is not None
    assert at_once is not None
    assert walked.bound <= ALPHA
    assert walked.threshold <= at_once.threshold
