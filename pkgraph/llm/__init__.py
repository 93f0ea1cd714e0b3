"""The door to language models: the ledger of paid answers, the replaying model, and asking for the rest.

No provider stands here (see `resources`), and no answer is read here (see `pkgraph.relations`).
"""

from pkgraph.llm.answers import AnswerKey, StoredAnswer, parameters_json
from pkgraph.llm.asking import Progress, ask_all
from pkgraph.llm.history import LedgerTotals
from pkgraph.llm.leases import Lease, Limits, Refusal, Spent, Wanted
from pkgraph.llm.ledger import Ledger
from pkgraph.llm.replay import BadLine, ReplayLanguageModel

__all__ = [
    "AnswerKey",
    "BadLine",
    "Lease",
    "Ledger",
    "LedgerTotals",
    "Limits",
    "Progress",
    "Refusal",
    "ReplayLanguageModel",
    "Spent",
    "StoredAnswer",
    "Wanted",
    "ask_all",
    "parameters_json",
]
