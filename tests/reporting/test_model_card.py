"""Card: one page that machines and people read, with the figures of the records and nothing of it made up."""

import pytest
import yaml
from nasty import NASTY

from tasks.inference.decision import read
from tasks.inference.out_of_distribution import FeatureGaussian
from tasks.records.results import Format, Guarantee
from tasks.records.rows import Prediction
from tasks.reporting.model_card import FolderContent, Subject, card, without_front_matter
from tasks.reporting.words import ProductWords
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import EvaluationSettings
from tasks.storage.tables import read_table

FORMATS = {"litert": Format(bytes=98_000, images=20, max_difference=1e-7, changed_decisions=0, milliseconds=0.5)}


@pytest.fixture
def written(finished):
    """Calls `card` for the finished run, with other evidence where it is given."""
    places, evaluation = finished.config.places, finished.evaluation
    subject = Subject(
        finished.manifest, finished.audit, finished.splits, finished.model, evaluation, finished.config.evaluation, finished.words,
    )  # fmt: skip
    judged = read_table(evaluation.predictions.path(places), Prediction)
    evidence = FolderContent(
        read(evaluation.decision.path(places)),
        [one for one in judged if one.split == "test"],
        FORMATS,
        "ef" * 32,
    )
    return lambda **other: card(subject._replace(**other.pop("subject", {})), evidence._replace(**other))


def front(text: str) -> dict:
    head, _, _ = text.removeprefix("---\n").partition("\n---\n")
    return yaml.safe_load(head)


def test_its_front_matter_has_the_figures_of_each_slice(written, finished):
    told = front(written())
    assert told["library_name"] == "keras"
    assert told["pipeline_tag"] == "image-classification"
    (model,) = told["model-index"]
    assert model["name"] == "compact"
    by_name = {one["dataset"]["name"]: {m["type"]: m["value"] for m in one["metrics"]} for one in model["results"]}
    test = finished.evaluation.test
    assert list(by_name) == ["test, all", "test, base", "test, line 2"]
    assert by_name["test, all"]["accuracy"] == pytest.approx(test.accuracy)
    assert by_name["test, all"]["escape_rate"] == pytest.approx(test.missed_defects / test.defects)
    assert by_name["test, base"]["roc_auc"] == pytest.approx(finished.evaluation.slices["base"].auc, abs=1e-6)


def test_it_names_what_it_was_learnt_from_by_digest(written, finished):
    text = written()
    for digest in (
        finished.manifest.table.sha256,
        finished.splits.table.sha256,
        finished.model.weights_sha256,
        "ef" * 32,
    ):
        assert digest in text
    assert f"| Held back, as copies of test images | {finished.splits.held_back:,} |" in text
    assert "1 refused" in text, "the damaged file"
    assert "CC BY-NC-ND" in text


def test_it_says_on_which_castings_it_fails(written):
    def row(casting, label, decision):
        return Prediction("a", "cd" * 32, "test", "base", label, casting * 32, 0.5, decision, "", "between_limits")

    test = [
        row("aa", "def_front", "pass"), row("aa", "def_front", "pass"), row("bb", "ok_front", "reject"),
        row("bb", "ok_front", "review"), row("cc", "def_front", "reject"), row("cc", "ok_front", "review"),
    ]  # fmt: skip
    text = written(test=test)
    assert "Of 3 castings in the test, images of 2 are decided wrongly." in text
    assert "| `aaaaaaaaaaaa` | `base` | 2 | 2 | 0 | 0 |\n| `bbbbbbbbbbbb` | `base` | 2 | 0 | 1 | 1 |" in text
    assert "cccccccccccc" not in text
    assert "No test image of 1 castings is decided wrongly" in written(test=test[-2:])


