"""Queues: which photographs wait for a person, and where their bytes lie."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tasks.images.decoding import MAX_BYTES
from tasks.labeling import queue_store
from tasks.labeling.label_log import SECOND_LOOK, valid_rows
from tasks.labeling.placement import origin_in_inbox
from tasks.labeling.product import Product
from tasks.labeling.queue_store import QueuedPhotograph, queue_folder, read_queue
from tasks.labeling.study import read_study
from tasks.monitoring.active_learning import TABLE as TO_LABEL
from tasks.monitoring.active_learning import ToLabel, unlabeled_images
from tasks.monitoring.production import as_number
from tasks.monitoring.spot_checks import lot, spot_check_secret
from tasks.records.rows import Entry, LabelRow, Suspect, part_key, stored_path
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_utf8
from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.storage.digest_cache import file_digests
from tasks.storage.tables import read_state

QUEUES = ("review", "to_label", "suspects", "spot_check", "differences", SECOND_LOOK)
BLIND = (*queue_store.BLIND, SECOND_LOOK)  # queues in which nobody sees what the model said
ENOUGH_DOUBTERS = 2  # people who cannot tell, after whom nobody else is asked


class Card(NamedTuple):
    """A photograph that waits for a person."""

    queue: str
    sha256: str
    path: Path
    """Where its bytes lie."""
    name: str
    """Of the photograph, as people know it."""
    origin: str
    model_version: str = ""
    model_answer: str = ""
    defect_probability: float | None = None
    reason: str = ""
    """Why it is here, as people read it."""
    label: str = ""
    """The label that it has."""


def find_cards(product: Product, settle_seconds: float, places: Places) -> dict[str, list[Card]]:
    """Return the photographs of each queue, answered ones included, the one to look at first in front."""
    secret, queued = spot_check_secret(places), read_queue(places)
    drawn = sorted(
        (photograph for photograph in queued if photograph.queue == "spot_check"),
        key=lambda photograph: lot(part_key(photograph.origin, photograph.part, photograph.sha256), secret),
    )  # by lot: those that are answered are a random share, too

    def cards_of(photographs: Iterable[QueuedPhotograph]) -> list[Card]:
        return [queued_card(photograph, places) for photograph in photographs]

    return {
        "review": cards_of(photograph for photograph in queued if photograph.queue == "review"),
        "to_label": unlabeled_cards(settle_seconds, places),
        "suspects": suspect_cards(product, places),
        "spot_check": cards_of(drawn),
        "differences": cards_of(photograph for photograph in queued if photograph.queue == "differences"),
        SECOND_LOOK: study_cards(places),
    }


def queued_card(photograph: QueuedPhotograph, places: Places) -> Card:
    """Return the card of a station's photograph."""
    return Card(
        queue=photograph.queue,
        sha256=photograph.sha256,
        path=queue_folder(places) / photograph.name,
        name=photograph.path,
        origin=photograph.origin,
        model_version=photograph.model_version,
        model_answer=photograph.model_answer,
        defect_probability=as_number(photograph.defect_probability),
        reason=photograph.reason,
    )


def unlabeled_cards(settle_seconds: float, places: Places) -> list[Card]:
    """Return the unlabeled images of the inbox, in the order of `to_label.csv`, the ones that came since then last."""
    names = unlabeled_images(places.inbox, settle_seconds, places)
    digests = file_digests([places.inbox / name for name in names], places, MAX_BYTES)
    listed = read_state(places.artifacts_root / TO_LABEL, ToLabel)
    order = {row.sha256: (number, row) for number, row in enumerate(listed)}
    cards: dict[str, tuple[int, Card]] = {}
    for name, sha256 in zip(names, digests, strict=True):
        if sha256:
            number, row = order.get(sha256, (len(listed), None))
            answer, reason = (row.decision, row.reason) if row else ("", "")
            card = Card("to_label", sha256, places.inbox / name, for_utf8(name), origin_in_inbox(name))
            cards.setdefault(sha256, (number, card._replace(model_answer=answer, reason=reason)))
    return [card for _, card in sorted(cards.values(), key=lambda item: item[0])]


def suspect_cards(product: Product, places: Places) -> list[Card]:
    """Return the images of the last run whose label is probably wrong, the most probable first."""
    rows = product.rows
    return [
        Card(
            queue="suspects",
            sha256=suspect.sha256,
            path=stored_path(rows[suspect.sha256], places),
            name=suspect.path,
            origin=suspect.origin,
            defect_probability=suspect.defect_probability,
            reason=f"labeled {suspect.label}, probably {suspect.suggested}",
            label=suspect.label,
        )
        for suspect in read_state(product.run / "suspects.csv", Suspect)
        if suspect.sha256 in rows
    ]


def study_cards(places: Places) -> list[Card]:
    """Return the photographs of the agreement study whose bytes are at hand. Their names are digests: a path would tell the label."""
    try:
        study = read_study(places)
    except BadInput as fault:  # the other queues go on
        say(f"review: {fault}")
        return []
    cards = [
        Card(
            queue=SECOND_LOOK,
            sha256=photograph.sha256,
            path=stored_path(Entry(photograph.path, photograph.sha256), places),
            name=photograph.sha256[:8],
            origin=photograph.origin,
            model_answer=photograph.model_answer,
        )
        for photograph in study
    ]
    return [card for card in cards if card.path.is_file()]


def is_open(card: Card, answers: Iterable[LabelRow], person: str) -> bool:
    """Return whether a card still waits for this person. `answers` are the rows about its photograph that nobody took back.

    A spot check is answered by what is said there alone: it asks whether an earlier answer was right.
    """
    own = [row for row in answers if row.queue == card.queue or card.queue not in (*BLIND, "suspects")]
    doubters = {row.person for row in own if row.label == "cannot_tell"}
    decided = any(row.label != "cannot_tell" for row in own)
    return not decided and person not in doubters and len(doubters) < ENOUGH_DOUBTERS


def answers_by_content(rows: Iterable[LabelRow]) -> dict[str, list[LabelRow]]:
    """Return the answers that nobody took back, by sha256. Those of the agreement study answer no other queue."""
    answers: dict[str, list[LabelRow]] = {}
    for row in valid_rows(rows):
        if row.queue != SECOND_LOOK:
            answers.setdefault(row.sha256, []).append(row)
    return answers
