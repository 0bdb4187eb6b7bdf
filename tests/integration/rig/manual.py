"""Blocks of the manuals that a test makes: what they show is what is said, or the test fails.

A block stands between two comments, `<!-- made by tests/integration/FILE: NAME -->` and `<!-- NAME ends -->`. With
MILLRACE_WRITE_MANUAL=1 in the environment it is written anew instead.
"""

import os
from pathlib import Path

ROOT = Path(__file__).parents[3]
WRITE = "MILLRACE_WRITE_MANUAL"


def indented(text):
    return "\n" + "".join(f"    {line}\n" if line else "\n" for line in text.rstrip("\n").split("\n")) + "\n"


def fenced(kind, text):
    return f"```{kind}\n{text.rstrip()}\n```\n"


def shows(document, maker, name, made):
    """`document`: from the root of the sources; `maker`: the file of the test."""
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- made by tests/integration/{Path(maker).name}: {name} -->\n", f"<!-- {name} ends -->\n"
    before, found, rest = text.partition(begin)
    shown, ends, behind = rest.partition(end)
    assert found and ends, f"{document} has no block {begin}…{end}"
    if os.environ.get(WRITE):
        path.write_text(before + begin + made + end + behind, encoding="utf-8")
    else:
        assert shown == made, f"{document} shows something else; {WRITE}=1 writes it anew:\n{made}"
