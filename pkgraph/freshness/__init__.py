"""What is known of each category, how old it is, and what is asked for so that it stays young."""

from pkgraph.freshness.demand import Asked, Look, Memory, look
from pkgraph.freshness.limits import renew_before, with_age_limits
from pkgraph.freshness.night import Price, most_valuable, plan_night
from pkgraph.freshness.plan import category_prompts, staleness
from pkgraph.freshness.volatility import changed_statements

__all__ = [
    "Asked",
    "Look",
    "Memory",
    "Price",
    "category_prompts",
    "changed_statements",
    "look",
    "most_valuable",
    "plan_night",
    "renew_before",
    "staleness",
    "with_age_limits",
]
