"""Which clips are probably mis-tagged: signals on plain arrays, their combination, the scores in the catalog, and
when an action needs no more looking.
"""
