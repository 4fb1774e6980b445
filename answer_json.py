"""From the raw text of an LLM's answer to the JSON values in it. Pure.

Thinking is cut away, then blocks are looked for: inside ``<decision>`` tags, else inside code
fences, else anywhere in the text. A block is one complete `{…}` or `[…]`; the last one may be cut
off. JSON that does not parse is repaired by json-repair, after everything that it would guess at
(`50%`, `61,200`, `0.5 * 2`) has been put in quotes, so that it arrives as it was written.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import json_repair

LONGEST_ANSWER = 400_000
LONGEST_REPAIR = 10_000  # json-repair's time can grow with the square of the text
DEEPEST_NESTING = 40
TRUNCATED = "\x00truncated"  # the key that marks an object which was not closed
DUPLICATED = "\x00duplicated"  # the key under which an object lists keys that it names twice

_THOUGHT_TAG = re.compile(
    r"(?P<open><(?:think|thinking|thought|reasoning)\b[^>]{0,100}>|\[THINK\]|◁think▷"
    r"|<\|channel\|>analysis)"
    r"|(?P<close></(?:think|thinking|thought|reasoning)\s{0,10}>|\[/THINK\]|◁/think▷"
    r"|<\|channel\|>final<\|message\|>)"
    r"|(?P<aside><(?:analysis|scratchpad)>)|(?P<end_of_aside></(?:analysis|scratchpad)>)",
    re.IGNORECASE,
)
_DECISION_TAG = re.compile(
    r"<(decisions?|answer|output|final)>(.*?)(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL
)
_FENCE = re.compile(r"(?:```|~~~)[\w+-]*[ \t]*\r?\n?(.*?)(?:```|~~~|\Z)", re.DOTALL)
_FULL_WIDTH = str.maketrans("｛｝［］：，", "{}[]:,")
_BARE_VALUE = re.compile(
    r'"(?:\\.|[^"\\])*(?:"|\Z)'  # a text, passed over
    r"|(?P<colon>:\s*)(?P<value>[-+~≈]?[$€¥£]?\.?\d"
    r"(?:[^,}\]\n\"'/#]|,(?=\d{3}(?!\d))|/(?![/*]))*)"
    r"|(?P<before>:\s*)(?P<word>[A-Za-z_]\w*)(?=\s*[,}\]])"
)
_COMMENT = re.compile(
    r'(?P<text>"(?:\\.|[^"\\])*(?:"|\Z))|//[^\n]*|#[^\n]*|/\*(?:[^*]|\*(?!/)){0,2000}\*/', re.DOTALL
)
_TRAILING_COMMA = re.compile(r'(?P<text>"(?:\\.|[^"\\])*(?:"|\Z))|,(?=\s*[}\]])')
_JSON_WORDS = frozenset(("true", "false", "null", "True", "False", "None"))
_NUMBER_MARK = "\x01"
_QUOTED_KEY = re.compile(r'"([^"\\\n]{1,60})"\s*:')
_BRACKET_OR_QUOTE = re.compile(r'[{}\[\]"]')
_END_OF_QUOTE = re.compile(r'(?:\\.|[^"\\])*"?', re.DOTALL)


class NumberText(str):
    """A number as it was written, so that no digit is lost and no size is too large."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Block:
    """One JSON value found in an answer, with what had to be done to read it."""

    value: Any
    repairs: tuple[str, ...] = ()
    truncated: bool = False


class UnreadableAnswer(Exception):
    """There is no JSON to be had from the text; `code` says why."""

    def __init__(self, code: str):
        super().__init__(code)
        self.code = code


