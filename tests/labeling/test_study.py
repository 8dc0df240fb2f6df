"""Study: half of the parts are hard, the draw repeats by its seed, and an open study is never drawn anew by accident."""

import shutil
from collections import Counter, defaultdict

import pytest
from study_places import JudgedPhotograph, clear_parts, prediction_of, write_run

from tasks.labeling.product import load_product
from tasks.labeling.study import NAME, StudyPhotograph, draw_study, read_study
from tasks.records.rows import Prediction, Suspect
from tasks.settings.errors import BadInput
from tasks.storage.tables import write_rows, write_table


def by_part(study: list[StudyPhotograph]) -> dict[str, list[StudyPhotograph]]:
    parts = defaultdict(list)
    for photograph in study:
        parts[photograph.part].append(photograph)
    return parts


def without_time(study: list[StudyPhotograph]) -> list[StudyPhotograph]:
    return [photograph._replace(drawn="") for photograph in study]


def test_half_of_the_parts_are_hard_and_the_others_are_of_both_classes(places):
    write_run(clear_parts(40), places)
    study = draw_study(load_product(places), places, parts=20, seed=1)
    parts = by_part(study)
    assert len(parts) == 20
    assert {len(photographs) for photographs in parts.values()} == {3}, "of four"
    kinds = Counter((photographs[0].hard, photographs[0].label) for photographs in parts.values())
    assert set(kinds.values()) == {5}
    assert {hard for hard, _ in kinds} == {"near the limits", ""}
    hard = {photograph.path[:-7] for photograph in study if photograph.hard}
    assert hard == {f"{kind}{number}" for kind in ("ok_front/good", "def_front/bad") for number in range(15, 20)}


def test_what_was_decided_wrongly_sent_to_review_or_is_suspect_comes_first(places):
    wrong = JudgedPhotograph("wrong", "def_front", 0.01, "pass")
    unsure = JudgedPhotograph("unsure", "ok_front", 0.5, "review")
    doubted = JudgedPhotograph("doubted", "ok_front", 0.001, "pass")
    run = write_run([*clear_parts(10), wrong, unsure, doubted], places)
    suspect = Suspect(
        doubted.path, doubted.sha256, "base", "", "ok_front", "def_front", 0.9, "image", 1, 1, 1, 0.001
    )  # fmt: skip
    write_table(run / "suspects.csv", [suspect], Suspect)
    study = draw_study(load_product(places), places, parts=6, seed=3)
    causes = {photograph.path: photograph.hard for photograph in study if photograph.hard}
    assert causes == {
        wrong.path: "decided wrongly", unsure.path: "sent to review", doubted.path: "suspect label",
    }  # fmt: skip


def test_a_hard_part_shows_its_hardest_photograph(places):
    hardest = JudgedPhotograph("good00", "ok_front", 0.9, "reject", 9)
    write_run([*clear_parts(4, photographs=9), hardest], places)
    for seed in range(5):
        study = draw_study(load_product(places), places, parts=2, seed=seed, replace=True)
        assert hardest.sha256 in {photograph.sha256 for photograph in study}
        (places.artifacts / NAME).unlink()


def test_equal_seeds_draw_equal_studies(places):
    write_run(clear_parts(40), places)
    product = load_product(places)
    first = draw_study(product, places, parts=10, seed=5)
    assert read_study(places) == first
    assert without_time(draw_study(product, places, parts=10, seed=5, replace=True)) == without_time(first)
    other = draw_study(product, places, parts=10, seed=6, replace=True)
    assert {photograph.sha256 for photograph in other} != {photograph.sha256 for photograph in first}
    assert {photograph.seed for photograph in other} == {6}


def test_a_study_without_a_seed_stores_the_one_that_it_drew(places):
    write_run(clear_parts(40), places)
    product = load_product(places)
    study = draw_study(product, places, parts=10)
    repeated = draw_study(product, places, parts=10, seed=study[0].seed, replace=True)
    assert without_time(repeated) == without_time(study)


def test_an_open_study_is_replaced_only_when_asked_and_its_table_stays(places):
    write_run(clear_parts(8), places)
    product = load_product(places)
    study = [photograph._replace(drawn="2026-01-02T03:04:05+00:00") for photograph in draw_study(product, places)]
    write_rows(places.artifacts / NAME, [photograph._asdict() for photograph in study], StudyPhotograph._fields)
    with pytest.raises(BadInput, match="a study is open, drawn 2026-01-02.*--replace-study"):
        draw_study(product, places)
    assert read_study(places) == study
    earlier = (places.artifacts / NAME).read_bytes()
    draw_study(product, places, replace=True)
    assert (places.artifacts / "study-2026-01-02T03-04-05.csv").read_bytes() == earlier


def test_where_parts_are_few_all_are_drawn(places):
    write_run(clear_parts(6, photographs=2), places)
    study = draw_study(load_product(places), places)
    assert len(by_part(study)) == 6
    assert len({photograph.part for photograph in study if photograph.hard}) == 3


def test_where_parts_are_not_known_each_photograph_is_one(places):
    write_run(clear_parts(6), places, with_parts=False)
    study = draw_study(load_product(places), places, parts=8)
    assert len(study) == 8
    assert all(photograph.part == photograph.sha256 for photograph in study)


def test_out_of_fold_answers_count_and_the_test_of_the_model_itself_goes_first(places):
    photographs = clear_parts(4, photographs=1)
    run = write_run(photographs, places)
    tested, validated, *trained = photographs
    write_table(
        run / "predictions.csv", [prediction_of(tested), prediction_of(validated, split="validation")], Prediction
    )
    folds = [prediction_of(row._replace(decision="review"), split="fold 1") for row in photographs]
    write_table(run / "out_of_fold.csv", folds, Prediction)
    answers = {row.sha256: row.model_answer for row in draw_study(load_product(places), places)}
    assert answers == {tested.sha256: "pass", **{row.sha256: "review" for row in (validated, *trained)}}


def test_a_run_that_judged_nothing_has_no_study(places):
    run = write_run(clear_parts(4), places)
    write_table(run / "predictions.csv", [], Prediction)
    with pytest.raises(BadInput, match="judged no photograph"):
        draw_study(load_product(places), places)
    assert read_study(places) == []


def test_a_damaged_study_is_said_and_never_replaced(places):
    write_run(clear_parts(4), places)
    (places.artifacts / NAME).write_text("something else\n")
    with pytest.raises(BadInput, match=r"study\.csv is damaged"):
        draw_study(load_product(places), places, replace=True)
    assert (places.artifacts / NAME).read_text() == "something else\n"
    shutil.rmtree(places.artifacts)
    assert read_study(places) == []
