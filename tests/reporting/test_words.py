"""Words: the noun is that of the settings, else it follows from the class folders; the published castings are known as such."""

import pytest

from tasks.records.results import ClassFolders, Source
from tasks.reporting.words import ProductWords, capitalized, plural_of, product_words
from tasks.settings.settings import SampleSettings

FOLDER = Source(kind="folder", identity="ab" * 32, name="parts")
SAMPLE = Source(kind="sample", identity="{}", name="sample", sample=SampleSettings())
KAGGLE = "ravirajsinh45/real-life-industrial-dataset-of-casting-product"
PUBLISHED = Source(kind="kaggle", identity=f"{KAGGLE}/2", name=f"kaggle:{KAGGLE}/2")
OTHER_KAGGLE = Source(kind="kaggle", identity=f"{KAGGLE}-two/2", name=f"kaggle:{KAGGLE}-two/2")
CASTINGS, CRACKS = ClassFolders(), ClassFolders(defect=("crack",), good="good")


@pytest.mark.parametrize(
    ("product", "source", "folders", "words"),
    [
        (None, FOLDER, CASTINGS, ProductWords("casting", "castings", published=True)),
        ("casting", FOLDER, CASTINGS, ProductWords("casting", "castings", published=True)),
        ("impeller", FOLDER, CASTINGS, ProductWords("impeller", "impellers")),
        (None, SAMPLE, CASTINGS, ProductWords("casting", "castings")),
        (None, FOLDER, CRACKS, ProductWords("part", "parts")),
        ("casting", FOLDER, CRACKS, ProductWords("casting", "castings")),
        ("magnetic tile", FOLDER, CRACKS, ProductWords("magnetic tile", "magnetic tiles")),
        (None, FOLDER, ClassFolders(defect=("def_front", "crack")), ProductWords("part", "parts")),
        ("impeller", PUBLISHED, CASTINGS, ProductWords("impeller", "impellers", published=True)),
        (None, OTHER_KAGGLE, CRACKS, ProductWords("part", "parts")),
    ],
)
def test_the_noun_follows_from_the_settings_and_else_from_the_classes(product, source, folders, words):
    assert product_words(product, source, folders) == words


@pytest.mark.parametrize(
    ("noun", "plural"),
    [
        ("ball screw", "ball screws"), ("gear bus", "gear buses"), ("box", "boxes"), ("bench", "benches"), ("brush", "brushes"),
        ("valve body", "valve bodies"), ("tray", "trays"), ("pulley", "pulleys"), ("PCB", "PCBs"),
    ],
)  # fmt: skip
def test_a_plural_is_regular(noun, plural):
    assert plural_of(noun) == plural


def test_capitals_of_a_name_stay_at_the_beginning_of_a_sentence():
    assert [capitalized(noun) for noun in ("valve body", "PCB", "3D print")] == ["Valve body", "PCB", "3D print"]
