"""Ids whose letter case their platform ignores: "instagram:Ann" and "Instagram:ann" are one uploader.

Everything else is told apart by case, as Instagram's posts and YouTube's videos and channels are.
"""

UPLOADERS = {"instagram", "tiktok", "twitter", "x", "facebook", "threads", "reddit", "vimeo", "dailymotion", "twitch"}
POSTS = {"niconico", "dailymotion"}


def uploader_id(platform: str, name: str) -> str:
    """An uploader's id or handle as it is compared; YouTube ignores case in handles, @name, alone."""
    handle = platform.casefold() == "youtube" and name.startswith("@")
    return name.casefold() if handle or platform.casefold() in UPLOADERS else name


def post_id(platform: str, name: str) -> str:
    """A post's id as it is compared."""
    return name.casefold() if platform.casefold() in POSTS else name


def uploader_name(name: str) -> str:
    """A "platform:id" as it is compared and hashed."""
    platform, colon, rest = name.partition(":")
    return f"{platform.casefold()}:{uploader_id(platform, rest)}" if colon else name


def post_name(name: str) -> str:
    """A "platform:id" of a post as it is compared and hashed."""
    platform, colon, rest = name.partition(":")
    return f"{platform.casefold()}:{post_id(platform, rest)}" if colon else name
