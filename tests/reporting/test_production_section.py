"""Production section: what spot checks show is a table for people, and figures for MLflow."""

from dataclasses import replace

from tasks.records.run import ErrorRate, ProductionFacts
from tasks.reporting import report
from tasks.reporting.production_section import production_metrics, production_section
from tasks.reporting.run_json import fill_run_json

KNOWN = ErrorRate(decided=948, checked=228, wrong=1, waiting=12, rate=0.005, bound=0.022, more=23)
UNKNOWN = ErrorRate(decided=10, checked=1, wrong=0, waiting=9)


def test_each_version_has_a_row_for_what_passed_and_one_for_what_was_rejected():
    text = production_section([ProductionFacts(version=None, passed=KNOWN, rejected=UNKNOWN)])
    assert "| all | passed, and defective | 1 of 228 | 0.5% | 2.2% | 12 | 23 parts without a defect |" in text
    assert "| all | rejected, and good | 0 of 1 |  |  | 9 |  |" in text
    assert production_section([]) == ""


def test_what_is_not_known_is_no_metric():
    assert production_metrics(ProductionFacts(version=2, passed=KNOWN, rejected=UNKNOWN)) == {
        "production.passed.checked": 228.0,
        "production.passed.wrong_share": 0.005,
        "production.passed.wrong_share_bound": 0.022,
        "production.rejected.checked": 1.0,
    }


def test_the_report_and_run_json_have_it_where_people_checked(outcome):
    titles = [section.title for section in report.sections(outcome)]
    assert "At the stations" not in titles
    facts = ProductionFacts(version=2, passed=KNOWN, rejected=UNKNOWN)
    checked = replace(outcome, production=(facts,))
    (section,) = (section for section in report.sections(checked) if section.title == "At the stations")
    assert "1 of 228" in section.markdown
    assert fill_run_json(checked).production == [facts]
