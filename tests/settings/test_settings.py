"""Settings: explained, bounded, and the same in a form, in JSON and in Python."""

import pytest
from pydantic import BaseModel, ValidationError

from tasks.pipeline.step_cache import as_text
from tasks.settings.cli import SHORT
from tasks.settings.escaping import for_markdown
from tasks.settings.frames import PictureSizes
from tasks.settings.model_specs import MODEL_SPECS
from tasks.settings.settings import (
    ChampionModel,
    ClassSettings,
    Config,
    CrossfitSettings,
    EvaluationSettings,
    FetchSettings,
    Places,
    Settings,
    SplitSettings,
    TrainingSettings,
)


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
    config = Config(
        training=TrainingSettings(model="tutorial", epochs=2), splitting=SplitSettings(protocol="grouped", seed=4)
    )
    assert Config.model_validate(config.model_dump(mode="json")) == config
    assert Config.model_validate({}) == Config()


@pytest.mark.parametrize(
    ("source", "given", "model"),
    [
        ("sample", None, "recast-sample"),
        ("sample:tiles", None, "recast-sample-tiles"),
        ("castings.zip", None, "recast"),
        ("./sample", None, "recast"),
        ("kaggle:alice/sample", None, "recast"),
        ("sample", "recast", "recast"),
        ("castings.zip", "gears", "gears"),
    ],
)
def test_the_registered_model_follows_from_the_source_unless_it_is_named(source, given, model):
    config = Config.model_validate({"fetch": {"source": source}, "places": {"registered_model": given}})
    assert (
        config.with_model().places.registered_model == config.with_model().with_model().places.registered_model == model
    )
    assert config.with_model().places.with_model(given) == config.places, "nothing else is another"
    assert config.places.registered_model == given


@pytest.mark.parametrize(
    ("source", "product", "model"),
    [
        ("tiles.zip", "magnetic tile", "recast-magnetic-tile"),
        ("tiles.zip", "PCB", "recast-pcb"),
        ("castings.zip", "casting", "recast"),
        ("castings.zip", "Casting", "recast"),
        ("sample", "gear", "recast-sample"),
    ],
)
def test_a_product_has_a_registered_model_of_its_own_unless_that_is_named(source, product, model):
    fetch = {"source": source, "product": product}
    assert Config.model_validate({"fetch": fetch}).with_model().places.registered_model == model
    named = Config.model_validate({"fetch": fetch, "places": {"registered_model": "gears"}})
    assert named.with_model().places.registered_model == "gears"


@pytest.mark.parametrize(
    "product",
    [
        "",
        " ",
        "a  b",
        "gear ",
        "-gear",
        "a_b",
        "a|b",
        "<b>",
        "a.b",
        "a\nb",
        "a\u202eb",
        "x" * 41,
        "sample",
        "Sample tiles",
    ],
)
def test_what_no_report_or_model_can_bear_is_no_product(product):
    with pytest.raises(ValidationError, match="product is "):
        Config.model_validate({"fetch": {"product": product}})


@pytest.mark.parametrize("product", ["gear", "magnetic tile", "T-beam", "3D print", "Zahnräder", "samples"])
def test_a_product_is_no_markup(product):
    assert for_markdown(str(Config.model_validate({"fetch": {"product": product}}).fetch.product)) == product


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "it's", "a`b"])
def test_what_mlflow_takes_for_no_name_is_refused(name):
    with pytest.raises(ValidationError):
        Config.model_validate({"places": {"registered_model": name}})


def test_no_group_of_settings_bears_a_flat_name():
    assert not set(SHORT.values()) & set(Config.model_fields)  # it would be parsed as JSON


@pytest.mark.parametrize("model", ["tutorial", "tutorial_dropout"])
def test_the_tutorial_models_train_as_published(model):
    recipe = TrainingSettings(model=model).recipe()
    assert (recipe.epochs, recipe.image_size) == (4, 300)


def test_what_is_set_goes_before_the_recipe():
    asked = {
        "epochs": 7, "image_size": 96, "batch_size": 8, "learning_rate": 0.5, "seed": 3, "deterministic": True,
        "precision": "mixed_float16", "jit_compile": True, "start_from": "champion",
    }  # fmt: skip
    recipe = TrainingSettings(**asked).recipe().model_dump()
    assert recipe.items() >= {**asked, "model": "patch", "image_size": (96, 96)}.items()


def test_asking_for_a_gpu_does_not_train_again():
    assert TrainingSettings(require_gpu=True).recipe() == TrainingSettings().recipe()


