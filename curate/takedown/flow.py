"""Flow that `plusmv extract --flow-cache` kept, in folders that may lie outside the workspace.

Extracting clips of the catalog notes the folder (features.flow_cache.known_caches). Whose the flow is that earlier
versions kept cannot be told: it goes as a whole, and is made again when it is needed.
"""

import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from plusmv.core.workspace import Workspace
from plusmv.features.flow_cache import known_caches, unnamed_flow


def remove_flow(workspace: Workspace, contents: Collection[str], further: Iterable[Path] = ()) -> Iterator[str]:
    """Remove the contents' flow from every cache; yields each cache's path from which something went."""
    for cache in dict.fromkeys([*known_caches(workspace.home), *further]) if contents else ():
        folders = [cache / content for content in sorted(contents) if (cache / content).is_dir()]
        old = list(unnamed_flow(cache))
        for folder in folders:
            shutil.rmtree(folder)
        for path in old:
            path.unlink(missing_ok=True)
        if folders or old:
            yield str(cache)
