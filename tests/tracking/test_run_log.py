"""Run log: figures that become known after a run."""

import pytest
from conftest import put_into_use, write_model_folder

from tasks.settings.errors import BadInput
from tasks.tracking import connection
from tasks.tracking.run_log import add_metrics


def test_figures_that_become_known_later_are_added_where_they_changed(registered, places):
    tracked = put_into_use(write_model_folder("first", places), places).tracked
    assert add_metrics(tracked, {"production.passed.checked": 3.0, "production.passed.wrong_share": 0.0}, places)
    assert not add_metrics(tracked, {"production.passed.checked": 3.0}, places)
    assert add_metrics(tracked, {"production.passed.checked": 4.0, "production.passed.wrong_share": 0.0}, places)
    client = connection.client(places)
    assert client.get_run(tracked).data.metrics == {
        "production.passed.checked": 4.0,
        "production.passed.wrong_share": 0.0,
    }
    assert len(client.get_metric_history(tracked, "production.passed.wrong_share")) == 1


def test_a_run_that_is_gone_is_named(registered, places):
    with pytest.raises(BadInput, match="MLflow takes no figures of its run 0{32}"):
        add_metrics("0" * 32, {"production.passed.checked": 3.0}, places)
