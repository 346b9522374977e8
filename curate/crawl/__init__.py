"""From posts to clips: each post of a search is settled (downloaded, known, filtered, failed, gone or tombstoned),
counted and written with the cursor in one transaction; media are stored by content.
"""
