"""What runs without a hand on it: sensors and a schedule that compare what is with what should be.

They decide nothing that is not a rule of `pkgraph.freshness`, and touch no table: runs do.
"""
