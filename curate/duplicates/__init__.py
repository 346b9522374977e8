"""The same clip again: perceptual hashes and motion, candidate search, alignment, groups of copies, what people ruled
of them, and leaks of a benchmark's videos into the clips.
"""
