"""The bounds are exact, what is claimed from them is rarely false, and a threshold picked by eye often is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from pkgraph.acceptance.bounds import clopper_pearson, design_effect, most_wrong
from pkgraph.acceptance.thresholds import (
    Pairs,
    Step,
    loosest_rate,
    loosest_that_holds,
    rates,
    steps_of,
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
    return Pairs(score, is_sampled, found, found)


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

    found = steps_of(Pairs(score, yes, no, no), DELTA, 3)

    assert [(step.threshold, step.size) for step in found] == [(0.8, 4), (0.6, 6)]
    assert steps_of(Pairs(score[:0], no[:0], no[:0], no[:0]), DELTA) == []


def test_a_sample_without_an_error_claims_all_of_a_good_population_and_nothing_where_it_is_small() -> None:
    score, nothing = np.linspace(0.5, 1, 1000), np.zeros(1000, dtype=bool)
    good = loosest_that_holds(
        steps_of(Pairs(score, np.arange(1000) % 10 == 0, nothing, nothing), DELTA), ALPHA
    )
    small = loosest_that_holds(
        steps_of(Pairs(score, np.arange(1000) % 50 == 0, nothing, nothing), DELTA), ALPHA
    )

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
    held = loosest_rate(score, is_wrong, np.arange(4000) // 2, ALPHA, DELTA)
    alone = loosest_rate(score, is_wrong, np.arange(4000), ALPHA, DELTA)

    assert held is not None
    assert alone is not None
    assert held.effect == pytest.approx(2, rel=0.1)
    assert held.bound <= ALPHA
    assert alone.threshold <= held.threshold


def test_no_rate_is_claimed_where_every_other_pair_is_wrong() -> None:
    score, wrong = np.linspace(0.5, 1, 500), np.arange(500) % 2 == 0

    assert loosest_rate(score, wrong, np.arange(500), ALPHA, DELTA) is None
    assert len(list(rates(score, wrong, np.arange(500), DELTA))) == 10
