"""A refusal that says little is looked into, and stays what it was where that brings nothing."""

from __future__ import annotations

import pytest

from gateway.plugin import MaybeDone, NotSent, Refused, Throttled, beforehand, explained, if_known


async def ending(how: str | Exception) -> str:
    if isinstance(how, Exception):
        raise how
    return how


async def never(no: Refused) -> Refused:
    raise AssertionError("nobody had to look")


@pytest.mark.parametrize("reason", ["invalid", "rule", "not_found", "stale"])
async def test_a_refusal_by_status_alone_is_what_a_look_shows(reason):
    async def look(no: Refused) -> Refused:
        assert no.reason == reason
        return Refused("taken")

    with pytest.raises(Refused) as no:
        await explained(ending(Refused(reason)), look)
    assert no.value.reason == "taken"
    assert isinstance(no.value.__cause__, Refused)


async def test_what_was_done_needs_no_look():
    assert await explained(ending("done"), never) == "done"


@pytest.mark.parametrize(
    "error", [Refused("taken"), Refused("state"), Refused("credentials"), MaybeDone(), Throttled(), NotSent()]
)
async def test_what_says_enough_or_is_no_refusal_needs_none_either(error):
    with pytest.raises(type(error)) as raised:
        await explained(ending(error), never)
    assert raised.value is error


@pytest.mark.parametrize("failure", [MaybeDone(), NotSent(), Throttled(), Refused("credentials")])
async def test_a_look_that_fails_leaves_it_as_it_was(failure):
    async def look(_: Refused) -> Refused:
        raise failure

    refused = Refused("invalid", emr_code="E7")
    with pytest.raises(Refused) as no:
        await explained(ending(refused), look)
    assert no.value is refused
    assert no.value.__cause__ is None


async def test_what_had_to_be_known_before_a_write_and_is_not_was_not_sent():
    assert await beforehand(ending("known")) == "known"
    with pytest.raises(NotSent):
        await beforehand(ending(MaybeDone("nobody knows")))
    for told in (Refused("rule"), Throttled()):
        with pytest.raises(type(told)):
            await beforehand(ending(told))


@pytest.mark.parametrize("failure", [MaybeDone(), NotSent(), Throttled(), Refused("credentials")])
async def test_a_look_after_a_write_only_adds_to_what_is_known(failure):
    assert await if_known(ending("known")) == "known"
    assert await if_known(ending(failure)) is None
