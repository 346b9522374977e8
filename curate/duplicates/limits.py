"""What can be found at all: the figures that the documentation and `plusmv dedup --help` quote. Loads nothing else."""

SHORTEST_S = 1.5  # seconds of a part, or of what two clips share; of less there is too little to tell it from chance
