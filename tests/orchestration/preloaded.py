"""What a child of the tests finds imported: a build is seconds of work and ten of imports.

Importing starts no thread and opens nothing, or forking from here would not be safe.
"""

from importlib import import_module

HEAVY = (
    "dagster",
    "great_expectations.data_context.types.base",
    "great_expectations.expectations",
    "litellm",
    "matplotlib.figure",
    "pandas",
    "sklearn.ensemble",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "checks.asset_checks",
    "pkg_assets.build",
    "pkg_assets.definitions",
    "pkgraph.acceptance",
    "pkgraph.baskets",
    "pkgraph.catalog",
    "pkgraph.evidence",
    "pkgraph.labels",
    "pkgraph.mapping",
    "pkgraph.measurement",
    "pkgraph.prompts.shop",
    "pkgraph.recommend",
    "pkgraph.relations",
    "pkgraph.snapshot.compile",
    "resources.litellm_model",
)

for name in HEAVY:
    import_module(name)
