"""Decisions of people and the queues behind the labeler's pages: what is next and for whom, entries recorded once,
undo, previews and passwords.
"""
