"""What was measured: retention and pace per action, purity on a random audit, agreement between annotators, progress
and time left.
"""