def json_blocks(text: str) -> list[Block]:
    """The JSON values of an answer in their order. Raises UnreadableAnswer.

    Codes: empty, too_long, only_reasoning (thought and then said nothing), no_json.
    """
    if not text.strip():
        raise UnreadableAnswer("empty")
    if len(text) > LONGEST_ANSWER:
        raise UnreadableAnswer("too_long")
    said, thought = _without_thinking(_unquoted(text))
    if not said.strip():
        raise UnreadableAnswer("only_reasoning")
    note = ("reasoning_removed",) if thought else ()
    for place, pieces in _places(said):
        blocks = [block for piece in pieces for block in _blocks_in(piece, place, note)]
        if blocks:
            return blocks
    raise UnreadableAnswer("no_json")


def _unquoted(text: str) -> str:
    """An answer that was made a JSON text once more, as it was before."""
    if not text.lstrip().startswith('"'):
        return text
    try:
        inner = json.loads(text)
    except ValueError:
        return text
    return inner if isinstance(inner, str) else text


def _without_thinking(text: str) -> tuple[str, bool]:
    """What was said besides the thinking; a thought that is never closed takes the rest.

    A thought that is closed without having been opened began with the answer: some chat templates
    swallow the opening tag. An analysis that is never closed is no thought.
    """
    said: list[str] = []
    position = 0
    opened: re.Match[str] | None = None
    for tag in _THOUGHT_TAG.finditer(text):
        if opened is None and (tag["open"] or tag["aside"]):
            opened = tag
        elif opened is not None and (tag["close"] or (opened["aside"] and tag["end_of_aside"])):
            said.append(text[position : opened.start()])
            position, opened = tag.end(), None
        elif opened is None and tag["close"]:
            said, position = [], tag.end()
    end = opened.start() if opened is not None and opened["open"] else len(text)
    said.append(text[position:end])
    without = "".join(said)
    return without, len(without) != len(text)


def _places(text: str) -> Iterator[tuple[str, list[str]]]:
    """Where the answer may stand, the most explicit first: its name, and the pieces of text."""
    tagged = [match[2] for match in _DECISION_TAG.finditer(text)]
    if tagged:
        yield (
            "tag_removed",
            [
                piece
                for part in tagged
                for piece in [match[1] for match in _FENCE.finditer(part)] or [part]
            ],
        )
    fenced = [match[1] for match in _FENCE.finditer(text)]
    if fenced:
        yield "fence_removed", fenced
    yield "text_removed", [text]


def _blocks_in(piece: str, place: str, note: tuple[str, ...]) -> list[Block]:
    spans = list(_spans(piece))
    if not spans and "｛" in piece:
        piece = piece.translate(_FULL_WIDTH)
        spans = list(_spans(piece))
    blocks = []
    for span in spans:
        whole = piece.strip() == span.text
        here = note if whole and place == "text_removed" else (*note, place)
        block = _read(span, here)
        if block is not None:
            blocks.append(block)
    return blocks


# -------------------------------------------------------------------------------------- spans


@dataclass(frozen=True, slots=True)
class _Span:
    """An outermost `{…}` or `[…]`; one that was cut off has brackets that are still open.

    `last_object` is where the last complete object in it ends, and what was open around that.
    """

    text: str
    deepest: int
    cut_off: bool = False
    last_object: tuple[int, tuple[str, ...]] | None = None


def _spans(text: str) -> Iterator[_Span]:
    """The outermost bracketed stretches of a text in their order; the last may be cut off."""
    start = deepest = position = 0
    stack: list[str] = []
    last_object: tuple[int, tuple[str, ...]] | None = None
    while found := _BRACKET_OR_QUOTE.search(text, position):
        character, position = found[0], found.end()
        if character == '"':
            if stack:  # a quotation mark in the text around says nothing
                position = _END_OF_QUOTE.match(text, position).end()  # type: ignore[union-attr]
        elif character in "{[":
            if not stack:
                start, deepest, last_object = found.start(), 0, None
            stack.append(character)
            deepest = max(deepest, len(stack))
        elif stack:
            _close(stack, character)
            if not stack:
                yield _Span(text[start:position], deepest)
            elif character == "}":
                last_object = (position - start, tuple(stack))
    if stack:
        yield _Span(text[start:], deepest, True, last_object)


