"""The report as one self-contained HTML page (`plusmv report --html`), from the template report.html."""

from pathlib import Path

from jinja2 import Environment

from plusmv.curate.report.summary import COLUMNS, ReportResult, cells

TEMPLATE = Path(__file__).with_name("report.html")


def html_page(result: ReportResult) -> str:
    """The report's table of actions; names are escaped."""
    template = Environment(autoescape=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(result=result, columns=COLUMNS, cells=cells) + "\n"
