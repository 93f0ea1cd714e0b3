"""The judges: Great Expectations suites and gate checks, shown as Dagster asset checks.

The rules themselves live in the library; what stands here runs them and shows the result.
"""
