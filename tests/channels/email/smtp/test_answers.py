from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.channels.email.smtp.answers import (
    LONGEST_LINE,
    MOST_LINES,
    Answer,
    Lost,
    Outcome,
    Replies,
    Reply,
    answer_of,
)


def _read(replies: Replies) -> list[Reply]:
    cut: list[Reply] = []
    while (reply := replies.next()) is not None:
        cut.append(reply)
    return cut


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"250 ok\r\n", [(250, b"ok")]),
        (b"250\r\n", [(250, b"")]),
        (b"250 \r\n", [(250, b"")]),
        (b"250 ok\n354 go\n", [(250, b"ok"), (354, b"go")]),
        (b"250-one\r\n250-\r\n250 three\r\n221 bye\r\n", [(250, b"one\n\nthree"), (221, b"bye")]),
        (b"250-one\r\n250\r\n", [(250, b"one\n")]),
        (b"550 5.1.1 Stra\xc3\x9fe\r\n", [(550, "5.1.1 Straße".encode())]),
        (b"550 \xff\xfe\r\n", [(550, b"\xff\xfe")]),
        (b"250 " + b"x" * (LONGEST_LINE - 6) + b"\r\n", [(250, b"x" * (LONGEST_LINE - 6))]),
        (b"250-x\r\n" * (MOST_LINES - 1) + b"250 x\r\n", [(250, b"\n".join([b"x"] * MOST_LINES))]),
        (b"250 ok\r\n25", [(250, b"ok")]),
        (b"250-ok\r\n", []),
        (b"", []),
    ],
)
def test_what_arrives_is_cut_into_replies_wherever_it_is_split(data: bytes, expected: list[tuple[int, bytes]]) -> None:
    for size in (1, 2, 3, 7, 10_000_000):
        replies, got = Replies(), []
        for at in range(0, len(data), size):
            replies.feed(data[at : at + size])
            got += _read(replies)
        assert got == expected
        assert replies.left == (data[-1:] not in (b"", b"\n") or data.endswith(b"-ok\r\n"))


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n",
        b"\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"150 ok\r\n",
        b"650 ok\r\n",
        b"-50 ok\r\n",
        b"250_ok\r\n",
        b" 250 ok\r\n",
        b"\xd9\xa2\xd9\xa5\xd9\xa0 ok\r\n",  # digits, but not ours
        b"250 o\0k\r\n",
        b"250 o\rk\r\n",
        b"250-one\r\n550 two\r\n",
        b"250-one\r\n250_two\r\n",
        b"250-x\r\n" * (MOST_LINES + 1),
        b"250 " + b"x" * LONGEST_LINE + b"\r\n",
        b"x" * (LONGEST_LINE + 1),
    ],
)
def test_what_is_no_smtp_is_refused_without_quoting_it(data: bytes) -> None:
    replies = Replies()
    replies.feed(data)
    with pytest.raises(Lost, match=r"^answered w") as refused:
        _read(replies)
    assert "ok" not in str(refused.value)


_TEXT = st.binary(max_size=30).map(lambda text: text.translate(None, b"\0\r\n").strip())
_REPLY = st.tuples(st.integers(200, 599), st.lists(_TEXT, min_size=1, max_size=4))


@given(st.lists(_REPLY, max_size=5), st.sampled_from([b"\r\n", b"\n"]), st.data())
def test_no_split_changes_what_is_read(replies: list[tuple[int, list[bytes]]], end: bytes, data: st.DataObject) -> None:
    line = b"".join(
        b"%d%s%s%s" % (code, b" " if number == len(texts) else b"-", text, end)
        for code, texts in replies
        for number, text in enumerate(texts, 1)
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(line)), max_size=8)))
    reader, got = Replies(), []
    for start, stop in zip([0, *cuts], [*cuts, len(line)], strict=True):
        reader.feed(line[start:stop])
        got += _read(reader)
    assert got == [(code, b"\n".join(texts)) for code, texts in replies]
    assert not reader.left


@pytest.mark.parametrize(
    ("reply", "answer", "short"),
    [
        (Reply(250, b"2.0.0 ok"), Answer(Outcome.ACCEPTED, 250, "2.0.0", "2.0.0 ok"), "250 2.0.0"),
        (Reply(250, b"ok"), Answer(Outcome.ACCEPTED, 250, "", "ok"), "250"),
        (Reply(450, b"4.2.1 wait"), Answer(Outcome.LATER, 450, "4.2.1", "4.2.1 wait"), "450 4.2.1"),
        (Reply(421, b""), Answer(Outcome.LATER, 421), "421"),
        (Reply(550, b"5.1.1"), Answer(Outcome.REFUSED, 550, "5.1.1", "5.1.1"), "550 5.1.1"),
        (Reply(550, b"5.1.1\nno \xff"), Answer(Outcome.REFUSED, 550, "5.1.1", "5.1.1\nno \ufffd"), "550 5.1.1"),
        (Reply(554, b"see 5.1.1"), Answer(Outcome.REFUSED, 554, "", "see 5.1.1"), "554"),
        (Reply(554, b"5.1.1234 x"), Answer(Outcome.REFUSED, 554, "", "5.1.1234 x"), "554"),
    ],
)
def test_what_a_reply_says_about_a_mail(reply: Reply, answer: Answer, short: str) -> None:
    assert answer_of(reply) == answer
    assert answer.short == short


def test_a_3xx_says_nothing_about_a_mail() -> None:
    with pytest.raises(Lost, match="354"):
        answer_of(Reply(354, b"person@kunde.example"))
