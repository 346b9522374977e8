"""`python -m plusmv` is the command `plusmv`."""

from plusmv.cli import main

if __name__ == "__main__":
    main()
