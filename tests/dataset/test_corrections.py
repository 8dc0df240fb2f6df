"""Corrections: the user's file is read as the user means it, and each error in it is named with its line."""

import codecs
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.dataset.corrections import Correction, find_corrections, load_corrections, parse
from tasks.records.results import Corrections
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes
from tasks.storage.tables import write_table

CLASSES = Classes()
ONE, TWO = "a1" * 32, "b2" * 32
HEADER = "sha256,correction,why\n"


@pytest.fixture
def path(places):
    places.data.mkdir()
    return places.data / "corrections.csv"


def test_without_a_file_there_are_none_and_no_folder_is_made(places):
    found = find_corrections(CLASSES, places)
    assert found == Corrections(identity="", path=None)
    assert load_corrections(found, CLASSES) == {}
    assert not places.data.exists()


def test_a_line_is_a_correction_of_one_content(path, places):
    text = f'{HEADER}{ONE},exclude,"blurred, see ticket 7"\n{TWO},ok_front,a shadow\n'
    path.write_text(text)
    expected = {
        ONE: Correction(ONE, "exclude", "blurred, see ticket 7"),
        TWO: Correction(TWO, "ok_front", "a shadow"),
    }
    found = find_corrections(CLASSES, places)
    assert found.identity == hashlib.sha256(text.encode()).hexdigest()
    assert load_corrections(found, CLASSES) == parse(path.read_bytes(), path, CLASSES) == expected


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + f"{HEADER}{ONE},exclude,früh\n".encode(),
        f"{HEADER}{ONE},exclude,früh".encode(),
        f"{HEADER}{ONE},exclude,früh\r\n".replace("\n", "\r\n").encode(),
        f" sha256 , correction,why \n\n  {ONE.upper()} ,  exclude ,  früh  \n,,\n".encode(),
        f'{HEADER}"{ONE}","exclude","früh"\n{ONE},exclude,said twice\n'.encode(),
    ],
    ids=[
        "Excel's mark",
        "no end of line",
        "Windows lines",
        "spaces, capitals and empty lines",
        "quotes, and said twice",
    ],
)
def test_what_editors_and_spreadsheets_write_is_taken(path, content):
    path.write_bytes(content)
    assert parse(path.read_bytes(), path, CLASSES) == {ONE: Correction(ONE, "exclude", "früh")}


def test_a_header_alone_corrects_nothing(path, places):
    path.write_text(HEADER)
    found = find_corrections(CLASSES, places)
    assert found.identity
    assert load_corrections(found, CLASSES) == {}


def test_other_class_names_are_expected_where_classes_have_them(path):
    classes = Classes(defect="cracked", good="sound")
    path.write_text(f"{HEADER}{ONE},cracked,seen under the lamp\n")
    assert parse(path.read_bytes(), path, classes)[ONE].correction == "cracked"
    with pytest.raises(BadInput, match="expected 'exclude', 'def_front' or 'ok_front'"):
        parse(path.read_bytes(), path, CLASSES)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "the header is '', expected 'sha256,correction,why'"),
        ("sha256;correction;why\n", 1, "the header is 'sha256;correction;why', expected 'sha256,correction,why'"),
        (f"{ONE},exclude,blurred\n", 1, f"the header is '{ONE},exclude,blurred', expected"),
        (f"{HEADER}cast_1.jpeg,exclude,blurred\n", 2, "'cast_1.jpeg' is no sha256, expected 64 hexadecimal digits"),
        (f"{HEADER}{ONE}0,exclude,blurred\n", 2, f"'{ONE}0' is no sha256"),
        (f"{HEADER}\n\n{ONE},drop,blurred\n", 4, "the correction is 'drop', expected 'exclude', 'def_front' or 'ok_front'"),
        (f"{HEADER}{ONE},Exclude,blurred\n", 2, "the correction is 'Exclude'"),
        (f"{HEADER}{ONE},exclude, \n", 2, f"nothing says why {ONE} is corrected: write it into the third column"),
        (f"{HEADER}{ONE},exclude\n", 2, "2 cells, expected 3"),
        (f"{HEADER}{ONE},exclude,dark, and blurred\n", 2, "4 cells, expected 3: a why with commas stands in quotes"),
        (
            f"{HEADER}{ONE},exclude,blurred\n{TWO},exclude,dark\n{ONE.upper()},ok_front,good\n",
            4,
            f"{ONE} is to be 'ok_front', but 'exclude' in an earlier line: leave one of the two",
        ),
        (f'{HEADER}{TWO},exclude,"two\nlines"\n{ONE},drop,dark\n', 4, "the correction is 'drop'"),
        (f'{HEADER}{ONE},exclude,"never closed\n', 2, "every quote that opens must close"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named_with_its_line(path, places, text, line, says):
    path.write_text(text)
    with pytest.raises(BadInput) as told:
        find_corrections(CLASSES, places)
    assert str(told.value).startswith(f"{path}, line {line}: ")
    assert says in str(told.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f"{HEADER}{ONE},exclude,früh\n".encode("latin-1"), 2),
        (f"{HEADER}{ONE},exclude,x\n".encode("utf-16"), 1),
    ],
    ids=["Latin 1", "UTF-16"],
)
def test_what_is_not_utf_8_is_named_with_its_line(path, places, content, line):
    path.write_bytes(content)
    with pytest.raises(BadInput, match=rf"line {line}: byte 0x[0-9A-F]+ is not UTF-8: save the table as UTF-8"):
        find_corrections(CLASSES, places)


def test_a_folder_of_that_name_is_refused(path, places):
    path.mkdir()
    with pytest.raises(BadInput, match=r"corrections\.csv cannot be read"):
        find_corrections(CLASSES, places)


