"""Train fold: one training of cross-fitting, as the deployment with which workers share the folds of a retraining."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

from prefect import flow

from tasks.records.results import Fold, FoldPlan
from tasks.settings.messages import without_secrets
from tasks.settings.settings import Places
from tasks.storage.locks import places_lock
from tasks.training import fold_training


@flow(name="train_fold", flow_run_name="fold {plan.number} of {plan.of}", log_prints=True)
def train_fold(plan: FoldPlan, places: Places = Places()) -> Fold:
    """Train a network without the parts of one fold, judge them with it, and store the result for the retraining that asked."""
    with without_secrets(), places_lock(places):
        return fold_training.train_fold(plan, places)
