"""MLflow's database: a fault is reported in one line before any work, and a copy shares nothing with its original."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tasks.settings.errors import BadInput
from tasks.settings.settings import Places
from tasks.storage.migrations import schemas
from tasks.tracking import mlflow_database, mlflow_location
from tasks.tracking.mlflow_database import SCRIPTS, check, check_writable
from tasks.tracking.mlflow_location import home, path_of

RUN, MODEL = "ab" * 16, f"m-{'cd' * 16}"
TABLES = """
    CREATE TABLE alembic_version (version_num TEXT);
    CREATE TABLE experiments (experiment_id INTEGER, name TEXT, artifact_location TEXT);
    CREATE TABLE runs (run_uuid TEXT, experiment_id INTEGER, artifact_uri TEXT);
    CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
    CREATE TABLE logged_models (model_id TEXT, artifact_location TEXT);
    CREATE TABLE registered_models (name TEXT);
    CREATE TABLE registered_model_aliases (alias TEXT, version INTEGER, name TEXT);
    CREATE TABLE model_versions (name TEXT, version INTEGER, source TEXT, storage_location TEXT);
"""


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    monkeypatch.setattr(mlflow_database, "PATIENCE", 0)


@pytest.fixture
def run_places(places) -> Places:
    """The places, with what MLflow keeps of one run and one version, as far as recast asks SQLite."""
    return write_database(places)


def write_database(places: Places) -> Places:
    root = mlflow_location.files_of(places).as_uri()
    run, model = f"{root}/{RUN}/artifacts", f"{root}/models/{MODEL}/artifacts"
    for uri in (run, model):
        folder = mlflow_location.local_path(uri)
        folder.mkdir(parents=True)
        (folder / "file").write_text("mine")
    (places.artifacts / "models/aa").mkdir(parents=True)
    with closing(sqlite3.connect(path_of(places))) as connection:
        connection.executescript(TABLES)
        connection.execute("INSERT INTO alembic_version VALUES (?)", (schemas("mlflow", SCRIPTS)[1],))
        connection.execute(
            "INSERT INTO experiments VALUES (0, 'Default', '/somewhere/mlruns/0'), (1, 'recast', ?)", (root,)
        )
        connection.execute("INSERT INTO runs VALUES (?, 1, ?)", (RUN, run))
        connection.execute("INSERT INTO tags VALUES ('recast.run', 'run 1', ?)", (RUN,))
        connection.execute("INSERT INTO logged_models VALUES (?, ?)", (MODEL, model))
        connection.execute("INSERT INTO registered_models VALUES ('recast')")
        connection.execute("INSERT INTO model_versions VALUES ('recast', 1, ?, ?)", (model, model))
        connection.commit()
    return places


def change(places: Places, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path_of(places))) as connection:
        connection.execute(statement, values)
        connection.commit()


def addresses(places: Places) -> set[str]:
    """All that the columns hold, but for MLflow's own experiment."""
    with closing(sqlite3.connect(path_of(places))) as connection:
        columns = (f"SELECT {column} FROM {table}" for table, column in mlflow_location.ADDRESSES)
        return {one for column in columns for (one,) in connection.execute(column)} - {"/somewhere/mlruns/0"}


def copy_of(places: Places, name: str = "copy") -> Places:
    to = places.artifacts.parent / name / "artifacts"
    shutil.copytree(places.artifacts, to, symlinks=True)
    return places.model_copy(update={"artifacts": to})


def addresses_below(places: Places) -> set[str]:
    root = mlflow_location.files_of(places).as_uri()
    return {root, f"{root}/{RUN}/artifacts", f"{root}/models/{MODEL}/artifacts"}


def test_where_nothing_was_made_nothing_is_wrong_and_nothing_is_made(places):
    assert not check(places)
    check_writable(places)
    assert not places.artifacts.exists()


def test_a_database_that_is_as_it_should_be_is_left_as_it_is(run_places, capsys):
    before = path_of(run_places).read_bytes()
    assert check(run_places)
    check_writable(run_places)
    assert path_of(run_places).read_bytes() == before
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["copy", "with space", "a%20b", "a#b", "artifacts/mlflow/inside"])
def test_a_copy_has_addresses_of_its_own_and_the_original_keeps_its_own(run_places, name, capsys):
    copy, before = (
        copy_of(run_places, name) if "/" not in name else copy_inside(run_places, name),
        path_of(run_places).read_bytes(),
    )
    assert check(copy)
    assert str(run_places.artifacts) in capsys.readouterr().err
    assert addresses(copy) == addresses_below(copy)
    assert path_of(run_places).read_bytes() == before
    for uri in addresses_below(copy):
        assert home(uri, copy) == mlflow_location.local_path(uri)
    assert check(copy)
    assert capsys.readouterr().err == "", "once is enough"


def copy_inside(places: Places, name: str) -> Places:
    """A copy inside its original."""
    copy = copy_of(places, "aside")
    to = places.artifacts.parent / name / "artifacts"
    to.parent.mkdir(parents=True)
    copy.artifacts.rename(to)
    return places.model_copy(update={"artifacts": to})


