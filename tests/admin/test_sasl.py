"""What is said at a login, against the examples of the standards and brokers that cheat."""

from __future__ import annotations

import pytest

from rota.admin.sasl import LoginFailedError, conversation

NONCE = "rOprNGfwEbeRWgbNEkqO"
FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_plain() -> None:
    assert list(conversation("PLAIN", "tim", "tänstaaf", "")) == ["\0tim\0tänstaaf".encode()]


def test_the_example_of_rfc_7677() -> None:
    talk = conversation("SCRAM-SHA-256", "user", "pencil", NONCE)
    assert next(talk) == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert talk.send(FIRST) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    with pytest.raises(StopIteration):
        talk.send(FINAL)


def test_names_with_the_signs_of_the_notation() -> None:
    assert next(conversation("SCRAM-SHA-512", "a=b,c", "x", "n")) == b"n,,n=a=3Db=2Cc,r=n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (FIRST.replace(b"i=4096", b"i=1"), "out of bounds"),
        (FIRST.replace(b"i=4096", b"i=999999999"), "out of bounds"),
        (FIRST.replace(b"r=rO", b"r=xx"), "no SCRAM message"),
        (b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "no SCRAM message"),
        (FIRST.replace(b"s=W22Z", b"s=W22"), "no SCRAM message"),
        (b"\xff\xfe", "no SCRAM message"),
        (b"", "no SCRAM message"),
        (b"e=other-error", "other-error"),
    ],
)
def test_a_first_answer_that_cannot_be(answer: bytes, words: str) -> None:
    talk = conversation("SCRAM-SHA-256", "user", "pencil", NONCE)
    next(talk)
    with pytest.raises(LoginFailedError, match=words):
        talk.send(answer)


@pytest.mark.parametrize(
    ("answer", "words"), [(FINAL[:-2], "does not know the password"), (b"e=invalid-proof", "invalid-proof")]
)
def test_a_broker_that_does_not_know_the_password(answer: bytes, words: str) -> None:
    talk = conversation("SCRAM-SHA-256", "user", "pencil", NONCE)
    next(talk)
    talk.send(FIRST)
    with pytest.raises(LoginFailedError, match=words):
        talk.send(answer)
