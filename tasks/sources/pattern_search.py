"""Pattern search: search texts for a regular expression of the user, and stop one that would search forever.

An expression such as `(a+)+$` tries every way to divide a text, which takes years for a long one. The search runs in a process of its
own. That process ends after a number of seconds of computing, even when the program that started it is gone.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence

from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal

SECONDS = 20.0  # of computing
SECONDS_A_TEXT = 0.001  # more for each text: an ordinary expression takes about a hundredth of that
SEARCH = """
import json, re, signal, sys
for number in (signal.SIGINT, signal.SIGVTALRM):  # Ctrl-C and the timer end the process without a traceback
    signal.signal(number, signal.SIG_DFL)
pattern, texts, seconds = json.load(sys.stdin)
search = re.compile(pattern).search
signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
for text in texts:
    match = search(text)
    print(json.dumps(match and match.groups()), flush=True)  # so that the number of lines tells where it ended
"""
Groups = tuple[str | None, ...]


def search_groups(pattern: str, texts: Sequence[str], option: str, seconds: float = SECONDS) -> list[Groups | None]:
    """Return the groups of the first match in each text, as `re.Match.groups` does; None where nothing matches.

    Start one process for all texts, and none where there is no text. `seconds` are of computing, so a busy machine stops no search.
    Raises BadInput that names the `option` where the search takes longer.
    """
    if not texts:
        return []
    limit = seconds + SECONDS_A_TEXT * len(texts)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SEARCH],
        input=json.dumps([pattern, texts, limit]), stdout=subprocess.PIPE, encoding="ascii", check=False,
    )  # fmt: skip
    finished = done.stdout.count("\n")
    if finished == len(texts):
        return [None if groups is None else tuple(groups) for groups in map(json.loads, done.stdout.splitlines())]
    if done.returncode != -signal.SIGVTALRM:
        done.check_returncode()
    raise BadInput(
        f"{option} {for_terminal(pattern)} takes more than {limit:g} s, and was stopped at the path {for_terminal(texts[finished])}: "
        "a group that repeats and holds a repetition, as (a+)+, is the usual cause; write a+ instead"
    )