def test_a_moved_database_finds_its_files_and_a_copy_of_the_copy_too(run_places, tmp_path):
    run_places.artifacts.rename(tmp_path / "moved")
    moved = run_places.model_copy(update={"artifacts": tmp_path / "moved"})
    assert check(moved)
    assert addresses(moved) == addresses_below(moved)
    second = copy_of(moved, "second")
    check(second)
    assert addresses(second) == addresses_below(second)


def test_addresses_of_several_earlier_folders_are_brought_together(run_places):
    """As an earlier recast left them, which began a new experiment where it found itself moved."""
    there = "file:///gone/artifacts/mlflow"
    change(run_places, "INSERT INTO experiments VALUES (2, 'recast in /gone', ?)", there)
    change(run_places, "INSERT INTO runs VALUES ('ef', 2, ?)", f"{there}/ef/artifacts")
    change(run_places, "INSERT INTO tags VALUES ('recast.run', 'run 2', 'ef')")
    copy = copy_of(run_places)
    check(copy)
    assert addresses(copy) == {*addresses_below(copy), f"{mlflow_location.files_of(copy).as_uri()}/ef/artifacts"}


def test_what_others_keep_elsewhere_keeps_its_address(run_places):
    change(run_places, "INSERT INTO experiments VALUES (2, 'of another', 'file:///home/another/mlflow')")
    change(run_places, "INSERT INTO runs VALUES ('ef', 2, 'file:///home/another/mlflow/ef/artifacts')")
    copy = copy_of(run_places)
    check(copy)
    assert addresses(copy) - addresses_below(copy) == {
        "file:///home/another/mlflow",
        "file:///home/another/mlflow/ef/artifacts",
    }
    assert home("file:///home/another/models/x", copy) is None


def test_the_same_folder_by_another_path_is_no_move(run_places, tmp_path):
    (tmp_path / "link").symlink_to(run_places.artifacts)
    assert check(run_places.model_copy(update={"artifacts": tmp_path / "link"}))
    assert addresses(run_places) == addresses_below(run_places)


def test_a_copy_that_is_one_file_with_its_original_is_refused(run_places):
    for link in (os.link, os.symlink):
        copy = copy_of(run_places, link.__name__)
        path_of(copy).unlink()
        link(path_of(run_places), path_of(copy))
        with pytest.raises(
            BadInput, match=r"is one file with that of another folder.*cp .*mlflow.db .*mlflow.db.own && mv"
        ):
            check(copy)
        assert addresses(run_places) == addresses_below(run_places)


def test_who_may_only_read_a_copy_reads_its_own_files(run_places, monkeypatch):
    copy, (run, *_) = (
        copy_of(run_places),
        sorted(addresses_below(run_places) - {mlflow_location.files_of(run_places).as_uri()}),
    )
    plain = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **words: plain(path.replace("mode=rw", "mode=ro"), **words))
    assert check(copy)
    assert home(run, copy) == copy.artifacts / f"mlflow/{RUN}/artifacts"
    with pytest.raises(BadInput, match="mlflow.db cannot be written to .*: chmod u.rw "):
        check_writable(copy)


def test_no_link_leads_out_of_the_artifacts(run_places, tmp_path):
    shutil.move(run_places.artifacts / "mlflow", tmp_path / "outside")
    (run_places.artifacts / "mlflow").symlink_to(tmp_path / "outside")
    for uri in addresses_below(run_places):
        assert home(uri, run_places) is None


@pytest.mark.parametrize("state", ["missing", "empty", "without tables", "without any model"])
def test_a_lost_database_is_told_with_what_to_do(run_places, state):
    path = path_of(run_places)
    path.unlink()
    if state == "empty":
        path.touch()
    elif state == "without tables":
        change(run_places, "VACUUM")
    elif state == "without any model":
        (new := Places(artifacts=run_places.artifacts.parent / "new")).artifacts.mkdir()
        shutil.move(path_of(write_database(new)), path)
        change(run_places, "DELETE FROM registered_models")
    with pytest.raises(BadInput) as told:
        check(run_places)
    said = str(told.value)
    assert (
        f"mlflow.db is {state.replace('without tables', 'empty')}, and {run_places.artifacts} holds what runs have made (models: 1): "
        in said
    )
    assert f"cp BACKUP/mlflow.db {path}" in said
    assert "MLFLOW_TRACKING_URI" in said
    assert said.endswith(f"mv {run_places.artifacts} {run_places.artifacts}-old"), "who really wants to begin anew"


@pytest.mark.parametrize("trace", ["models/aa/decision.json", "mlflow/models/m/file", "runs/run 1/run.json"])
def test_whatever_a_run_left_tells_that_a_database_was_lost(places, trace):
    (places.artifacts / trace).parent.mkdir(parents=True)
    (places.artifacts / trace).touch()
    with pytest.raises(BadInput, match="mlflow.db is missing"):
        check(places)


