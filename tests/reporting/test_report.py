"""Report: what a reader needs in words and tables, in which no name from outside becomes markup."""

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from nasty import NASTY

from tasks.dataset.corrections import Correction
from tasks.dataset.labels import Corrected
from tasks.records.results import ClassFolders, Figure, Probe, Release, Rule
from tasks.reporting import data_section
from tasks.reporting.markdown import code, counts, out_of, table
from tasks.reporting.report import LEAK, Section, before_training, sections
from tasks.reporting.test_section import score_row
from tasks.settings.escaping import for_terminal
from tasks.storage.tables import store_table
from tasks.tracking import runs

MARKDOWN = MarkdownIt("js-default")


@pytest.fixture
def places(outcome):
    return outcome.config.places


def section(outcome, title: str) -> Section:
    (found,) = (one for one in sections(outcome) if one.title == title)
    return found


def audited(outcome, **numbers):
    """The outcome with other findings of the audit."""
    return replace(outcome, audit=outcome.audit.model_copy(update=numbers))


def divided(outcome, **numbers):
    """The outcome with other findings of the split."""
    return replace(outcome, splits=outcome.splits.model_copy(update=numbers))


def clean(outcome):
    """Without a leak."""
    return audited(outcome, exact_copies_across_splits=0)


def round_parts(outcome, known: int = 0, **numbers):
    """An outcome whose castings are told."""
    by_split = {"train": 30, "validation": 6, "test": 9, "held_back": 0}
    found = divided(outcome, castings_by_split=by_split, test_images_of_trained_castings=known)
    return audited(found, **{"castings": 40, "castings_of_two_labels": 0, "rings": 66, **numbers})


def scoring(outcome, accuracy: float | None):
    """The outcome with another accuracy of the model."""
    test = outcome.evaluation.test.model_copy(update={"accuracy": accuracy})
    return replace(outcome, evaluation=outcome.evaluation.model_copy(update={"test": test}))


def of_other_classes(outcome, product: str | None = None):
    """The outcome of a run on cracked parts, with all that a report may say about parts."""
    folder = outcome.folder.model_copy(update={"folders": ClassFolders(defect=("crack",), good="good")})
    source = outcome.source.model_copy(update={"name": "photographs"})
    fetch = outcome.config.fetch.model_copy(update={"product": product})
    config = outcome.config.model_copy(update={"fetch": fetch})
    leaking = audited(
        round_parts(outcome, known=3, castings_of_two_labels=2), published_test_images_of_trained_castings=5
    )
    return replace(leaking, source=source, folder=folder, config=config)


@pytest.mark.parametrize(
    ("product", "several"), [(None, "parts"), ("magnetic tile", "magnetic tiles"), ("casting", "castings")]
)
def test_a_report_names_the_product(outcome, product, several):
    found = of_other_classes(outcome, product)
    shown = "\n".join(one.markdown for one in (*sections(found), *before_training(found)))
    for words in (
        f"**5 test images show one of the {several} that train shows too**",
        f"how well known {several} are recognized again",
        f"The images show **40 {several}** (",
        f"3 of 14 test images show {several} that the training saw: for them the figures are about known {several}.",
        f"2 of the {several} carry both labels.",
        f"3 of 20 test images show {several} that train too: the bounds are about such {several}",
    ):
        assert words in shown
    assert f"without any {several.removesuffix('s')}, are right for" in shown
    assert product == "casting" or "casting" not in shown.casefold()


def test_a_test_on_castings_that_train_shows_nothing_about_new_ones(outcome):
    text = section(outcome, "What the test shows").markdown
    assert "new ones may fail more often" not in text
    leaking = outcome.splits.model_copy(update={"test_images_of_trained_castings": 7})
    text = section(replace(outcome, splits=leaking), "What the test shows").markdown
    assert "7 of 20 test images show castings that train too: the bounds are about such castings" in text


def test_the_sections_stand_in_the_order_of_their_weight(outcome):
    order = [
        "Result",
        "What the test shows",
        "What the figures mean",
        "Data",
        "Learning",
        "Test",
        "Rules of release",
        "Run",
    ]
    assert [one.title for one in sections(outcome)] == ["Parts are not known", LEAK, *order]
    assert [one.title for one in sections(round_parts(clean(outcome)))] == order
    shown = ["samples", "learning", "confusion", "mistakes"]
    assert [figure.name for one in sections(outcome) for figure in one.figures] == shown