@pytest.mark.parametrize(
    ("asked", "ring_share", "model", "because"),
    [
        ({}, 1.0, "ring", "100.0% of the training images show a ring, and ring needs 99%"),
        ({}, 0.99, "ring", "99.0% of the training images show a ring, and ring needs 99%"),
        ({}, 0.985, "patch", "98.5% of the training images show a ring, and ring needs 99%"),
        ({"min_ring_share": 0.9}, 0.985, "ring", "98.5% of the training images show a ring, and ring needs 90%"),
        ({"image_size": 96}, 1.0, "patch", "images of 96 pixels were asked for"),
        ({"image_size": 512}, 1.0, "ring", "100.0% of the training images show a ring, and ring needs 99%"),
        ({"model": "compact"}, 1.0, "compact", "it was asked for"),
        ({"model": "ring"}, 0.2, "ring", "it was asked for"),
    ],
)
def test_the_network_follows_from_the_images_unless_it_is_asked_for(asked, ring_share, model, because):
    training = TrainingSettings(**asked)
    assert training.choice(ring_share) == (model, because)
    recipe = training.recipe(ring_share)
    assert recipe.model == model
    assert recipe.view == MODEL_SPECS[model].view
    size = asked.get("image_size", MODEL_SPECS[model].image_size)
    assert recipe.image_size == ((size, size) if model == "patch" else size)


@pytest.mark.parametrize(
    ("asked", "ring_share", "tried"),
    [
        ({}, 0.985, True),
        ({}, 0.8, True),
        ({}, 0.99, False),
        ({}, 0.79, False),
        ({"min_tried_ring_share": 0.7}, 0.79, True),
        ({"model": "patch"}, 0.985, False),
        ({"image_size": 96}, 0.985, False),
    ],
)
def test_networks_are_tried_only_where_most_parts_but_not_nearly_all_show_a_ring(asked, ring_share, tried):
    assert TrainingSettings(**asked).needs_trial(ring_share) is tried
    assert not TrainingSettings(**asked).needs_trial(ring_share, champion("aa")), (
        "a network that suits the images goes on"
    )


def test_a_ring_that_a_trial_chose_is_continued_and_one_of_another_crop_is_not():
    used = ChampionModel(digest="aa", model="ring", image_size=512)
    assert TrainingSettings().choice(0.9, used) == ("ring", "training continues from the model in use")
    assert not TrainingSettings().needs_trial(0.9, used)
    assert TrainingSettings().needs_trial(0.9, used, "part")
    assert TrainingSettings().needs_trial(0.9, used.model_copy(update={"model": "one of long ago"}))


def test_the_frame_of_patch_follows_the_pictures_unless_it_continues():
    pictures = PictureSizes(width=500, height=1_260)
    assert TrainingSettings(model="patch").recipe(pictures=pictures).image_size == (640, 256)
    assert TrainingSettings(model="patch", image_size=320).recipe(pictures=pictures).image_size == (320, 128)
    used = ChampionModel(digest="aa", model="patch", image_size=(96, 128))
    assert TrainingSettings().recipe(champion=used, pictures=pictures).image_size == (96, 128)
    assert TrainingSettings(model="compact").recipe(pictures=pictures).image_size == 75


def test_the_crop_of_the_pictures_is_that_of_the_recipe_and_in_its_key():
    training, pictures = TrainingSettings(model="patch"), PictureSizes(width=500, height=1_260)
    recipes = [training.recipe(pictures=pictures.model_copy(update={"crop": crop})) for crop in (None, "part")]
    assert [recipe.crop for recipe in recipes] == [None, "part"]
    assert len({as_text(recipe) for recipe in recipes}) == len({recipe.model_dump_json() for recipe in recipes}) == 2
    assert training.recipe().crop is None


def test_a_frame_is_kept_for_the_crop_that_it_was_chosen_for():
    used = ChampionModel(digest="aa", model="patch", image_size=(96, 128), crop="part")
    pictures = PictureSizes(width=500, height=1_260, crop="part")
    assert TrainingSettings().recipe(champion=used, pictures=pictures).image_size == (96, 128)
    other = pictures.model_copy(update={"crop": None})
    assert TrainingSettings().recipe(champion=used, pictures=other).image_size == (640, 256)


@pytest.mark.parametrize(
    ("used", "ring_share", "model"),
    [
        ("compact", 1.0, "compact"),
        ("tutorial", 1.0, "tutorial"),
        ("ring", 1.0, "ring"),
        ("ring", 0.5, "patch"),
        ("one of long ago", 1.0, "ring"),
    ],
)
def test_a_training_that_continues_takes_the_network_of_the_model_in_use_where_it_can(used, ring_share, model):
    champion = ChampionModel(digest="aa", model=used, image_size=75)
    assert TrainingSettings().choice(ring_share, champion)[0] == model
    assert TrainingSettings(model="compact").choice(ring_share, champion) == ("compact", "it was asked for")


