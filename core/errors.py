"""The one family of errors a user can cause. The library raises them, the command line prints one line and exits 2."""


def one_line(error: BaseException) -> str:
    """What another library's exception says, or its kind where it says nothing, without line breaks."""
    return " ".join((str(error) or type(error).__name__).split())


class PlusmvError(Exception):
    """Something the user can put right. The message is one line: what is wrong, and what to do."""


class BadInput(PlusmvError):
    """A file, option or record that cannot be used as it is."""


class Missing(PlusmvError):
    """Something that must be there first: a file, a clip, weights, an earlier step."""


class Refused(PlusmvError):
    """Something that could be done but must not, unless the user says so."""
