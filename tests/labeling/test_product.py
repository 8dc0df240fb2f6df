"""Product: the page speaks of what the last run knew, and says so where there was none."""

import shutil

import pytest

from tasks.inference import model_folder
from tasks.labeling.product import Product, load_product
from tasks.pipeline.last_run import model_of
from tasks.records.rows import Row
from tasks.reporting.run_folder import write_run
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes
from tasks.storage.tables import read_table, write_table


@pytest.fixture
def ran(outcome, finished):
    """(folder of a run, places) after a run whose model is there."""
    write_run(outcome, "a page")
    places = outcome.config.places
    folder = model_folder.path(finished.exports.digest, finished.config.places)
    shutil.copytree(folder, model_folder.path(finished.exports.digest, places))
    return places.runs / "latest", places


def test_it_knows_each_content_of_the_run_and_what_the_run_refused(ran):
    run, places = ran
    product = load_product(places)
    rows = read_table(run / "splits.csv", Row)
    assert product.rows.keys() == {row.sha256 for row in rows}
    assert all(product.is_known(row.sha256) for row in rows)
    assert len(product.refused) == 1
    assert all(map(product.is_known, product.refused))
    assert not product.is_known("ab" * 32)
    assert (product.classes, product.kinds) == (Classes(), ("def_front",))


def test_of_equal_contents_the_first_row_counts(ran):
    run, places = ran
    rows = read_table(run / "splits.csv", Row)
    write_table(run / "splits.csv", [*rows, rows[0]._replace(path="later.jpeg")], Row)
    assert load_product(places).rows[rows[0].sha256].path == rows[0].path


def test_the_kinds_are_those_of_the_defects_alone(ran):
    run, places = ran
    first, second, *others = read_table(run / "splits.csv", Row)
    assert first.label == second.label == "def_front"
    others = [row._replace(kind=row.label) for row in others]
    write_table(run / "splits.csv", [first._replace(kind="hole"), second._replace(kind="ok_front"), *others], Row)
    assert load_product(places).kinds == ("def_front", "hole")


@pytest.mark.parametrize("kinds", [("crack",), ("crack", "hole"), ("defect",), ("crack", "defect")])
def test_every_folder_of_a_defect_means_the_class_of_the_run(kinds, tmp_path):
    product = Product(tmp_path, Classes(defect="defect", good="good"), kinds, {}, frozenset())
    assert {product.label_of(folder) for folder in (*kinds, "defect")} == {"defect"}
    assert [product.label_of(folder) for folder in ("good", "other", "")] == ["good", "", ""]


def test_before_the_first_run_it_says_what_makes_one(places):
    with pytest.raises(BadInput, match="there was no run in .*: flows/retrain.py makes one"):
        load_product(places)


@pytest.mark.parametrize("content", [b"", b"path,sha256\n1.jpeg,ab\n", b"\xff\xfe\n"], ids=["empty", "short", "bytes"])
def test_a_damaged_table_of_the_run_is_named(ran, content):
    run, places = ran
    (run / "splits.csv").write_bytes(content)
    with pytest.raises(BadInput, match=r"splits\.csv is damaged or cannot be read"):
        load_product(places)


def test_a_run_without_its_model_is_refused(ran):
    run, places = ran
    shutil.rmtree(model_folder.path(model_of(run), places))
    with pytest.raises(BadInput, match=r"decision\.json cannot be read .*: run flows/retrain\.py again"):
        load_product(places)
