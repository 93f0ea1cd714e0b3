"""The way from the catalog to the published graph, one stage a file.

No domain logic stands here: an asset reads, calls one function of the library and reports.
"""
