"""The experiments page and the README's table are what the result files say."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_spec = importlib.util.spec_from_file_location("write_experiments", ROOT / "docs" / "write_experiments.py")
write_experiments = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(write_experiments)


def test_no_figure_was_written_by_hand():
    text = write_experiments.README.read_text(encoding="utf-8")
    assert write_experiments.PAGE.read_text(encoding="utf-8") == write_experiments.page(), (
        "run docs/write_experiments.py"
    )
    assert write_experiments.readme(text) == text, "run docs/write_experiments.py"


def test_a_result_names_its_world_settings_versions_and_data():
    for file in sorted(write_experiments.RESULTS.glob("*/table.json")):
        found = write_experiments.result(*file.parent.name.split("-", 1))
        assert found["world"] in write_experiments.WORLDS and found["settings"] and found["versions"] and found["data"]
        assert "/tmp" not in file.read_text(encoding="utf-8")
