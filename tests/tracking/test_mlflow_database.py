"""MLflow's database: what is wrong with it is told in one line before any work, and a copy has nothing to do with its original."""

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
def impatient(monkeypatch):
    monkeypatch.setattr(mlflow_database, "PATIENCE", 0)


@pytest.fixture
def known(places) -> Places:
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


def below(places: Places) -> set[str]:
    root = mlflow_location.files_of(places).as_uri()
    return {root, f"{root}/{RUN}/artifacts", f"{root}/models/{MODEL}/artifacts"}


def test_where_nothing_was_made_nothing_is_wrong_and_nothing_is_made(places):
    assert not check(places)
    check_writable(places)
    assert not places.artifacts.exists()


def test_a_database_that_is_as_it_should_be_is_left_as_it_is(known, capsys):
    before = path_of(known).read_bytes()
    assert check(known)
    check_writable(known)
    assert path_of(known).read_bytes() == before
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["copy", "with space", "a%20b", "a#b", "artifacts/mlflow/inside"])
def test_a_copy_has_addresses_of_its_own_and_the_original_keeps_its_own(known, name, capsys):
    copy, before = copy_of(known, name) if "/" not in name else nested(known, name), path_of(known).read_bytes()
    assert check(copy)
    assert str(known.artifacts) in capsys.readouterr().err
    assert addresses(copy) == below(copy)
    assert path_of(known).read_bytes() == before
    for uri in below(copy):
        assert home(uri, copy) == mlflow_location.local_path(uri)
    assert check(copy)
    assert capsys.readouterr().err == "", "once is enough"


def nested(places: Places, name: str) -> Places:
    """A copy inside its original."""
    copy = copy_of(places, "aside")
    to = places.artifacts.parent / name / "artifacts"
    to.parent.mkdir(parents=True)
    copy.artifacts.rename(to)
    return places.model_copy(update={"artifacts": to})


def test_a_moved_database_finds_its_files_and_a_copy_of_the_copy_too(known, tmp_path):
    known.artifacts.rename(tmp_path / "moved")
    moved = known.model_copy(update={"artifacts": tmp_path / "moved"})
    assert check(moved)
    assert addresses(moved) == below(moved)
    second = copy_of(moved, "second")
    check(second)
    assert addresses(second) == below(second)


def test_addresses_of_several_earlier_folders_are_brought_together(known):
    """As an earlier recast left them, which began a new experiment where it found itself moved."""
    there = "file:///gone/artifacts/mlflow"
    change(known, "INSERT INTO experiments VALUES (2, 'recast in /gone', ?)", there)
    change(known, "INSERT INTO runs VALUES ('ef', 2, ?)", f"{there}/ef/artifacts")
    change(known, "INSERT INTO tags VALUES ('recast.run', 'run 2', 'ef')")
    copy = copy_of(known)
    check(copy)
    assert addresses(copy) == {*below(copy), f"{mlflow_location.files_of(copy).as_uri()}/ef/artifacts"}


def test_what_others_keep_elsewhere_keeps_its_address(known):
    change(known, "INSERT INTO experiments VALUES (2, 'of another', 'file:///home/another/mlflow')")
    change(known, "INSERT INTO runs VALUES ('ef', 2, 'file:///home/another/mlflow/ef/artifacts')")
    copy = copy_of(known)
    check(copy)
    assert addresses(copy) - below(copy) == {"file:///home/another/mlflow", "file:///home/another/mlflow/ef/artifacts"}
    assert home("file:///home/another/models/x", copy) is None


def test_the_same_folder_by_another_path_is_no_move(known, tmp_path):
    (tmp_path / "link").symlink_to(known.artifacts)
    assert check(known.model_copy(update={"artifacts": tmp_path / "link"}))
    assert addresses(known) == below(known)


def test_a_copy_that_is_one_file_with_its_original_is_refused(known):
    for link in (os.link, os.symlink):
        copy = copy_of(known, link.__name__)
        path_of(copy).unlink()
        link(path_of(known), path_of(copy))
        with pytest.raises(
            BadInput, match=r"is one file with that of another folder.*cp .*mlflow.db .*mlflow.db.own && mv"
        ):
            check(copy)
        assert addresses(known) == below(known)


def test_who_may_only_read_a_copy_reads_its_own_files(known, monkeypatch):
    copy, (run, *_) = copy_of(known), sorted(below(known) - {mlflow_location.files_of(known).as_uri()})
    plain = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **words: plain(path.replace("mode=rw", "mode=ro"), **words))
    assert check(copy)
    assert home(run, copy) == copy.artifacts / f"mlflow/{RUN}/artifacts"
    with pytest.raises(BadInput, match="mlflow.db cannot be written to .*: chmod u.rw "):
        check_writable(copy)


def test_no_link_leads_out_of_the_artifacts(known, tmp_path):
    shutil.move(known.artifacts / "mlflow", tmp_path / "outside")
    (known.artifacts / "mlflow").symlink_to(tmp_path / "outside")
    for uri in below(known):
        assert home(uri, known) is None


