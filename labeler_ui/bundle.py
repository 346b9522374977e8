"""A page's JavaScript modules as the one script that a Streamlit component is made of.

A file of assets/ says what it needs by `import { a, b } from "./file.js";` on one line, so that editors and `tsc` see
modules. Joined, the files share one scope: the names at their top levels must differ.
"""

import re
from pathlib import Path

IMPORT = re.compile(r'^import \{[^}\n]*\} from "\./(\w+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?!default )", re.MULTILINE)


def bundle(entry: Path) -> str:
    """The script of a page: the modules that it imports, each before whoever imports it, then its own."""
    modules: dict[Path, str] = {}

    def add(file: Path) -> None:
        if file in modules:
            return
        text = file.read_text(encoding="utf-8")
        for name in IMPORT.findall(text):
            add(file.with_name(name))
        modules[file] = EXPORT.sub("", IMPORT.sub("", text))

    add(entry)
    return "\n".join(modules.values())