def test_each_picture_stands_where_it_is_spoken_of(outcome):
    names = ["leak", "copies", "castings", "shared", "mixed", "samples", "learning", "confusion", "mistakes"]
    file = outcome.figures.figures[0].file
    all_of_them = tuple(Figure(name=name, title=name, caption="", file=file) for name in names)
    found = sections(replace(outcome, figures=outcome.figures.model_copy(update={"figures": all_of_them})))
    where = {one.title: [figure.name for figure in one.figures] for one in found if one.figures}
    assert where == {
        LEAK: ["leak"],
        "Data": ["samples", "copies", "castings", "shared", "mixed"],
        "Learning": ["learning"],
        "Test": ["confusion", "mistakes"],
    }


def test_the_result_says_verdict_reason_and_counts(outcome):
    result = section(outcome, "Result").markdown
    assert result.startswith(f"**Not promoted, no model is in use**: {outcome.release.reason}.")
    assert "**85.00%** of 20 test images" in result
    assert "misses 1 of 10 defects and refuses 2 of 10 good parts" in result
    assert "Decided in run" not in result


def test_every_rule_of_the_gate_is_told_with_what_was_found(outcome):
    told = section(outcome, "Rules of release").markdown
    assert "| **broken** | defects that escape | 1 of 10 (10.00%) | at most 5.00% |" in told
    assert (
        "| kept | litert, decisions changed | 0 of 20, probabilities by at most 1.0e-07 | none, probabilities by 0.001 |"
        in told
    )


def test_a_rule_that_is_left_to_a_person_is_not_told_as_broken(outcome):
    rule = Rule(name="beside the look-up", figure="cannot be shown", limit="shown", kept=False, for_person=True)
    release = outcome.release.model_copy(update={"rules": (rule,)})
    told = section(replace(outcome, release=release), "Rules of release").markdown
    assert "| **a person decides** | beside the look-up | cannot be shown | shown |" in told
    assert "broken" not in told


def test_an_earlier_decision_names_its_run(outcome):
    release = Release(
        verdict="promoted", reason="it is good", version=4, champion_before=3, decided_in="an earlier run", cached=True
    )
    result = section(replace(outcome, release=release), "Result").markdown
    assert result.startswith(
        "**Promoted as version 4**: it is good. Decided in run `an earlier run`; nothing has changed since."
    )


def test_a_leak_is_told_first_and_what_was_done_about_it(outcome):
    told = section(outcome, LEAK).markdown
    assert told.startswith(
        "**The published split leaks**: 1 pairs of files of train and test are equal byte by byte. A score"
    )
    assert told.endswith("this run held back 1 training images for it (protocol `cleaned`).")
    assert "**this run left them in training**" in data_section.leak(divided(outcome, held_back=0))
    assert data_section.leak(clean(outcome)) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("exact_copies_across_splits", "1,234 pairs of files of train and test are equal byte by byte"),
        ("near_copies_across_splits", "1,234 more train images are turned, mirrored or re-lit copies of test images"),
        (
            "published_test_images_of_trained_castings",
            "**1,234 test images show one of the castings that train shows too**",
        ),
    ],
)
def test_each_way_to_leak_is_enough(outcome, name, says):
    told = data_section.leak(audited(clean(outcome), **{name: 1_234}))
    assert told.startswith(
        f"**The published split leaks**: {says}. A score on it, in this report or in any publication"
    )


def test_all_ways_to_leak_are_told_in_one_sentence(outcome):
    told = data_section.leak(
        audited(outcome, near_copies_across_splits=5, published_test_images_of_trained_castings=7)
    ).partition(". ")[0]
    assert [part in told for part in ("1 pairs", "; 5 more", "; **7 test images")] == [True] * 3


def test_where_no_ring_is_found_castings_are_not_told(outcome):
    first = sections(outcome)[0]
    assert first.title == "Parts are not known"
    assert first.markdown.startswith(
        "**Nothing is known about which photographs show one part, so the figures are optimistic**"
    )
    assert "0 of 66 different images show a ring" in first.markdown
    assert data_section.castings(outcome.audit, outcome.splits, outcome.words) == ""
    assert "Parts are not known" not in [one.title for one in sections(round_parts(outcome))]