@pytest.mark.parametrize("state", ["missing", "empty", "without tables", "without any model"])
def test_a_lost_database_is_told_with_what_to_do(known, state):
    path = path_of(known)
    path.unlink()
    if state == "empty":
        path.touch()
    elif state == "without tables":
        change(known, "VACUUM")
    elif state == "without any model":
        (new := Places(artifacts=known.artifacts.parent / "new")).artifacts.mkdir()
        shutil.move(path_of(write_database(new)), path)
        change(known, "DELETE FROM registered_models")
    with pytest.raises(BadInput) as told:
        check(known)
    said = str(told.value)
    assert (
        f"mlflow.db is {state.replace('without tables', 'empty')}, and {known.artifacts} holds what runs have made (models: 1): "
        in said
    )
    assert f"cp BACKUP/mlflow.db {path}" in said
    assert "MLFLOW_TRACKING_URI" in said
    assert said.endswith(f"mv {known.artifacts} {known.artifacts}-old"), "who really wants to begin anew"


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
def test_a_new_database_beside_runs_that_released_a_version_is_not_theirs(known, told, lost):
    """As `mlflow server` makes one, started by hand."""
    change(known, "DELETE FROM registered_models")
    shutil.rmtree(mlflow_location.files_of(known))
    (known.artifacts / "runs/run 1").mkdir(parents=True)
    (known.artifacts / "runs/run 1/run.json").write_text(told)
    if lost:
        with pytest.raises(BadInput, match="mlflow.db is without any model"):
            check(known)
    else:
        assert check(known), "a first run may be kept out, or be killed before it releases"


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
def test_a_broken_database_is_told_with_the_command_that_restores_it(known, how, journal):
    path = path_of(known)
    harm(path, how)
    if journal:
        Path(f"{path}-journal").touch()
    with pytest.raises(BadInput) as told:
        check(known)
    said = str(told.value)
    assert said.startswith(f"{path} ")
    assert "\n" not in said
    assert f"({f'rm {path}-journal && ' if journal else ''}cp BACKUP/mlflow.db {path})" in said
    assert how != "a folder" or f"mv {path} {path}-old" in said


@pytest.mark.parametrize("schema", ["451aebb31d03", None])
def test_an_older_schema_is_told_with_the_command_that_brings_it_up(known, schema):
    change(known, "DELETE FROM alembic_version") if schema is None else change(
        known, "UPDATE alembic_version SET version_num = ?", schema
    )
    with pytest.raises(BadInput, match=rf"has an older schema.*/mlflow db upgrade sqlite:///{path_of(known)}$"):
        check(known)


def test_a_newer_schema_is_told_with_what_updates_recast(known):
    change(known, "UPDATE alembic_version SET version_num = 'fedcba987654'")
    with pytest.raises(BadInput, match=r"was written by a newer MLflow .schema fedcba987654.*git pull && make doctor"):
        check(known)


def test_the_newest_schema_is_the_one_that_mlflow_makes(empty_registry):
    with closing(sqlite3.connect(empty_registry)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (
            schemas("mlflow", SCRIPTS)[1],
        )
    assert len(schemas("mlflow", SCRIPTS)[0]) > 50


@pytest.mark.parametrize(("lock", "asked"), [("EXCLUSIVE", check), ("IMMEDIATE", check_writable)])
def test_a_locked_database_is_told_with_who_holds_it(known, lock, asked):
    with closing(sqlite3.connect(path_of(known), isolation_level=None)) as other:
        other.execute(f"BEGIN {lock}")
        mlflow_database.is_sound.cache_clear()
        with pytest.raises(BadInput, match=r"has been locked by another program.*`fuser -v .*mlflow\.db`"):
            asked(known)
        other.execute("ROLLBACK")
    asked(known)


def test_a_full_disk_is_no_reason_to_restore_a_backup(known):
    with pytest.raises(BadInput) as raised, mlflow_database.connect(path_of(known)) as connection:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("CREATE TABLE more (content)")
    said = str(raised.value)
    assert said.startswith(f"{path_of(known)} cannot be used: No space left on device; make room")
    assert "backup" not in said


def test_a_folder_that_mlflow_could_not_be_told_of_is_refused(tmp_path):
    with pytest.raises(BadInput, match="--artifacts .* cannot be used: .*choose a folder of another name"):
        check(Places(artifacts=tmp_path / "what?"))


@pytest.mark.parametrize("name", ["a b", "a%b", "a%20b", "a#b", "a&b;c", "é"])
def test_other_names_of_folders_are_taken_as_they_are(tmp_path, name):
    places = write_database(Places(artifacts=tmp_path / name))
    assert check(places)
    assert {home(uri, places) for uri in below(places)} == {mlflow_location.local_path(uri) for uri in below(places)}