@pytest.mark.parametrize(
    "change", [lambda path: path.write_text(f"{HEADER}{TWO},exclude,dark\n"), lambda path: path.unlink()]
)
def test_a_file_that_changed_since_it_was_looked_at_is_refused(path, places, change):
    path.write_text(f"{HEADER}{ONE},exclude,dark\n")
    found = find_corrections(CLASSES, places)
    change(path)
    with pytest.raises(BadInput, match="changed while it was read|cannot be read"):
        load_corrections(found, CLASSES)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"{HEADER}{ONE},exclude,{text}".encode()))
def test_whatever_the_file_holds_the_answer_is_corrections_or_one_sentence(content):
    try:
        found = parse(content, Path("corrections.csv"), CLASSES)
    except BadInput as error:
        assert str(error).startswith("corrections.csv, line ")
    else:
        assert all(one.why and one.correction == "exclude" for one in found.values())


def test_a_class_with_an_accent_is_taken_in_either_form(path):
    path.write_text(f"{HEADER}{ONE},de\u0301faut,why\n", encoding="utf-8")
    classes = Classes(defect="d\u00e9faut", good="bon")
    assert [one.correction for one in parse(path.read_bytes(), path, classes).values()] == ["d\u00e9faut"]


def test_a_line_of_a_table_that_recast_wrote_is_read_as_meant(path, places):
    classes = Classes(defect="-ok", good="ok")
    write_table(path, [Correction(ONE, "-ok", "=why")], Correction)
    assert parse(path.read_bytes(), path, classes) == {ONE: Correction(ONE, "-ok", "=why")}


@pytest.fixture
def reviewed(places):
    """Writes what people said on the review page."""

    def write(*lines: str) -> Path:
        places.artifacts.mkdir(exist_ok=True)
        path = places.artifacts / "corrections.csv"
        path.write_text("".join([HEADER, *(f"{line}\n" for line in lines)]))
        return path

    return write


def corrections_now(places, classes: Classes = CLASSES) -> dict[str, str]:
    found = load_corrections(find_corrections(classes, places), classes)
    return {sha256: correction.correction for sha256, correction in found.items()}


def test_both_files_are_read_and_the_users_wins(path, places, reviewed):
    reviewed(f"{ONE},def_front,Ada", f"{TWO},exclude,Ada")
    assert corrections_now(places) == {ONE: "def_front", TWO: "exclude"}
    path.write_text(f"{HEADER}{ONE},ok_front,a shadow\n")
    assert corrections_now(places) == {ONE: "ok_front", TWO: "exclude"}


def test_a_change_of_either_file_is_another_identity(path, places, reviewed):
    identities = set()
    for own in (None, f"{ONE},exclude,mine", f"{TWO},exclude,mine"):
        if own:
            path.write_text(f"{HEADER}{own}\n")
        for lines in ([f"{ONE},def_front,Ada"], [f"{TWO},def_front,Ada"]):
            reviewed(*lines)
            identities.add(find_corrections(CLASSES, places).identity)
    assert len(identities) == 6


def test_a_file_in_one_place_or_the_other_is_not_the_same_as_the_two_changed_over(path, places, reviewed):
    path.write_text(f"{HEADER}{ONE},exclude,mine\n")
    reviewed(f"{TWO},exclude,Ada")
    first = find_corrections(CLASSES, places).identity
    path.write_text(f"{HEADER}{TWO},exclude,Ada\n")
    reviewed(f"{ONE},exclude,mine")
    assert find_corrections(CLASSES, places).identity != first


def test_a_run_that_began_goes_on_with_what_people_had_said_then(places, reviewed):
    live = reviewed(f"{ONE},def_front,Ada")
    found = find_corrections(CLASSES, places)
    reviewed(f"{ONE},ok_front,Ada", f"{TWO},exclude,Ben")
    assert {sha256: one.correction for sha256, one in load_corrections(found, CLASSES).items()} == {ONE: "def_front"}
    live.unlink()
    assert load_corrections(found, CLASSES)[ONE].correction == "def_front"
    assert found.reviewed.is_relative_to(places.data)


def test_the_copy_is_stored_once_and_its_place_is_in_no_record(places, reviewed):
    reviewed(f"{ONE},def_front,Ada")
    first, second = find_corrections(CLASSES, places), find_corrections(CLASSES, places)
    assert first == second
    assert len(list((places.data / "tables").glob("reviewed-corrections*"))) == 1
    assert first.model_dump() == {"identity": first.identity}


@pytest.mark.parametrize("change", [lambda copy: copy.unlink(), lambda copy: copy.write_text("other")])
def test_a_copy_that_is_lost_or_changed_is_refused(places, reviewed, change):
    reviewed(f"{ONE},def_front,Ada")
    found = find_corrections(CLASSES, places)
    found.reviewed.chmod(0o600)
    change(found.reviewed)
    with pytest.raises(BadInput, match="changed while it was read|cannot be read"):
        load_corrections(found, CLASSES)


def test_what_people_said_of_another_product_holds_for_that_alone(places, reviewed):
    reviewed(f"{ONE},cracked,Ada", f"{TWO},exclude,Ada")
    assert corrections_now(places) == {TWO: "exclude"}
    assert corrections_now(places, Classes(defect="cracked", good="sound")) == {ONE: "cracked", TWO: "exclude"}


def test_a_damaged_file_of_the_review_page_is_named(places, reviewed):
    reviewed(f"{ONE},def_front")
    with pytest.raises(BadInput, match=r"corrections.*\.csv, line 2: 2 cells, expected 3"):
        find_corrections(CLASSES, places)
