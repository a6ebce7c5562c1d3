"""Rolls dice: {"roll":"4d6"} on stdin gives four numbers from 1 to 6, as in [4,6,4,3]."""

import json
import random
import sys

from parse import parse

MOST_DICE = 1000


def roll(params):
    text = params.get("roll") if isinstance(params, dict) else None
    found = parse("{dice:d}d{sides:d}", text) if isinstance(text, str) else None
    if not found or not 1 <= found["dice"] <= MOST_DICE or found["sides"] < 1:
        sys.exit(f'params must be like {{"roll":"4d6"}}, at most {MOST_DICE} dice')
    return [random.randint(1, found["sides"]) for _ in range(found["dice"])]


try:
    params = json.load(sys.stdin)
except ValueError:
    sys.exit("params must be JSON")
print(json.dumps(roll(params), separators=(",", ":")), end="")
