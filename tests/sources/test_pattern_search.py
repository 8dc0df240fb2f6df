"""Pattern search: the groups of the first match, as `re` finds them, and an end for an expression that would search forever."""

import os
import re

import pytest

from tasks.settings.errors import BadInput
from tasks.sources.pattern_search import search_groups

NAMES = [
    "line 3/p1_x.png",
    "",
    "none",
    "Gehäuse/p2é.png",
    "Geha\u0308use/p3.png",
    "\U0001f9ea/p4",
    os.fsdecode(b"caf\xe9/p5\xff"),
    os.fsdecode(b"\xf0\x9f\xa7"),  # an emoji that was cut off
    "two\nlines/p7\r\n",
    "separators\u2028\u2029\x85\x1c/p8",
    "zero\0/p9",
    '"quotes\\"/p10',
    "p11/p12",
]


@pytest.mark.parametrize(
    "pattern",
    [
        "(?P<part>p[0-9]+)(?P<time>_)?",
        "(p[0-9])(.)?$",
        "^(.)",
        "(?s)(.*)/(.*)",
        "(?i)(GEHÄUSE)|([\ud800-\udfff])",
        "(\udce9)",
        "p",
        "()",
    ],
)
def test_each_name_gets_the_groups_that_re_finds(process, pattern):
    matches = [re.search(pattern, name) for name in NAMES]
    assert search_groups(pattern, NAMES, "--stamp") == [match and match.groups() for match in matches]


def test_without_names_no_process_starts():
    assert search_groups("(a)", [], "--stamp") == []  # this test has no mark `process`, so one would fail it


@pytest.mark.parametrize("option", ["--stamp", "--parts"])
def test_an_expression_that_would_search_for_years_is_refused_with_the_option_and_the_path(process, option):
    names = ["b", "a" * 200 + "\udcff", "c"]
    with pytest.raises(BadInput) as refused:
        search_groups("((a+)+)$", names, option, seconds=0.2)
    assert str(refused.value).startswith(
        f"{option} ((a+)+)$ takes more than 0.203 s, and was stopped at the path {'a' * 200}\\udcff: a group that repeats"
    )