def test_the_layout_and_what_is_left_out_are_told_once(outcome):
    folder = outcome.folder.model_copy(
        update={"layout": "class folders; good: MT_Free (2)", "left_out": ("1 images", "2 files")}
    )
    source = outcome.source.model_copy(update={"left_out": ("0 links", "1 images")})
    told = data_section.data(replace(outcome, folder=folder, source=source))
    assert "| Layout | class folders; good: MT&#95;Free (2) |" in told
    assert "| Left out | 0 links; 1 images; 2 files |" in told
    assert "Left out" not in data_section.data(outcome)


def test_castings_are_told_with_what_they_mean_for_the_test(outcome):
    found = round_parts(outcome)
    told = data_section.castings(found.audit, found.splits, found.words)
    assert told == (
        "The images show **40 castings** (30 train, 6 validation, 9 test). "
        "The test images show no casting that the training saw: the figures are about new castings."
    )
    found = round_parts(outcome, known=12, castings_of_two_labels=2)
    told = data_section.castings(found.audit, found.splits, found.words)
    assert "12 of 14 test images show castings that the training saw" in told
    assert "`--protocol grouped`" in told
    assert "new castings" not in told
    assert told.endswith(" 2 of the castings carry both labels.")


@pytest.mark.parametrize(
    ("looked_up", "accuracy", "near"), [(0.86, 0.85, True), (0.81, 0.85, True), (0.79, 0.85, False)]
)
def test_a_score_that_looking_up_reaches_is_called_so(outcome, looked_up, accuracy, near):
    told = data_section.lookup(divided(outcome, lookup_accuracy=looked_up).splits, accuracy)
    assert f"is right for {looked_up:.1%}, the model for {accuracy:.1%}" in told
    assert ("most of this score can be had by looking up known pictures" in told) is near


@pytest.mark.parametrize(("together", "alone", "near"), [(0.9, 0.6, True), (0.6, 0.9, True), (0.7, 0.7, False)])
def test_a_score_that_the_light_reaches_is_called_so(outcome, together, alone, near):
    probes = {
        "brightness": Probe(accuracy=alone, auc=0.5),
        "border": Probe(accuracy=0.5, auc=None),
        "sharpness": Probe(accuracy=0.5, auc=0.875),
        "together": Probe(accuracy=together, auc=0.5),
    }
    told = data_section.shortcut(divided(outcome, shortcuts=probes).splits, 0.9, outcome.words)
    assert (
        f"are right for {together:.1%}: brightness alone {alone:.1%} (AUC 0.50), border alone 50.0%, sharpness" in told
    )
    assert "together alone" not in told
    assert ("the light nearly tells the class" in told) is near


def test_a_model_that_was_judged_on_nothing_can_be_told(outcome):
    unjudged = scoring(outcome, None)
    assert "the model for 0.0%" in data_section.meaning(
        unjudged.audit, unjudged.splits, unjudged.evaluation, unjudged.words
    )


def test_counts_of_the_data_are_shown(outcome):
    data = section(outcome, "Data").markdown
    assert "67 accepted, 1 quarantined; in the archive 0 other images and 0 junk files left alone" in data
    assert "| `base` | 62 | 30 `def_front`, 31 `ok_front` | 0 | 1 | 0 | 48 x 48 (61) |" in data
    assert "| `line 2` | 6 | 3 `def_front`, 3 `ok_front` | 0 | 0 | 0 | 48 x 48 (6) |" in data
    assert " test, 1 held back |" in data
    assert "orrections" not in data


def test_files_that_are_still_being_written_are_counted_with_their_origin(outcome):
    (arrival,) = outcome.arrivals
    waiting = replace(outcome, arrivals=(arrival.model_copy(update={"unsettled": 4}),))
    rows = [
        row.split(" | ")
        for row in data_section.data(waiting).splitlines()
        if row.startswith(("| `base`", "| `line 2`"))
    ]
    assert [row[5] for row in rows] == ["0", "4"]


