"""From evidence to verdicts: a calibrated classifier, a certified threshold, every reason against.

Gathering evidence does not belong here, nor does laying out what was accepted.
"""

from pkgraph.acceptance.bounds import clopper_pearson, most_wrong
from pkgraph.acceptance.certificate import Certificate
from pkgraph.acceptance.certification import Certification, Promise, Promises, certify
from pkgraph.acceptance.classifier import HallucinationClassifier
from pkgraph.acceptance.metrics import Metrics, measure, measure_by, reliability
from pkgraph.acceptance.plots import kept_against_bound_png, reliability_png, score_histogram_png
from pkgraph.acceptance.pretrained import load_pretrained
from pkgraph.acceptance.rules import ACCEPTED_RULES, SCORED_RULES, judge_accepted, judge_scored
from pkgraph.acceptance.statements import statements_of
from pkgraph.acceptance.training import Recipe, Training, judge, train_classifier
from pkgraph.acceptance.verdicts import REASONS, Policy, accept, policy_from, score_relations

__all__ = [
    "ACCEPTED_RULES",
    "REASONS",
    "SCORED_RULES",
    "Certificate",
    "Certification",
    "HallucinationClassifier",
    "Metrics",
    "Policy",
    "Promise",
    "Promises",
    "Recipe",
    "Training",
    "accept",
    "certify",
    "clopper_pearson",
    "judge",
    "judge_accepted",
    "judge_scored",
    "kept_against_bound_png",
    "load_pretrained",
    "measure",
    "measure_by",
    "most_wrong",
    "policy_from",
    "reliability",
    "reliability_png",
    "score_histogram_png",
    "score_relations",
    "statements_of",
    "train_classifier",
]
