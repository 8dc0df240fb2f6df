"""Desk: what the review page knows between two requests, and what an answer does. Threads may share it."""

import threading
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import NamedTuple

from tasks.labeling.label_log import IS_WITHDRAWN, SECOND_LOOK, LabelLog, valid_rows
from tasks.labeling.looks import looks_of, open_looks
from tasks.labeling.placement import place_labels
from tasks.labeling.product import Product, load_product
from tasks.labeling.study import read_study
from tasks.pipeline.last_run import last_run
from tasks.records.rows import LabelName, LabelRow
from tasks.review.access import Refusal
from tasks.review.queues import QUEUES, Card, answers_by_content, find_cards, is_open
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.sources.folder import shorten

REFRESH_SECONDS = 15.0  # between two looks at inbox, queue and runs
PLACE_SECONDS = 2.0  # between two placements of labels
LEASE_SECONDS = 120.0  # a card that one person sees is offered to others after so long
MAX_SECONDS = 3_600.0  # from a photograph's appearance to the answer: more means that nobody sat there
ANSWERS: tuple[LabelName, ...] = ("good", "defect", "cannot_tell", "exclude")


class Answer(NamedTuple):
    """What a person says of a card."""

    decision: str
    queue: str
    sha256: str
    label: LabelName
    kind: str
    seconds: float
    comment: str


class Desk:
    """Queues, answers and who looks at what."""

    def __init__(self, places: Places, clock: Callable[[], float] = time.monotonic):
        """Begin with what lies in these places, after finishing what a killed server left. Raises BadInput as `load_product` does.

        `clock` says, in seconds, how long a person has had a card.
        """
        self.places, self.log, self._clock = places, LabelLog(places), clock
        self.product: Product = load_product(places)
        self.cards: dict[str, list[Card]] = {}
        self._by_content: dict[str, Card] = {}
        self._by_queue: dict[tuple[str, str], Card] = {}
        self._leases: dict[tuple[str, str], tuple[str, float]] = {}
        self._lock, self._changed = threading.Lock(), threading.Event()
        self.refresh(settle_seconds=0.0)
        self.faults = self.place()

    def refresh(self, settle_seconds: float = 1.0) -> None:
        """Look again at the last run, the inbox and the copies of stations' photographs."""
        if last_run(self.places) != self.product.run:
            self.product = load_product(self.places)
        cards = find_cards(self.product, settle_seconds, self.places)
        by_content = {(queue, card.sha256): card for queue in QUEUES for card in cards[queue]}
        paths = {card.sha256: card for queue in reversed(QUEUES) for card in cards[queue]}
        with self._lock:
            self.cards, self._by_content, self._by_queue = cards, paths, by_content

    def refresh_often(self, stop: threading.Event) -> None:
        """Refresh until `stop` is set. What cannot be read now is said, and read the next time."""
        while not stop.wait(REFRESH_SECONDS):
            try:
                self.refresh()
            except (BadInput, OSError) as fault:
                say(f"review: {fault}")

    def place_often(self, stop: threading.Event) -> None:
        """Place labels whenever people answered, until `stop` is set, and once more then. One placing serves all answers before it."""
        while not stop.is_set() or self._changed.is_set():
            if self._changed.wait(PLACE_SECONDS):
                self._changed.clear()
                try:
                    self.faults = self.place()
                except (BadInput, OSError) as fault:
                    say(f"review: {fault}")
                    self.faults = [str(fault)]
                stop.wait(PLACE_SECONDS)  # answers wait while labels are placed

    def place(self) -> list[str]:
        """Bring inbox and corrections to what people said; return what cannot be done, the first of many."""
        sources = {sha256: card.path for sha256, card in self._by_content.items()}
        return shorten(place_labels(self.log, self.product, sources, self.places))

    def open_cards(self, queue: str, person: str) -> list[Card]:
        """Return the cards of a queue that wait for this person, in order."""
        if queue == SECOND_LOOK:
            return self._second_looks(person)
        answers = answers_by_content(self.log.rows())
        return [card for card in self.cards[queue] if is_open(card, answers.get(card.sha256, ()), person)]

    def _second_looks(self, person: str) -> list[Card]:
        """Return the cards of the agreement study that this person should see now. What others answered does not matter."""
        cards = {card.sha256: card for card in self.cards[SECOND_LOOK]}
        study = read_study(self.places) if cards else []
        due = open_looks(looks_of(self.log.rows(), study), study, person, datetime.now(UTC))
        return [cards[photograph.sha256] for photograph in due if photograph.sha256 in cards]

    def take(self, queue: str, person: str, number: int, skip: Collection[str] = ()) -> list[Card]:
        """Return the next cards for this person, without those in `skip` and those that another person looks at now."""
        now, taken = self._clock(), list[Card]()
        open_cards = self.open_cards(queue, person)
        with self._lock:
            for card in open_cards:
                holder, since = self._leases.get((queue, card.sha256), (person, now))
                is_held = queue != SECOND_LOOK and holder != person and now - since < LEASE_SECONDS
                if card.sha256 in skip or is_held:
                    continue
                self._leases[queue, card.sha256] = person, now
                taken.append(card)
                if len(taken) == number:
                    break
        return taken

    def find(self, sha256: str) -> Card:
        """Return a card of this photograph, from any queue. Raises Refusal where no queue has it."""
        card = self._by_content.get(sha256)
        if card is None:
            raise Refusal(404, "unknown_photograph")
        return card

    def answer(self, given: Answer, person: str) -> None:
        """Store an answer. `place_often` brings its label where the next run finds it, so that people need not wait for that.

        Raises Refusal for an answer that this page does not offer. An answer that comes twice is stored once.
        """
        card = self._by_queue.get((given.queue, given.sha256))
        if card is None:
            raise Refusal(404, "unknown_photograph")
        if (
            given.label not in ANSWERS
            or given.kind
            and not (given.label == "defect" and given.kind in self.product.kinds)
        ):
            raise Refusal(422, "bad_answer")
        row = LabelRow(
            decision=given.decision, sha256=card.sha256, label=given.label, kind=given.kind, person=person, time=now(),
            queue=card.queue, model_version=card.model_version, model_answer=card.model_answer,
            seconds=round(min(max(given.seconds, 0.0), MAX_SECONDS), 1), comment=given.comment, origin=card.origin,
        )  # fmt: skip
        if self.log.append(row):
            self._changed.set()

    def withdraw(self, decision: str, withdrawn: str, person: str) -> LabelRow:
        """Take back an answer of this person, and return it. Raises Refusal where this person gave no such answer."""
        earlier = next((row for row in self.log.rows() if row.decision == withdrawn and row.person == person), None)
        if earlier is None or earlier.label == IS_WITHDRAWN:
            raise Refusal(404, "bad_answer")
        row = earlier._replace(
            decision=decision, label=IS_WITHDRAWN, time=now(), seconds=0.0, comment="", withdraws=withdrawn
        )
        if self.log.append(row):
            self._changed.set()
        return earlier

    def last_answer(self, person: str) -> LabelRow | None:
        """Return the last answer of this person that nobody took back; None where there is none."""
        own = [row for row in valid_rows(self.log.rows()) if row.person == person]
        return own[-1] if own else None


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