def test_of_many_sizes_two_are_named(outcome):
    (base, _) = outcome.manifest.origins
    sizes = {"300 x 300": 1_000, "512 x 512": 20, "48 x 48": 3, "47 x 47": 1}
    cells = data_section.origin(base.model_copy(update={"sizes": sizes}), outcome)
    assert cells[6] == "300 x 300 (1,000), 512 x 512 (20) and 2 more sizes"


def test_an_origin_without_an_accepted_image_has_its_row(outcome):
    (base, _) = outcome.manifest.origins
    empty = base.model_copy(update={"by_class": {}, "sizes": {}, "brightness": None, "sharpness": None})
    assert data_section.origin(empty, outcome)[6:] == ("", "", "")


def corrected(outcome, rows: list[Corrected], unused: int = 0):
    file = store_table("corrections", rows, Corrected, outcome.config.places)
    return replace(
        outcome, manifest=outcome.manifest.model_copy(update={"corrected": file, "corrections_unused": unused})
    )


def test_corrections_are_shown_with_their_reasons(outcome):
    row = Corrected("ok_front/1.jpeg", "line 2", "ab" * 32, "ok_front", "exclude", "blurred | dark")
    told = data_section.data(corrected(outcome, [row], unused=3))
    assert "Corrections of 1 files:" in told
    assert "| `line 2` | `ok_front/1.jpeg` | `ok_front` | `exclude` | `blurred \\| dark` |" in told
    assert told.endswith("3 corrections are of images that this run does not have.")


@pytest.mark.parametrize(("count", "more"), [(1, ""), (1_000, ", of which 20 are shown")])
def test_changed_labels_are_shown_with_the_way_to_take_them(outcome, count, more):
    changes = [Correction(f"{n:064}", "ok_front", f"label changed: june/{n} is ok_front") for n in range(count)]
    file = store_table("label_changes", changes, Correction, outcome.config.places)
    manifest = outcome.manifest.model_copy(update={"label_changes": file})
    said = data_section.data(replace(outcome, manifest=manifest))
    assert f"{count:,} photographs came again with another label, and the earlier one holds{more}. Where" in said
    assert "| `0000000000000000` | `ok_front` | `label changed: june/0 is ok_front` |" in said


def test_of_many_corrections_the_first_are_shown(outcome):
    rows = [Corrected(f"{number}.jpeg", "base", "ab" * 32, "ok_front", "exclude", "dark") for number in range(1_000)]
    told = data_section.corrections(corrected(outcome, rows))
    assert told.startswith(f"Corrections of 1,000 files, of which {data_section.MAX_LISTED} are shown:")
    assert len(told.splitlines()) == 2 + 2 + data_section.MAX_LISTED


def test_before_training_the_leak_and_the_data_are_told(outcome):
    titles = [one.title for one in before_training(outcome)]
    assert titles == ["Parts are not known", LEAK, "Data"]
    assert [one.title for one in before_training(clean(outcome))] == ["Parts are not known", "Data"]
    assert not any(one.figures for one in before_training(outcome))
    assert before_training(round_parts(outcome))[-1].markdown.startswith("The images show **40 castings**")


def test_each_origin_has_its_row_when_there_are_several(outcome):
    rows = section(outcome, "Test").markdown.splitlines()
    names = [row.split(" | ")[0] for row in rows if row.startswith(("| all", "| `"))]
    assert names == 2 * ["| all", "| `base`", "| `line 2`"]
    alone = outcome.evaluation.model_copy(update={"slices": {"base": outcome.evaluation.test}})
    assert "`base`" not in section(replace(outcome, evaluation=alone), "Test").markdown


def test_a_rate_stands_beside_its_count_and_its_interval(outcome):
    row = score_row("all", outcome.evaluation.test)
    assert row[1] == "85.00% of 20"
    assert row[3] == "1 of 10: 10.00% (0.25% to 44.50%)"


def test_a_slice_with_one_class_shows_what_there_is(outcome):
    alone = outcome.evaluation.test.model_copy(
        update={"defects": 0, "missed_defects": 0, "escape_rate": None, "escape_rate_interval": None, "auc": None}
    )
    assert score_row("all", alone)[2:4] == ("", "0 of 0")


