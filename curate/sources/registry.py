"""The sources that there are: a new one is its file and its line here.

Modules are loaded only when a source is opened, so that `--help` stays quick.
"""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from plusmv.core.errors import BadInput

if TYPE_CHECKING:
    from plusmv.curate.sources.base import Source, SourceContext, SourceOptions

SOURCES = {  # what `--source` takes: module:class
    "folder": "plusmv.curate.sources.folder:FolderSource",
    "instagram": "plusmv.curate.sources.instagram:InstagramSource",
    "ytdlp": "plusmv.curate.sources.ytdlp_search:YtDlpSource",
    "urls": "plusmv.curate.sources.urls:UrlsSource",
    "graph": "plusmv.curate.sources.graph:GraphSource",
    "youtube": "plusmv.curate.sources.youtube:YouTubeSource",
}


def source_class(name: str) -> "type[Source]":
    """The class of a source. Raises BadInput where there is no such source."""
    if name not in SOURCES:
        raise BadInput(f"unknown source {name[:60]!r}; known are {', '.join(SOURCES)}")
    module, _, member = SOURCES[name].partition(":")
    return getattr(importlib.import_module(module), member)


def open_source(name: str, options: "SourceOptions", context: "SourceContext") -> "Source":
    """The source of that name. Raises BadInput or Missing where an option or a credential is missing."""
    kind = source_class(name)
    if options.manifest is not None and not kind.takes_manifest:
        takers = [other for other in SOURCES if source_class(other).takes_manifest]
        raise BadInput(f"--manifest goes with --source {' or '.join(takers)}")
    return kind.open(options, context)


def recheck_sources(options: "SourceOptions", context: "SourceContext") -> "Callable[[str], Source | None]":
    """Platform -> the source that looks its posts up again, None where nothing can; opened when first asked for."""
    from plusmv.curate.sources.base import ANY_PLATFORM

    names = {platform: name for name in SOURCES for platform in source_class(name).rechecks}
    opened: dict[str, Source | None] = {}

    def source_of(platform: str) -> "Source | None":
        name = names.get(platform) or names[ANY_PLATFORM]
        if name not in opened:
            opened[name] = source_class(name).open_for_recheck(options, context)
        return opened[name]

    return source_of


def known_platforms() -> set[str]:
    """The platforms whose posts some source lists."""
    return {platform for name in SOURCES for platform in source_class(name).platforms}