@pytest.mark.parametrize("ring_share", [0.0, 0.9, 1.0])
def test_a_network_that_may_see_defects_never_continues_from_one_of_good_parts_alone(ring_share):
    used = ChampionModel(digest="aa", model="normal", image_size=256)
    assert TrainingSettings().choice(ring_share, used) == TrainingSettings().choice(ring_share)
    assert TrainingSettings().needs_trial(ring_share, used) == TrainingSettings().needs_trial(ring_share)
    assert TrainingSettings(model="normal").choice(ring_share, used) == ("normal", "it was asked for")


def test_one_network_learns_from_good_parts_alone():
    assert {name for name in MODEL_SPECS if TrainingSettings(model=name).good_alone} == {"normal"}
    assert not TrainingSettings().good_alone


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"crossfit": {"folds": 5}}, "--crossfit.folds"),
        ({"evaluation": {"guarantee": 0.05}}, "--evaluation.guarantee"),
        ({"evaluation": {"max_review_share": 0.0}}, "--evaluation.max_review_share"),
        ({"view": {"crop": "mask"}}, "--view.crop mask"),
    ],
)
def test_what_needs_defects_that_train_is_refused_where_good_parts_alone_train(settings, option):
    says = f"--model normal learns from good parts alone, and {option} needs defects .*: leave out {option}, or take"
    with pytest.raises(ValidationError, match=says):
        Config.model_validate({**settings, "training": {"model": "normal"}})
    assert Config.model_validate(settings)


def test_looks_and_what_passes_are_not_limited_together():
    with pytest.raises(ValidationError, match="guarantee and max_review_share are both set"):
        EvaluationSettings(guarantee=0.05, max_review_share=0.2)


def test_folds_are_for_networks_that_learn_from_both_classes():
    for training, folds in (("normal", 0), ("patch", 5), ("auto", 5)):
        config = Config(training=TrainingSettings(model=training), crossfit=CrossfitSettings(folds=folds))
        assert config.crossfit.folds == folds


@pytest.mark.parametrize(("share", "is_sound"), [(0, False), (0.001, True), (0.499, True), (0.5, False)])
def test_the_share_of_flagged_good_parts_is_a_small_one(share, is_sound):
    if is_sound:
        assert EvaluationSettings(flagged_share=share).flagged_share == share
    else:
        with pytest.raises(ValidationError):
            EvaluationSettings(flagged_share=share)


def test_which_model_is_in_use_is_in_no_cache_key():
    recipes = [
        TrainingSettings(model="compact", start_from="champion").recipe(champion=used)
        for used in (None, champion("aa"), champion("bb"))
    ]
    assert len({recipe.model_dump_json() for recipe in recipes}) == 1
    assert len({as_text(recipe) for recipe in recipes}) == 1
    assert as_text(TrainingSettings(model="compact").recipe()) != as_text(recipes[0])


def champion(digest: str) -> ChampionModel:
    return ChampionModel(digest=digest, model="compact", image_size=75)


def test_a_ring_has_its_own_size():
    assert TrainingSettings(model="ring", image_size=512).recipe().image_size == 512
    expected = "image_size is 128, but the ring model is made for images 512 pixels wide.*--model patch"
    with pytest.raises(ValidationError, match=expected):
        TrainingSettings(model="ring", image_size=128)


@pytest.mark.parametrize("model", ["tutorial", "tutorial_dropout"])
def test_a_tutorial_model_has_its_own_size(model):
    assert TrainingSettings(model=model, image_size=300).recipe().image_size == 300
    with pytest.raises(
        ValidationError,
        match=rf"image_size is 128, but the {model} model is made for images 300 pixels wide.*--model patch",
    ):
        TrainingSettings(model=model, image_size=128)


@pytest.mark.parametrize("name", ["", "a/b", "a\\b"])
def test_a_class_is_one_folder(name):
    with pytest.raises(ValidationError):
        ClassSettings(defect=(name,))


def test_the_two_classes_differ():
    with pytest.raises(
        ValidationError, match="both classes are called 'x': name the class folders with --defect and --good"
    ):
        ClassSettings(defect=("x",), good="x")


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
        ("training", {"precision": "float8"}),
        ("training", {"start_from": "last"}),
        ("training", {"min_ring_share": 0}),
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


@pytest.mark.parametrize(
    "make",
    [
        lambda path: FetchSettings(source=path),
        lambda path: FetchSettings(arrivals=(path,)),
        lambda path: Places(data=path),
    ],
)
def test_a_path_that_no_record_can_hold_is_refused(make):
    with pytest.raises(ValidationError, match=r"line\\udcff has a name that is not UTF-8: rename it, or give another"):
        make("line\udcff")
    make("/li\u00f1e 2")


def test_class_names_are_kept_in_one_unicode_form():
    classes = ClassSettings(defect=("de\u0301faut",), good="bon")
    assert classes == ClassSettings(defect=("d\u00e9faut",), good="bon")
    with pytest.raises(ValidationError, match="both classes are called"):
        ClassSettings(defect=("de\u0301faut",), good="d\u00e9faut")
