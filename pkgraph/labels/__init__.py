"""What reviewers said of relations: read from files, held against the relations, agreed upon.

What a label teaches does not belong here: the classifier and the certificate are in `pkgraph.acceptance`.
"""

from pkgraph.labels.agreement import Agreement, JoinedLabels, cohens_kappa, join_labels
from pkgraph.labels.calibration import (
    CalibrationDelivery,
    CalibrationSet,
    answer_keys,
    frame_of,
    join_calibration,
    read_calibration_labels,
    read_frame,
    with_tuning,
)
from pkgraph.labels.reading import LabelDelivery, read_relation_labels, statement_key

__all__ = [
    "Agreement",
    "CalibrationDelivery",
    "CalibrationSet",
    "JoinedLabels",
    "LabelDelivery",
    "answer_keys",
    "cohens_kappa",
    "frame_of",
    "join_calibration",
    "join_labels",
    "read_calibration_labels",
    "read_frame",
    "read_relation_labels",
    "statement_key",
    "with_tuning",
]
