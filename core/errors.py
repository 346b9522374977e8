"""The errors that a user can cause. The library raises them; the command line prints one line and exits 2."""


def one_line(error: BaseException) -> str:
    """An exception's message, or its type's name where it has none, without line breaks."""
    return " ".join((str(error) or type(error).__name__).split())


class PlusmvError(Exception):
    """An error that the user can fix. The message is one line: what is wrong, and what to do."""


class BadInput(PlusmvError):
    """A file, option or record that cannot be used as it is."""


class Missing(PlusmvError):
    """Something that must exist first: a file, a clip, weights, an earlier step."""


class Refused(PlusmvError):
    """An operation that needs the user's explicit permission."""