def test_scratch_and_an_empty_file_tell_of_nothing_lost(places):
    (places.artifacts / "models/.aa.scratch").mkdir(parents=True)
    path_of(places).touch()
    assert not check(places)


@pytest.mark.parametrize(
    ("told", "lost"),
    [('{"release": {"version": 3}}', True), ('{"release": {"version": null}}', False), ("{", False), ("[]", False)],
)
def test_a_new_database_beside_runs_that_released_a_version_is_not_theirs(run_places, told, lost):
    """As `mlflow server` makes one, started by hand."""
    change(run_places, "DELETE FROM registered_models")
    shutil.rmtree(mlflow_location.files_of(run_places))
    (run_places.artifacts / "runs/run 1").mkdir(parents=True)
    (run_places.artifacts / "runs/run 1/run.json").write_text(told)
    if lost:
        with pytest.raises(BadInput, match="mlflow.db is without any model"):
            check(run_places)
    else:
        assert check(run_places), "a first run may be kept out, or be killed before it releases"


def harm(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "a folder":
        path.unlink()
        path.mkdir()
    elif how == "garbage":
        path.write_bytes(b"<html>" * 1000)
    elif how == "a few bytes":
        path.write_bytes(content[:10])
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "overwritten":
        path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    elif how == "of another program":
        path.unlink()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE songs (name TEXT)")
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE registered_model_aliases")


@pytest.mark.parametrize(
    "how", ["a folder", "garbage", "a few bytes", "cut", "overwritten", "of another program", "a table is missing"]
)
@pytest.mark.parametrize("journal", [False, True])
def test_a_broken_database_is_told_with_the_command_that_restores_it(run_places, how, journal):
    path = path_of(run_places)
    harm(path, how)
    if journal:
        Path(f"{path}-journal").touch()
    with pytest.raises(BadInput) as told:
        check(run_places)
    said = str(told.value)
    assert said.startswith(f"{path} ")
    assert "\n" not in said
    assert f"({f'rm {path}-journal && ' if journal else ''}cp BACKUP/mlflow.db {path})" in said
    assert how != "a folder" or f"mv {path} {path}-old" in said


@pytest.mark.parametrize("schema", ["451aebb31d03", None])
def test_an_older_schema_is_told_with_the_command_that_brings_it_up(run_places, schema):
    change(run_places, "DELETE FROM alembic_version") if schema is None else change(
        run_places, "UPDATE alembic_version SET version_num = ?", schema
    )
    with pytest.raises(BadInput, match=rf"has an older schema.*/mlflow db upgrade sqlite:///{path_of(run_places)}$"):
        check(run_places)


def test_a_newer_schema_is_told_with_what_updates_recast(run_places):
    change(run_places, "UPDATE alembic_version SET version_num = 'fedcba987654'")
    with pytest.raises(BadInput, match=r"was written by a newer MLflow .schema fedcba987654.*git pull && make doctor"):
        check(run_places)


def test_the_newest_schema_is_the_one_that_mlflow_makes(empty_registry):
    with closing(sqlite3.connect(empty_registry)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (
            schemas("mlflow", SCRIPTS)[1],
        )
    assert len(schemas("mlflow", SCRIPTS)[0]) > 50


@pytest.mark.parametrize(("lock", "asked"), [("EXCLUSIVE", check), ("IMMEDIATE", check_writable)])
def test_a_locked_database_is_told_with_who_holds_it(run_places, lock, asked):
    with closing(sqlite3.connect(path_of(run_places), isolation_level=None)) as other:
        other.execute(f"BEGIN {lock}")
        mlflow_database.is_sound.cache_clear()
        with pytest.raises(BadInput, match=r"has been locked by another program.*`fuser -v .*mlflow\.db`"):
            asked(run_places)
        other.execute("ROLLBACK")
    asked(run_places)


def test_a_full_disk_is_no_reason_to_restore_a_backup(run_places):
    with pytest.raises(BadInput) as raised, mlflow_database.connect(path_of(run_places)) as connection:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("CREATE TABLE more (content)")
    said = str(raised.value)
    assert said.startswith(f"{path_of(run_places)} cannot be used: No space left on device; make room")
    assert "backup" not in said


def test_a_folder_that_mlflow_could_not_be_told_of_is_refused(tmp_path):
    with pytest.raises(BadInput, match="--artifacts .* cannot be used: .*choose a folder of another name"):
        check(Places(artifacts=tmp_path / "what?"))


@pytest.mark.parametrize("name", ["a b", "a%b", "a%20b", "a#b", "a&b;c", "é"])
def test_other_names_of_folders_are_taken_as_they_are(tmp_path, name):
    places = write_database(Places(artifacts=tmp_path / name))
    assert check(places)
    assert {home(uri, places) for uri in addresses_below(places)} == {
        mlflow_location.local_path(uri) for uri in addresses_below(places)
    }
