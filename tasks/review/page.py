"""Page: the web application of `flows/review.py`. It shows the queues of the desk, and hands answers to it."""

import threading
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.middleware.sessions import SessionMiddleware

from tasks.reporting.template_files import as_printable
from tasks.review.access import Guard, Refusal, new_token
from tasks.review.approval import Approvals, PromotionCalls
from tasks.review.desk import Desk
from tasks.review.people import Throttle
from tasks.review.routes import add_answers, add_approval, add_entrance, add_history, add_pictures, add_queues
from tasks.review.show import Showcase
from tasks.review.study_page import add_study
from tasks.review.texts import QUEUES as QUEUE_TEXTS
from tasks.review.texts import TEXTS
from tasks.settings.errors import BadInput

ROOM = Path(__file__).parent
SESSION_SECONDS = 12 * 3_600  # a shift


def create_app(
    desk: Desk, calls: PromotionCalls, sites: Sequence[str], session_key: str, shared_password: str | None = None
) -> FastAPI:
    """Return the application.

    Args:
        desk: Queues and answers.
        calls: How a version comes into use, is refused and is taken back.
        sites: The addresses under which the page is opened, as `http://127.0.0.1:8700`, people's first.
        session_key: Signs the sessions.
        shared_password: What everybody has to know to enter; None: the page is open to this machine alone.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lambda _: run_threads(desk))
    app.mount("/static", StaticFiles(directory=ROOM / "static"))
    is_secure = urlsplit(sites[0]).scheme == "https"
    app.add_middleware(
        SessionMiddleware,
        secret_key=session_key,
        session_cookie="recast_review",
        max_age=SESSION_SECONDS,
        same_site="strict",
        https_only=is_secure,
    )
    app.add_middleware(Guard, sites=sites)  # outermost: it comes first
    show = make_renderer(desk)
    for refused in (Refusal, BadInput, RequestValidationError):
        app.add_exception_handler(refused, make_refusal(show))
    throttle = Throttle()
    add_entrance(app, show, shared_password, throttle)
    approvals = Approvals(desk, calls, throttle)
    add_queues(app, desk, approvals, show)
    add_answers(app, desk)
    add_pictures(app, desk, Showcase(desk))
    add_approval(app, approvals, show)
    add_history(app, desk, show)
    add_study(app, desk, show)
    return app


@asynccontextmanager
async def run_threads(desk: Desk) -> AsyncIterator[None]:
    """Refresh the desk and place labels in threads of their own until the page closes. The last labels are placed before it does."""
    stop = threading.Event()
    threading.Thread(target=desk.refresh_often, args=[stop], daemon=True).start()
    placing = threading.Thread(target=desk.place_often, args=[stop], daemon=True)
    placing.start()
    yield
    stop.set()
    placing.join()


def make_renderer(desk: Desk) -> Callable[..., HTMLResponse]:
    """Return a function that renders a template for a request. All values are data: they are made printable, then escaped."""
    environment = Environment(
        loader=FileSystemLoader(ROOM / "templates"), autoescape=True, undefined=StrictUndefined, finalize=as_printable
    )
    templates = Jinja2Templates(env=environment)

    def render(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        session = request.session
        session.setdefault("token", new_token())
        shared = {
            "texts": TEXTS, "queue_texts": QUEUE_TEXTS, "token": session["token"], "person": session.get("person", ""),
            "kinds": desk.product.kinds, "faults": desk.faults, "new_decision": lambda: uuid.uuid4().hex,
        }  # fmt: skip
        return templates.TemplateResponse(request, name, {**shared, **values}, status_code=status)

    return render


def make_refusal(show: Callable[..., HTMLResponse]) -> Callable[[Request, Exception], Response]:
    """Return a function that answers with the sentence of a refusal: a page for people, JSON for the script.

    A form that lacks a value, or has one of another kind, is refused too.
    """

    def answer(request: Request, refusal: Exception) -> Response:
        status = refusal.status if isinstance(refusal, Refusal) else 422
        text = TEXTS["bad_form"] if isinstance(refusal, RequestValidationError) else str(refusal)
        if status == 401 and request.method == "GET":
            return RedirectResponse("/enter", 303)
        if "text/html" in request.headers.get("accept", ""):
            return show(request, "refused.html", status, text=text)
        return JSONResponse({"refused": text}, status)

    return answer
