"""Features and export of what was kept: extraction over the catalog, and the curated set as ActivityNet JSON with its
card.
"""
