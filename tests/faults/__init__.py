"""Faults at random moments through every stage of a small real run, and hostile bytes for every parser."""
