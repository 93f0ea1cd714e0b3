"""Reading relations out of what models answered: parse, bounded repair, validation; refusals have a reason.

Whether a statement is true does not belong here, nor which product of the shop it means.
"""

from pkgraph.relations.conservation import RULES, Balance, balance, broken_rules
from pkgraph.relations.parsing import parse_status
from pkgraph.relations.reading import ReadAnswers, read_relations
from pkgraph.relations.statements import STATEMENT_RULES

__all__ = [
    "RULES",
    "STATEMENT_RULES",
    "Balance",
    "ReadAnswers",
    "balance",
    "broken_rules",
    "parse_status",
    "read_relations",
]
