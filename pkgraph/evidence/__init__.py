"""Signals about mapped relations, from sources that are independent of each other as far as possible.

What the signals add up to does not belong here: that is learned in `pkgraph.acceptance`.
"""

from pkgraph.evidence.gathering import gather_evidence
from pkgraph.evidence.signals import GROUPS, MODEL_STYLE, SIGNALS

__all__ = ["GROUPS", "MODEL_STYLE", "SIGNALS", "gather_evidence"]