@pytest.mark.parametrize("name", [name for name in NASTY if name.strip()])
def test_a_name_from_outside_becomes_code_and_nothing_else(name):
    (paragraph, inline, _) = MARKDOWN.parse(code(name))
    assert paragraph.type == "paragraph_open"
    assert [token.type for token in inline.children] == ["code_inline"]


@pytest.mark.parametrize("name", [name for name in NASTY if name.strip()])
def test_a_name_in_a_table_stays_in_its_cell(name):
    tokens = MARKDOWN.parse(table(("a", "b"), [(code(name), "end")]))
    assert [token.type for token in tokens].count("td_open") == 2
    cell = next(
        token for token in tokens if token.type == "inline" and token.map and token.children[0].type == "code_inline"
    )
    assert cell.children[0].content == for_terminal(name).replace("`", "'").replace("\\|", r"\x5c|").strip()


def shape(markdown: str) -> list[str]:
    """What a reader of Markdown makes of it, without the words."""
    found = []
    for token in MARKDOWN.parse(markdown):
        found += [token.type, *(child.type for child in token.children or ())]
    return [kind for kind in found if kind not in ("text", "text_special")]


@pytest.mark.parametrize("told", [sections, before_training])
def test_no_name_from_outside_is_markup_anywhere(outcome, told):
    harmless = [shape(one.markdown) for one in told(with_names(outcome, "harmless"))]
    for name in filter(str.strip, NASTY):
        assert [shape(one.markdown) for one in told(with_names(outcome, name))] == harmless, name


def with_names(outcome, name: str):
    """Called so: the source, a class, an origin, all that a correction names, and what the reason and the rules of release name."""
    first, second = outcome.manifest.origins
    by_class = {name: 3, "ok_front": 4}
    manifest = corrected(outcome, [Corrected(name, name, "ab" * 32, name, name, name)]).manifest
    return replace(
        outcome,
        manifest=manifest.model_copy(
            update={"origins": (first, second.model_copy(update={"name": name, "by_class": by_class}))}
        ),
        splits=outcome.splits.model_copy(update={"by_class": by_class, "by_origin": {"base": 3, name: 4}}),
        evaluation=outcome.evaluation.model_copy(
            update={"slices": {"base": outcome.evaluation.test, name: outcome.evaluation.test}}
        ),
        source=outcome.source.model_copy(update={"name": name}),
        release=outcome.release.model_copy(
            update={"reason": name, "rules": (Rule(name=name, figure=name, limit=name, kept=True),), "decided_in": name}
        ),
        model=outcome.model.model_copy(update={"device": name}),
        arrivals=tuple(one.model_copy(update={"origin": name}) for one in outcome.arrivals),
    )


def test_pipes_are_escaped_and_every_row_has_its_cells():
    assert table(("a", "b"), [("1|2", code("3|4"))]) == "| a | b |\n| --- | --- |\n| 1&#124;2 | `3\\|4` |"


def test_numbers_have_separators_and_names_behind_them():
    assert out_of(1_234, 56_789) == "1,234 of 56,789"
    assert counts({"train": 1_000, "test": 2}) == "1,000 train, 2 test"
    assert counts({}) == ""


def test_the_run_links_to_its_page_in_mlflow_where_there_is_one(outcome, registered):
    decided = outcome.release.model_copy(update={"tracked": runs.begin("is it better", "run 1", registered)})
    elsewhere = registered.model_copy(update={"artifacts": registered.artifacts / "other"})
    config = outcome.config.model_copy(update={"places": elsewhere})
    link = f"[Its page in MLflow](http://127.0.0.1:5000/#/experiments/1/runs/{decided.tracked})"
    assert link in section(replace(outcome, release=decided), "Run").markdown
    assert "MLflow" not in section(replace(outcome, release=decided, config=config), "Run").markdown, (
        "no registry there"
    )


def test_where_the_network_looks_is_shown_before_how_it_learned(outcome):
    (figure,) = outcome.figures.figures[:1]
    drawn = [figure.model_copy(update={"name": name}) for name in ("learning", "crops")]
    figures = outcome.figures.model_copy(update={"figures": tuple(drawn)})
    assert [one.name for one in section(replace(outcome, figures=figures), "Learning").figures] == ["crops", "learning"]
