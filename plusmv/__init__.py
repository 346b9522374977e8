"""plusmv: temporal action localization from video-level labels, and from curated social microvideos (+MV).

The packages lie at the top of the clone (core/, db/, features/, curate/, wsal/, labeler_ui/, demo/); the symbolic links
beside this file put them under one name: `from plusmv.wsal.evaluate import evaluate`.
"""
