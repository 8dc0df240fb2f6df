"""Review: a page for the people at the line, who look at photographs, label them and approve models.

python flows/review.py [--port 8700] | --approver NAME | --draw-study
"""

import getpass
import os
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before Prefect, which reads its defaults when it is imported

import uvicorn
from pydantic import Field

from flows.promote import ApprovalAnswer, apply_answer, change
from tasks.labeling.product import load_product
from tasks.labeling.study import draw_study
from tasks.pipeline.last_run import last_run, resolve_model
from tasks.review.approval import PromotionCalls
from tasks.review.desk import Desk
from tasks.review.page import create_app
from tasks.review.people import set_approver
from tasks.review.study_results import summary_line
from tasks.settings.cli import Arguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import Places
from tasks.storage.locks import check_writable
from tasks.storage.private_files import load_secret
from tasks.tracking import registry

PORT = 8700
WAIT_SECONDS = 2.0  # between two looks for the first run
LOOPBACK = ("127.0.0.1", "localhost")
SHARED_PASSWORD, APPROVER_PASSWORD = "RECAST_REVIEW_PASSWORD", "RECAST_APPROVER_PASSWORD"
KEY = ".review-key"  # signs the sessions: who entered stays in when the page is started again


class ReviewArguments(Arguments):
    """Open the page on which people label photographs and approve models."""

    host: str = Field(
        "127.0.0.1", description="Address to listen on; another than this machine's own needs a password."
    )
    port: int = Field(PORT, ge=1, le=65_535, description="Port to listen on.")
    site: str | None = Field(
        None, description="Address under which people open the page behind a proxy, as https://review.plant.example."
    )
    wait: bool = Field(False, description="Wait for the first run, instead of ending where there was none.")
    approver: str | None = Field(None, description="Let this person approve models, by a password that is asked for.")
    draw_study: bool = Field(
        False, description="Draw the photographs of an agreement study, which people then answer on the page."
    )
    replace_study: bool = Field(
        False, description="Draw a new agreement study in place of the one that is open; its table is kept."
    )
    places: Places = Places()


def main() -> None:
    """Serve the page until Ctrl-C, store the password of a person who may approve, or draw an agreement study."""
    arguments = parse(ReviewArguments, sys.argv[1:])
    check_writable(arguments.places)
    if arguments.approver is not None:
        set_approver(arguments.approver, ask_password(arguments.approver), arguments.places)
        say(f"{arguments.approver} may approve models")
        return
    if arguments.draw_study or arguments.replace_study:
        places = resolve_model(arguments.places)
        study = draw_study(load_product(places), places, replace=arguments.replace_study)
        say(summary_line(study))
        return
    sites, password = sites_of(arguments), shared_password(arguments)
    require_free(arguments.host, arguments.port)
    desk = open_desk(arguments)
    app = create_app(desk, promotion_calls(), sites, load_secret(desk.places.artifacts_root / KEY), password)
    say(f"review: {sites[0]}  (Ctrl-C ends it)", *desk.faults)
    sys.stdout.flush()
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning", server_header=False, workers=1)


def open_desk(arguments: ReviewArguments) -> Desk:
    """Return the desk, with --wait after the first run. Raises BadInput as `load_product` does."""
    if arguments.wait and last_run(arguments.places) is None:
        say("review: waits for the first run, which says what is inspected")
        sys.stdout.flush()
        while last_run(arguments.places) is None:
            time.sleep(WAIT_SECONDS)
    return Desk(resolve_model(arguments.places))


def sites_of(arguments: ReviewArguments) -> list[str]:
    """Return the addresses under which the page answers, people's first. Raises BadInput for one that is none.

    This machine's own is among them: a health check asks there.
    """
    own = [f"http://{name}:{arguments.port}" for name in LOOPBACK]
    if arguments.site is not None:
        parts = urlsplit(arguments.site)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
            raise BadInput(f"--site is {arguments.site!r}, expected an address as https://review.plant.example")
        return [f"{parts.scheme}://{parts.netloc}", *own]
    return own if arguments.host in LOOPBACK else [f"http://{arguments.host}:{arguments.port}", *own]


def shared_password(arguments: ReviewArguments) -> str | None:
    """Return the password of the page from the environment; None where this machine alone can open it, and none is set.

    Raises BadInput where others can open it without one.
    """
    password = os.environ.get(SHARED_PASSWORD) or None
    if password is None and (arguments.host not in LOOPBACK or arguments.site):
        raise BadInput(
            f"--host is {arguments.host}, and others could open the page: set {SHARED_PASSWORD}, and let a proxy with TLS stand before it"
        )
    return password


def ask_password(name: str) -> str:
    """Return the password that a person chooses: from the environment, else from the terminal, twice."""
    if password := os.environ.get(APPROVER_PASSWORD):
        return password
    if not sys.stdin.isatty():
        raise BadInput(f"no terminal asks for the password of {name}: set {APPROVER_PASSWORD}, or run it in a terminal")
    first = getpass.getpass(f"Password of {name}: ")
    if first != getpass.getpass("Once more: "):
        raise BadInput("the two passwords differ: nothing is stored")
    return first


def require_free(host: str, port: int) -> None:
    """Raise BadInput where something answers at this address already."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1" if host == "0.0.0.0" else host, port)) == 0:
            raise BadInput(f"something answers on port {port} already: stop it, or give another --port")


def promotion_calls() -> PromotionCalls:
    """Return how the page puts a version into use, refuses it, and takes it back: as the command line does."""

    def decide(number: int, promote: bool, person: str, reason: str, places: Places) -> str:
        with registry.promotion_lock(places):
            answer = ApprovalAnswer(promote=promote, reason=reason)
            return apply_answer(registry.version(number, places), answer, places, person)

    return PromotionCalls(
        promote=lambda number, person, reason, places: decide(number, True, person, reason, places),
        refuse=lambda number, person, reason, places: decide(number, False, person, reason, places),
        rollback=lambda person, reason, places: change(None, True, None, reason, places, person),
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
