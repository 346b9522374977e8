"""The diagnosis page: one file, nothing loaded from elsewhere, strangers' names escaped."""

import re

from plusmv.wsal.diagnose import diagnose
from plusmv.wsal.diagnosis_page import diagnosis_page, plot_diagnosis
from plusmv.wsal.evaluate import evaluate
from tests.test_diagnose import found, truth
from tests.test_video_plot import drawn

TRUTH = truth(a=[("Jump", 0, 10), ("<b>Throw", 50, 60)])
FOUND = found(a=[("Jump", 0, 10, 9.0), ("Jump", 1, 10, 8.0), ("<b>Throw", 80, 90, 4.0)])


def test_the_page_holds_everything_in_one_file(tmp_path):
    plot_diagnosis(tmp_path / "d.png", diagnose(TRUTH, FOUND))
    page = tmp_path / "d.html"
    diagnosis_page(page, "<i>d.json", diagnose(TRUTH, FOUND), evaluate(TRUTH, FOUND), [tmp_path / "d.png"])
    text = page.read_text(encoding="utf-8")
    assert text.count('src="data:image/png;base64,') == 2
    assert not re.search(r"(src|href)=.?https?:", text)
    assert "&lt;b&gt;Throw" in text
    assert "<b>Throw" not in text
    assert "<i>d.json" not in text
    assert drawn(tmp_path / "d.png").std() > 10


def test_nothing_found_is_drawn_too(tmp_path):
    plot_diagnosis(tmp_path / "d.png", diagnose(TRUTH, {}))
    assert drawn(tmp_path / "d.png").shape[0] > 400
