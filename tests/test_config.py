"""Settings: explained, bounded, and the same in a form, in JSON and in Python."""

import pytest
from pydantic import BaseModel, ValidationError

from tasks.runs.commandline import SHORT
from tasks.runs.config import Classes, Config, Settings, Splitting, Training


def classes_below(kind: type[BaseModel]) -> set[type[BaseModel]]:
    inside = {field.annotation for field in kind.model_fields.values() if isinstance(field.annotation, type)}
    return {kind}.union(*(classes_below(one) for one in inside if issubclass(one, BaseModel)))


FIELDS = [
    pytest.param(field, id=f"{kind.__name__}.{name}")
    for kind in sorted(classes_below(Config), key=lambda kind: kind.__name__)
    for name, field in kind.model_fields.items()
    if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel))
]


@pytest.mark.parametrize("field", FIELDS)
def test_every_setting_is_explained_in_a_sentence(field):
    assert field.description
    assert field.description.endswith(".")


@pytest.mark.parametrize(
    "field", [field for field in FIELDS if field.values[0].annotation in (int, float, int | None, float | None)]
)
def test_every_number_has_a_bound(field):
    assert field.metadata


def test_settings_cannot_be_changed_or_misspelt():
    with pytest.raises(ValidationError, match="frozen"):
        Config().training.seed = 1
    with pytest.raises(ValidationError, match="Extra inputs"):
        Config.model_validate({"training": {"epoch": 3}})


def test_a_run_can_be_repeated_from_its_parameters():
    config = Config(training=Training(model="tutorial", epochs=2), splitting=Splitting(protocol="grouped", seed=4))
    assert Config.model_validate(config.model_dump(mode="json")) == config
    assert Config.model_validate({}) == Config()


def test_no_group_of_settings_bears_a_flat_name():
    assert not set(SHORT.values()) & set(Config.model_fields)  # it would be parsed as JSON


@pytest.mark.parametrize("model", ["tutorial", "tutorial_dropout"])
def test_the_tutorial_models_train_as_published(model):
    recipe = Training(model=model).recipe()
    assert (recipe.epochs, recipe.image_size, recipe.batch_size) == (4, 300, 32)


def test_what_is_set_goes_before_the_recipe():
    recipe = Training(epochs=7, image_size=96, batch_size=8, learning_rate=0.5, seed=3).recipe()
    assert recipe.model_dump() == {
        "model": "compact", "epochs": 7, "image_size": 96, "batch_size": 8, "learning_rate": 0.5, "seed": 3,
    }  # fmt: skip


def test_asking_for_a_gpu_does_not_train_again():
    assert Training(require_gpu=True).recipe() == Training().recipe()


@pytest.mark.parametrize("model", ["tutorial", "tutorial_dropout"])
def test_a_tutorial_model_has_its_own_size(model):
    assert Training(model=model, image_size=300).recipe().image_size == 300
    with pytest.raises(
        ValidationError, match=rf"image_size is 128, but the {model} model has 300 x 300 inputs.*--model compact"
    ):
        Training(model=model, image_size=128)


@pytest.mark.parametrize("name", ["", "a/b", "a\\b"])
def test_a_class_is_one_folder(name):
    with pytest.raises(ValidationError):
        Classes(defect=name)


def test_the_two_classes_differ():
    with pytest.raises(
        ValidationError, match="both classes are called 'x': name the two class folders with --defect and --good"
    ):
        Classes(defect="x", good="x")


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("fetch", {"source": ""}),
        ("validation", {"max_megapixels": 0}),
        ("validation", {"max_bad_fraction": 1.01}),
        ("splitting", {"validation_fraction": 0}),
        ("splitting", {"test_fraction": 0.5}),
        ("splitting", {"protocol": "random"}),
        ("training", {"epochs": 0}),
        ("training", {"image_size": 16}),
        ("training", {"seed": -1}),
        ("training", {"model": "resnet"}),
        ("evaluation", {"confidence": 1}),
        ("acceptance", {"max_escape_rate": -0.1}),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(group, values):
    with pytest.raises(ValidationError):
        Config.model_validate({group: values})


def test_every_class_of_settings_is_frozen_and_closed():
    for kind in classes_below(Config):
        assert issubclass(kind, Settings)
