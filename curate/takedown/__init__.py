"""Removal everywhere of a post, an uploader or a content: media, features, fingerprints, decisions, previews and
exports, with a tombstone that keeps it out of later crawls.
"""
