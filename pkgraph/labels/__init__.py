"""What reviewers said of relations: read from files, held against the relations, agreed upon.

What a label teaches does not belong here: the classifier and the certificate are in `pkgraph.acceptance`.
"""

from pkgraph.labels.agreement import Agreement, JoinedLabels, cohens_kappa, join_labels
from pkgraph.labels.reading import LabelDelivery, read_relation_labels, statement_key

__all__ = [
    "Agreement",
    "JoinedLabels",
    "LabelDelivery",
    "cohens_kappa",
    "join_labels",
    "read_relation_labels",
    "statement_key",
]