def test_it_names_the_product_and_whose_the_photographs_are(written, finished):
    test = [Prediction("a", "cd" * 32, "test", "base", "def_front", "", 0.5, "pass", "", "between_limits")]
    assert front(written())["tags"] == ["visual-inspection", "defect-detection", "recast", "casting"]
    tiles = ProductWords("Magnetic tile", "Magnetic tiles")
    text = written(subject={"words": tiles}, test=test)
    assert front(text)["tags"][-1] == "magnetic-tile"
    assert "Of 1 Magnetic tiles in the test" in text
    assert "| Magnetic tile | Origin |" in text
    text = written(subject={"words": ProductWords("part", "parts")}, test=test)
    assert front(text)["tags"] == ["visual-inspection", "defect-detection", "recast"]
    assert "| Part | Origin |" in text
    assert text.endswith("ask their owner.\n")
    assert "casting" not in text.casefold()


def test_it_says_what_goes_to_a_person(written, finished):
    known = FeatureGaussian(usual=(0.0,), spread=(1.0,), directions=(), widths=(), width_across=1.0, limit=4.25)
    assert "Whatever the probability" not in written()
    rule = read(finished.evaluation.decision.path(finished.config.places))
    text = written(rule=rule.model_copy(update={"max_residual": 0.012, "appearance": known}))
    assert (
        "how the picture looks is more than 4.25 from what was learned, or its rim is more than 1.20% off an ellipse"
        in text
    )
    two = known.model_copy(update={"limit": 5.5})
    text = written(rule=rule.model_copy(update={"appearances": (known, two), "features": known}))
    assert (
        "how the picture looks is beyond the limit of every origin (4.25, 5.50), or what the network sees in it is more than 4.25"
        in text
    )


def test_each_format_stands_with_how_it_answers(written):
    broken = FORMATS["litert"].model_copy(update={"changed_decisions": 3, "max_difference": 0.25})
    assert "| litert | 0.10 MB | 0.5 ms | 1.0e-07 | 0 of 20 |" in written()
    assert "| litert | 0.10 MB | 0.5 ms | 2.5e-01 | 3 of 20 |" in written(formats={"litert": broken})


def test_names_from_outside_are_no_markup(written, finished):
    splits = finished.splits.model_copy(update={"by_origin": {"a`|<b>": 3}})
    assert "3 `a'\\|<b>`" in written(subject={"splits": splits})


def test_a_card_is_parted_where_its_front_matter_ends_whatever_an_origin_is_called(written, finished):
    for name in NASTY:
        slices = {
            "base": finished.evaluation.test,
            f"{name}1": finished.evaluation.test,
            f"2{name}": finished.evaluation.test,
        }
        text = written(subject={"evaluation": finished.evaluation.model_copy(update={"slices": slices})})
        text.encode()
        assert front(text)["model-index"][0]["results"][3]["dataset"]["name"] == f"test, {for_terminal(f'2{name}')}"
        assert without_front_matter(text).startswith("# compact: `def_front` or `ok_front`\n\nModel `")


def test_a_backbone_names_the_photographs_that_it_learned_from_before(written, finished):
    assert "ImageNet" not in written()
    text = written(subject={"model": finished.model.model_copy(update={"name": "backbone"})})
    assert (
        "those of EfficientNetV2B0 in `keras.applications` (Apache License 2.0), which learned from the photographs of ImageNet."
        in text
    )


def test_costs_stand_with_the_limits(written):
    text = written(subject={"costs": EvaluationSettings(escape_cost=25, review_cost=0.5)})
    assert "costs of 25 for a defect that passes, 1 for a good part that is rejected and 0.5 for a look" in text


def test_a_guarantee_stands_with_the_limits(written, finished):
    assert "Guarantee" not in written()
    promise = Guarantee(share=0.05, confidence=0.95, parts=73, may_pass=0, missing=0, by_part=True)
    rule = read(finished.evaluation.decision.path(finished.config.places)).model_copy(update={"guarantee": promise})
    assert f"and 0.2 for a look.\n\n{promise.summary()}. A part counts as passed" in written(rule=rule)
