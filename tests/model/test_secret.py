"""A secret does not get out."""

from __future__ import annotations

import copy
import gc
import hmac
import json
import pickle

import msgspec
import pytest

from exporter.model.secret import MASK, Secret, live

TEXT = "hunter2-hunter2"


@pytest.fixture
def secret() -> Secret:
    return Secret(TEXT)


def test_no_way_of_printing_shows_it(secret: Secret) -> None:
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>40}", f"{secret:>40}", "%s %r" % (secret, secret)]  # noqa: UP031
    shown += [repr([secret]), repr({"key": secret}), str(Exception(secret)), format(secret, "x")]
    assert TEXT not in " ".join(shown)
    assert all(MASK in text for text in shown)


def test_it_has_no_attributes_to_look_through(secret: Secret) -> None:
    with pytest.raises(TypeError):
        vars(secret)


def test_a_pickle_holds_the_mask(secret: Secret) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(secret, protocol)
        assert TEXT.encode() not in data
        assert pickle.loads(data).reveal() == MASK


def test_copies_are_the_secret_itself(secret: Secret) -> None:
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"key": [secret]})["key"][0] is secret


def test_it_cannot_be_encoded_as_json(secret: Secret) -> None:
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    with pytest.raises(TypeError):
        msgspec.to_builtins({"key": secret})
    assert json.dumps(secret, default=str) == f'"{MASK}"'


def test_comparing_takes_the_same_time_wherever_the_difference_is(
    secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []

    def compare(one: bytes, two: bytes) -> bool:
        compared.append((one, two))
        return one == two

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert secret == Secret(TEXT)
    assert secret != Secret("other")
    assert len(compared) == 2
    assert secret != TEXT
    assert len({secret, Secret(TEXT), Secret("other")}) == 2


def test_text_that_cannot_be_encoded_can_be_compared() -> None:
    assert Secret("\udc80") == Secret("\udc80")
    assert Secret("\udc80") != Secret("\udc81")


def test_the_log_knows_of_every_secret_while_it_lives() -> None:
    before = len(live)
    first, second = Secret("the same"), Secret("the same")
    assert len(live) == before + 2
    del first
    gc.collect()
    assert second in live.values()
    assert len(live) == before + 1
