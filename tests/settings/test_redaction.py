"""Redaction: no secret stays in a text, in any form, and all other text stays."""

import pytest

from tasks.settings.errors import BadInput
from tasks.settings.redaction import find_secrets, redact

SECRET = "hUnter2-77"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"at http://me:{SECRET}@host:5000/x", "at http://***@host:5000/x"),
        (f"at https://{SECRET}@host", "at https://***@host"),
        (f"postgresql+psycopg2://recast:{SECRET}@db:5432/mlflow", "postgresql+psycopg2://***@db:5432/mlflow"),
        (f"http://me:p@{SECRET}@host", "http://***@host"),
        (f"http://me:p/{SECRET}?a@host/b", "http://***@host/b"),
        (f"https:/me:{SECRET}@host/a", "https:/***@host/a"),
        (f"(via http://me:{SECRET}@proxy:1)", "(via http://***@proxy:1)"),
        (f"https://host/a.zip?sig={SECRET}&x=1 ends", "https://host/a.zip?*** ends"),
        (f"url: /a.zip?X-Goog-Signature={SECRET}&b=1", "url: /a.zip?X-Goog-Signature=***&b=1"),
        (f"https://hooks.slack.com/services/T0/B0/{SECRET}", "https://hooks.slack.com/***"),
        (f"https://chat.example/api/webhooks/1/{SECRET} failed", "https://chat.example/*** failed"),
        (f"Authorization: Bearer {SECRET}", "Authorization: ***"),
        (f"{{'Authorization': 'Basic {SECRET}', 'a': 1}}", "{'Authorization': '***', 'a': 1}"),
        (f"(b'authorization', b'Basic {SECRET}')", "(b'authorization', b'Basic ***')"),
        (f"with Bearer {SECRET} and Basic QWxh", "with Bearer *** and Basic ***"),
        (f"X-Api-Key: {SECRET}", "X-Api-Key: ***"),
        (f"host=db password={SECRET} user=a", "host=db password=*** user=a"),
        (f'{{"username": "me", "key": "{SECRET}"}}', '{"username": "me", "key": "***"}'),
    ],
)
def test_each_form_of_a_secret_is_hidden(text, shown):
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000/#/experiments/1/runs/ab",
        "sqlite:////data/a@b/mlflow.db",
        "http://127.0.0.1:5000/a@b",
        "/data/inbox/photo?x=1.jpeg",
        "C:/a@b",
        "someone@example.com",
        "Basic authentication is on, with a Bearer token",
        "--places.registered_model=recast: classes.defect=a",
        "kaggle:owner/slug/2",
        "the image is truncated (3 bytes of 12): p = 1.9e-06",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    "variable",
    ["KAGGLE_KEY", "KAGGLE_API_TOKEN", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "MLFLOW_TRACKING_PASSWORD", "PGPASSWORD",
     "AWS_SECRET_ACCESS_KEY", "RECAST_ALERTS", "RECAST_AUTH", "POSTGRES_PASSWORD"],
)  # fmt: skip
def test_the_value_of_a_variable_is_hidden_wherever_it_stands(monkeypatch, variable):
    monkeypatch.setenv(variable, SECRET)
    assert redact(f"refused: {SECRET}, and{SECRET}too") == "refused: ***, and***too"


@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_URI", "PREFECT_API_URL", "HTTPS_PROXY", "RECAST_ANY"])
@pytest.mark.parametrize("password", ["hunter2", "a/b#c?d", "a%2Fb%40c", "with space", "it's"])
def test_the_password_of_an_address_is_hidden_also_where_its_parts_stand_alone(monkeypatch, variable, password):
    address = f"http://someone:{password}@host:5000/api"
    monkeypatch.setenv(variable, address)
    assert password not in redact(f"no answer from {address}: bad port {password!r}, user 'someone:{password}'")
    assert "host:5000/api" in redact(address)


def test_name_and_password_in_one_variable_are_hidden_alone_too(monkeypatch):
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "somebody:geheim")
    assert (
        redact("somebody:geheim, or geheim; Geheimnis and geheimnis stay")
        == "***, or ***; Geheimnis and geheimnis stay"
    )


def test_numbers_switches_and_paths_are_no_secrets():
    harmless = {
        "USE_TOKEN": "true",
        "MAX_TOKENS": "4096",
        "API_TOKEN_FILE": "/run/secrets/token",
        "HOME": "/root",
        "A_PASSWORD": "",
    }
    assert list(find_secrets(harmless)) == []


def test_no_error_of_the_user_holds_a_secret(monkeypatch):
    monkeypatch.setenv("KAGGLE_KEY", SECRET)
    error = BadInput(f"version 3 in http://me:pw@host is gone: {SECRET}")
    assert str(error) == "version 3 in http://***@host is gone: ***"
    assert SECRET not in repr(error)
