"""What is known of each category, how old it is, and what distilling it would cost."""

from pkgraph.freshness.plan import category_prompts, staleness

__all__ = ["category_prompts", "staleness"]
