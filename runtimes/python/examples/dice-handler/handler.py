"""Rolls dice: {"roll":"4d6"} gives four numbers from 1 to 6, as in [4,6,4,3]."""

import random
import re

MOST_DICE = 1000


def handler(params, context):
    text = params.get("roll") if isinstance(params, dict) else None
    found = re.fullmatch(r"([0-9]{1,4})d([0-9]{1,9})", text) if isinstance(text, str) else None
    dice, sides = (int(number) for number in found.groups()) if found else (0, 0)
    if not 1 <= dice <= MOST_DICE or sides < 1:
        raise ValueError(f'params must be like {{"roll":"4d6"}}, at most {MOST_DICE} dice')
    print(f"call {context.callNum}: {dice} dice of {sides} sides")
    return [random.randint(1, sides) for _ in range(dice)]
