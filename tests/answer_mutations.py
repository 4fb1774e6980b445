"""Answers with something wrong in them that nobody thought of: small random damage to real ones."""

from random import Random

NUMBERS = (
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "-5", "0", "-0", "true", "null",
    '"10x"', '"50%"', '"1,000,000"', "61,200", "99999999999999999999", "0.1 + 0.2", "1e15", "1e16",
    '"1e14"', '""', "[1]", "{}", '"٣"', "0x10", "1_000", "+7", ".5", "5.", "1/3", "10X", "٣",
)  # fmt: skip
WORDS = (
    "buy_to_enter", "sell_to_enter", "close_position", "hold", "open_long", "close_short", "sell",
    "leverage", "quantity", "notional", "weight", "stop_loss", "decisions", "BTC", "ETHUSDT",
    "<think>", "</think>", "```", "```json", "<decision>", "\\u0000", "\\ud800", "\ud83d\ude80",
)  # fmt: skip
LETTERS = "{}[]\"',:\\/#<>`~-+.0123456789eExX%$ \n\t\x00abtrufnls｛：，“”\u202e\ufeff"


def mutated(text: str, other: str, random: Random) -> str:
    """`text` with one to four kinds of damage; `other` is another answer to mix in."""
    for _ in range(random.randint(1, 4)):
        text = random.choice(_MUTATIONS)(text, other, random)
    return text[:20_000]


def _place(text: str, random: Random) -> int:
    return random.randint(0, len(text))


def _delete(text: str, other: str, random: Random) -> str:
    at = _place(text, random)
    return text[:at] + text[at + random.choice((1, 1, 1, 2, 5, 40)) :]


def _insert(text: str, other: str, random: Random) -> str:
    at = _place(text, random)
    return text[:at] + random.choice(LETTERS) + text[at:]


def _insert_word(text: str, other: str, random: Random) -> str:
    at = _place(text, random)
    return text[:at] + random.choice(WORDS) + text[at:]


def _replace(text: str, other: str, random: Random) -> str:
    at = _place(text, random)
    return text[:at] + random.choice(LETTERS) + text[at + 1 :]


def _cut(text: str, other: str, random: Random) -> str:
    return text[: _place(text, random)]


def _behead(text: str, other: str, random: Random) -> str:
    return text[_place(text, random) :]


def _repeat(text: str, other: str, random: Random) -> str:
    start = _place(text, random)
    piece = text[start : start + random.randint(1, 60)]
    at = _place(text, random)
    return text[:at] + piece * random.choice((1, 1, 2, 50)) + text[at:]


def _splice(text: str, other: str, random: Random) -> str:
    return text[: _place(text, random)] + other[_place(other, random) :]


def _join(text: str, other: str, random: Random) -> str:
    return text + random.choice(("", "\n", "\n\n", ",", "</think>")) + other


def _number(text: str, other: str, random: Random) -> str:
    """Put something strange in the place of a number."""
    digits = [i for i, letter in enumerate(text) if letter.isdigit()]
    if not digits:
        return text
    start = end = random.choice(digits)
    while start and (text[start - 1].isdigit() or text[start - 1] in ".-"):
        start -= 1
    while end < len(text) and (text[end].isdigit() or text[end] == "."):
        end += 1
    return text[:start] + random.choice(NUMBERS) + text[end:]


def _case(text: str, other: str, random: Random) -> str:
    at = _place(text, random)
    return text[:at] + text[at : at + 30].swapcase() + text[at + 30 :]


def _quotes(text: str, other: str, random: Random) -> str:
    return text.replace('"', random.choice(("'", "", "“", '\\"')), random.choice((1, 4, 1000)))


def _wrap(text: str, other: str, random: Random) -> str:
    before, after = random.choice((
        ("[", "]"), ('{"decisions": ', "}"), ("```\n", "\n```"), ("<think>", ""), ('{"a":', "}"),
        ("{" * 60, "}" * 60), ("[" * 300, ""),
    ))  # fmt: skip
    return before + text + after


_MUTATIONS = (
    _delete, _delete, _insert, _insert, _insert_word, _replace, _replace, _cut, _behead, _repeat,
    _splice, _join, _number, _number, _number, _case, _quotes, _wrap,
)  # fmt: skip