def _close(stack: list[str], bracket: str) -> None:
    """Take the bracket's partner off, with what was left open inside; a stray one does nothing."""
    partner = "{" if bracket == "}" else "["
    if partner in stack:
        while stack.pop() != partner:
            pass


def _read(span: _Span, notes: tuple[str, ...]) -> Block | None:
    """The value of a span, repaired where that is needed; None where it is no JSON at all."""
    if span.deepest > DEEPEST_NESTING:
        return None
    text = span.text
    if span.cut_off:
        notes = (*notes, "truncated")
        if span.last_object is None:
            return Block({TRUNCATED: True}, notes, truncated=True)
        text = _closed_up(text, *span.last_object)
    try:
        return Block(_load(text), notes, span.cut_off)
    except ValueError:
        value = _tidied(text) or _repaired(text)
        return None if value is None else Block(value, (*notes, "json_repaired"), span.cut_off)


def _closed_up(text: str, end: int, still_open: tuple[str, ...]) -> str:
    """A text that was cut off, up to its last complete object, with what was open marked so."""
    marker = f",{json.dumps(TRUNCATED)}:true}}"
    return text[:end] + "".join(marker if b == "{" else "]" for b in reversed(still_open))


# ------------------------------------------------------------------------------------ reading


def _load(text: str) -> Any:
    """Strict JSON with numbers as they were written."""
    return json.loads(
        text,
        parse_float=NumberText,
        parse_int=NumberText,
        parse_constant=NumberText,
        object_pairs_hook=_object,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        found[DUPLICATED] = sorted({key for key in keys if keys.count(key) > 1})
    return found


def _tidied(text: str) -> Any:
    """The value without comments and trailing commas, and with bare words and numbers quoted.

    That is most of what is wrong with answers; None where more is.
    """
    plain = _COMMENT.sub(_text_alone, text.translate(_FULL_WIDTH))
    plain = _TRAILING_COMMA.sub(_text_alone, plain)
    try:
        value = _load(_BARE_VALUE.sub(_quoted_bare_value, plain))
    except ValueError:
        return None
    return _numbers_as_written(value)


def _text_alone(match: re.Match[str]) -> str:
    return match["text"] or ""


def _repaired(text: str) -> Any:
    """What json-repair makes of it, with numbers that it may not touch; None where it cannot."""
    if len(text) > LONGEST_REPAIR:
        return None
    quoted = _BARE_VALUE.sub(_quoted_bare_value, text.translate(_FULL_WIDTH))
    try:
        value = json_repair.loads(quoted, skip_json_loads=True)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict | list):
        return None
    value = _numbers_as_written(value)
    lost = _lost_keys(quoted, value)
    return {DUPLICATED: lost} if lost else value


def _quoted_bare_value(match: re.Match[str]) -> str:
    """What stands behind a colon without quotes, in quotes: words, and numbers with their mark."""
    if match["word"] is not None:
        word = match["word"]
        return match[0] if word in _JSON_WORDS else f'{match["before"]}"{word}"'
    if match["colon"] is None:
        return match[0]
    value = match["value"].rstrip()
    return match["colon"] + json.dumps(f"{_NUMBER_MARK}{value}", ensure_ascii=False)


def _numbers_as_written(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _numbers_as_written(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_numbers_as_written(part) for part in value]
    if isinstance(value, str) and value.startswith(_NUMBER_MARK):
        return NumberText(value.removeprefix(_NUMBER_MARK))
    if isinstance(value, bool | str) or value is None:
        return value
    return NumberText(repr(value))  # a number in a list, which no field takes


def _lost_keys(text: str, value: Any) -> list[str]:
    """Keys that stand more often in the text than in what was read: the repair dropped some."""
    written = Counter(_QUOTED_KEY.findall(text))
    written.subtract(_keys(value))
    return sorted(key for key, lost in written.items() if lost > 0)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for part in value.values() if isinstance(value, dict) else value:
        if isinstance(part, dict | list):
            yield from _keys(part)
