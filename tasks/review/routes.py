"""Routes: what the review page answers at each of its addresses."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from tasks.records.rows import LabelName
from tasks.review.access import Refusal, equal_secrets, new_token, require_person, require_token
from tasks.review.approval import Approvals
from tasks.review.desk import Answer, Desk
from tasks.review.history import load_history
from tasks.review.people import Throttle, is_name
from tasks.review.pictures import SIDE, SMALL, encode_photograph
from tasks.review.queues import BLIND, QUEUES, Card
from tasks.review.show import Showcase

AHEAD = 4  # cards that a page holds: the one to answer, and those that come next
Identity = Annotated[str, Form(pattern="^[0-9a-f]{32}$")]
Digest = Annotated[str, Form(pattern="^[0-9a-f]{64}$")]
Text = Annotated[str, Form(max_length=500)]
Short = Annotated[str, Form(max_length=100)]


def add_entrance(
    app: FastAPI, show: Callable[..., HTMLResponse], shared_password: str | None, throttle: Throttle
) -> None:
    """Add the pages on which a person says who looks, and leaves."""

    @app.post("/enter")
    def enter(request: Request, token: Short, name: Short, password: Text = "") -> Response:
        require_token(request.session, token)
        if not is_name(name):
            raise Refusal(422, "no_name")
        if shared_password is not None:
            if seconds := throttle.start_try("the page"):
                raise Refusal(429, "wait", seconds=round(seconds) + 1)
            if not equal_secrets(password, shared_password):
                raise Refusal(403, "wrong_password")
            throttle.end_waiting("the page")
        request.session.clear()  # a token of before is worth nothing after
        request.session.update(person=name, token=new_token())
        return RedirectResponse("/", 303)

    @app.post("/leave")
    def leave(request: Request, token: Short) -> Response:
        require_token(request.session, token)
        request.session.clear()
        return RedirectResponse("/", 303)

    @app.get("/enter")
    def form(request: Request) -> Response:
        return show(request, "enter.html", needs_password=shared_password is not None)


def add_queues(app: FastAPI, desk: Desk, approvals: Approvals, show: Callable[..., HTMLResponse]) -> None:
    """Add the overview and the queues."""

    @app.get("/")
    def overview(request: Request) -> Response:
        person = require_person(request.session)
        counts = {queue: len(desk.open_cards(queue, person)) for queue in QUEUES}
        return show(request, "overview.html", counts=counts, waiting=len(approvals.waiting()))

    @app.get("/queue/{queue}")
    def queue_page(request: Request, queue: str, skip: str = "", part: bool = False) -> Response:
        person = require_person(request.session)
        if queue not in QUEUES:
            raise Refusal(404, "unknown_photograph")
        cards = desk.take(queue, person, AHEAD, skip.split(","))
        values = {"queue": queue, "cards": cards, "blind": queue in BLIND, "chance": format_chance, "part": part}
        if part:
            return show(request, "cards.html", **values)
        left = len(desk.open_cards(queue, person))
        return show(request, "queue.html", left=left, last=desk.last_answer(person), **values)


def add_answers(app: FastAPI, desk: Desk) -> None:
    """Add what takes answers, and takes them back."""

    @app.post("/answer")
    def answer(
        request: Request,
        token: Short,
        decision: Identity,
        queue: Short,
        sha256: Digest,
        label: Annotated[LabelName, Form()],
        kind: Short = "",
        seconds: Annotated[float, Form(ge=0, allow_inf_nan=False)] = 0.0,
        comment: Text = "",
    ) -> Response:
        person = require_person(request.session)
        require_token(request.session, token)
        desk.answer(Answer(decision, queue, sha256, label, kind, seconds, comment), person)
        return done(request, f"/queue/{queue}", {"saved": decision, "faults": desk.faults})

    @app.post("/withdraw")
    def withdraw(request: Request, token: Short, decision: Identity, withdraws: Identity) -> Response:
        person = require_person(request.session)
        require_token(request.session, token)
        earlier = desk.withdraw(decision, withdraws, person)
        return done(request, f"/queue/{earlier.queue}", {"saved": decision})


def done(request: Request, page: str, result: dict[str, Any]) -> Response:
    """Answer a script with the result, and a plain form with the page that comes next."""
    wants_json = "application/json" in request.headers.get("accept", "")
    return JSONResponse(result) if wants_json else RedirectResponse(page, 303)


def format_chance(card: Card) -> str:
    """Return the probability of a defect in percent; "" where there is none."""
    return "" if card.defect_probability is None else f"{card.defect_probability:.1%}"


def add_pictures(app: FastAPI, desk: Desk, showcase: Showcase) -> None:
    """Add the photographs, their heat maps and the labeled parts beside them, each by the digest of its content."""

    def as_jpeg(content: bytes) -> Response:
        return Response(
            content, headers={"Cache-Control": "private, max-age=86400, immutable"}, media_type="image/jpeg"
        )

    @app.get("/photograph/{sha256}")
    def photograph(request: Request, sha256: str, whole: bool = False) -> Response:
        require_person(request.session)
        card = desk.find(sha256)
        return as_jpeg(encode_photograph(card.path, sha256, None if whole else SIDE))

    @app.get("/heat/{sha256}")
    def heat(request: Request, sha256: str) -> Response:
        require_person(request.session)
        return as_jpeg(showcase.heat(desk.find(sha256)))

    @app.get("/labeled/{sha256}")
    def labeled(request: Request, sha256: str) -> Response:
        require_person(request.session)
        return as_jpeg(showcase.labeled(sha256, SMALL))

    @app.get("/neighbors/{sha256}")
    def neighbors(request: Request, sha256: str) -> Response:
        require_person(request.session)
        rows = showcase.neighbors(desk.find(sha256))
        return JSONResponse([{"sha256": row.sha256, "label": row.label} for row in rows])


def add_approval(app: FastAPI, approvals: Approvals, show: Callable[..., HTMLResponse]) -> None:
    """Add the page of the versions that wait, and what puts one into use."""

    @app.get("/approval")
    def approval(request: Request) -> Response:
        require_person(request.session)
        return show(request, "approval.html", waiting=approvals.waiting(), champion=approvals.champion(), done="")

    @app.get("/approval/{number}/report")
    def report(request: Request, number: int) -> Response:
        require_person(request.session)
        csp = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
        return HTMLResponse(approvals.report(number), headers={"Content-Security-Policy": csp})

    @app.get("/approval/{number}/differences")
    def differences(request: Request, number: int) -> Response:
        require_person(request.session)
        return show(request, "differences.html", differences=approvals.differences(number))

    @app.post("/approval")
    def decide(
        request: Request,
        token: Short,
        what: Annotated[str, Form(pattern="^(promote|refuse|rollback)$")],
        number: Annotated[int, Form(ge=0)],
        name: Short,
        password: Text,
        reason: Text = "",
    ) -> Response:
        require_person(request.session)
        require_token(request.session, token)
        sentence = approvals.decide(what, number, name, password, reason)
        return show(request, "approval.html", waiting=approvals.waiting(), champion=approvals.champion(), done=sentence)


def add_history(app: FastAPI, desk: Desk, show: Callable[..., HTMLResponse]) -> None:
    """Add the page of versions and weeks."""

    @app.get("/history")
    def history(request: Request) -> Response:
        require_person(request.session)
        return show(request, "history.html", history=load_history(desk.log, desk.places))
