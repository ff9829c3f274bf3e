"""Phrases of rules, looked for in the words of an answer: `{recipient} * {gone}` and the like.

A phrase is words in their order. `{group}` stands for any entry of a group of words, `*` for up to seven further words
of the same sentence, and a word that ends in `~` for all words that begin so. `^` is the beginning of a sentence, `$`
its end; at the end of a phrase `+` says that the sentence goes on, and `!` that none of the words follows which `*`
does not cross.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache

from reku.catalogue.reply_text import fold

_GROUP = re.compile(r"\{(\w+)\}")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_REMEMBERED_TEXTS = 2_000
_REMEMBERED_WORDS = 20_000


class Phrases:
    """Many lists of phrases, and which of them have one that occurs in a text; built once, asked often.

    `stops`: words that `*` does not cross. `noise`: phrases that say nothing, taken out in this order.
    Raises ValueError for a group that nobody has named and for a phrase that begins with no word.
    """

    def __init__(
        self,
        lists: Sequence[Iterable[str]],
        groups: Mapping[str, Sequence[str]],
        stops: Sequence[str] = (),
        noise: Sequence[str] = (),
    ) -> None:
        self._groups = {name: tuple(_spelt(entries)) for name, entries in groups.items()}
        no_stop = f"(?!(?:{'|'.join(map(re.escape, _spelt(stops)))}) )" if stops else ""
        self._marks = {
            "*": f"(?:{no_stop}[^ .]+ ){{0,7}}?",
            "^": r"(?:^|(?<=\. ))",
            "$": r"(?=\. |$)",
            "+": r"(?=[^ .])",
            "!": no_stop,
        }
        starts: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for number, phrases in enumerate(lists):
            for phrase in _spelt(phrases):
                self._check(phrase)
                for start in self._first_words(phrase):
                    starts[start].append((number, phrase))
        self._starts = dict(starts)
        self._stems = sorted({len(start) - 1 for start in starts if start.endswith("~")})
        self._noise = [re.compile(f"(?:(?<= )|^){self._pattern(phrase)}") for phrase in _spelt(noise)]
        # a provider says the same of thousands
        self.found_in = lru_cache(_REMEMBERED_TEXTS)(self._found_in)
        self.without_noise = lru_cache(_REMEMBERED_TEXTS)(self._without_noise)
        self._beginning_with = lru_cache(_REMEMBERED_WORDS)(self._look_up)
        self._compiled = cache(lambda phrase: re.compile(self._pattern(phrase)))  # few of many are ever needed

    def _found_in(self, words: str) -> frozenset[int]:
        """The numbers of the lists with a phrase that occurs in these words (`ReplyText.words`)."""
        text, numbers, at = f"{words} ", set[int](), 0
        for word in words.split(" "):
            for number, phrase in self._beginning_with(word):
                if number not in numbers and self._compiled(phrase).match(text, at):
                    numbers.add(number)
            at += len(word) + 1
        return frozenset(numbers)

    def _without_noise(self, words: str) -> str:
        words += " "
        for phrase in self._noise:
            words = phrase.sub("", words)
        return words.strip(" .")

    def _look_up(self, word: str) -> tuple[tuple[int, str], ...]:
        stems = (f"{word[:length]}~" for length in self._stems if length <= len(word))
        return tuple(each for start in (word, *stems) for each in self._starts.get(start, ()))

    def _pattern(self, phrase: str) -> str:
        """Over words that each end in a blank."""
        return "".join(map(self._element, phrase.split()))

    def _element(self, word: str) -> str:
        if group := _GROUP.fullmatch(word):
            return f"(?:{'|'.join(sorted(map(self._pattern, self._group(group[1])), key=len, reverse=True))})"
        if word in self._marks:
            return self._marks[word]
        return re.escape(word[:-1]) + "[^ ]* " if word.endswith("~") else re.escape(word) + " "

    def _check(self, phrase: str) -> None:
        for name in _GROUP.findall(phrase):
            self._group(name)

    def _first_words(self, phrase: str) -> Iterator[str]:
        first = phrase.removeprefix("^ ").split()[0]
        if group := _GROUP.fullmatch(first):
            yield from {entry.split()[0] for entry in self._group(group[1])}
        elif first in self._marks:
            raise ValueError(f"the phrase {phrase!r} begins with {first}: begin it with a word")
        else:
            yield first

    def _group(self, name: str) -> tuple[str, ...]:
        if name not in self._groups:
            raise ValueError(f"no group of words is named {name}; there are {', '.join(sorted(self._groups))}")
        return self._groups[name]


def _spelt(phrases: Iterable[str]) -> list[str]:
    """Each as it is folded, and with ae for ä."""
    return list(dict.fromkeys(fold(way) for each in phrases for way in (each, each.lower().translate(_UMLAUTS))))
