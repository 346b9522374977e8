"""Where posts come from, and polite access to it: one file a source, each yielding plain records of posts, behind
rate limits, address checks and bounded retries. Nothing here writes the catalog.
"""
