"""The same key again and again: at the same time, with another body, by another client, after a crash or a purge."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest

from tests.histories.checker import breaches
from tests.histories.clinic import wall
from tests.histories.figures import SEED, share
from tests.histories.history import PERSONALITIES, directed
from tests.histories.wire import Weather

REPLAYS = share(10_000) // len(PERSONALITIES)
HOUR = 3600.0
APART = ("idempotent-replayed", "x-request-id", "x-emr-calls", "date")


def at(day, half_hour, more=1):
    return {"start": f"{wall(day, half_hour)}:00+01:00", "end": f"{wall(day, half_hour + more)}:00+01:00"}


def writes(refs):
    """One of each kind, in nobody's way."""
    one, two, three, four, five, video, _ = refs
    booking = {"patient_id": "P3", "resource_id": "D1", "healthcare_service_id": "K1"}
    return [
        ("PATCH", f"appointments/{one}", {**at(1, 0), "comment": "moved"}),
        ("PATCH", f"appointments/{two}", {"comment": "noted"}),
        ("PATCH", f"appointments/{three}", {"status": "cancelled", "comment": "cancelled"}),
        ("PATCH", "appointments", {"ids": [four, five], **at(1, 2, 3), "resource_id": "D2"}),
        ("PATCH", f"appointments/{video}", {"status": "cancelled"}),
        ("POST", "appointments", {**booking, **at(1, 5), "comment": "booked"}),
        ("POST", "appointments", {**booking, **at(1, 6), "comment": "booked !lost"}),
        ("PATCH", "appointments", {"ids": [one, two], "comment": "all or nothing !refuse@2"}),
    ]


class Replaying:
    """Keys of one world, and all that was asked under them."""

    def __init__(self, world, refs, seed):
        self.world, self.dice, self.asked = world, Random(f"{seed}/replays"), writes(refs)
        self.numbers = iter(range(1000, 10**6))
        self.first, self.again, self.others, self.strangers = {}, [], [], []

    async def asks(self, n, client="one", body=None):
        method, path, own = self.asked[n]
        told = await self.world.asks(
            next(self.numbers), client, method, path, own if body is None else body, idempotency_key=f"key {n}"
        )
        return n, told

    async def begins(self):
        """Each request by three at the same time."""
        for n in range(len(self.asked)):
            twins = await asyncio.gather(*(self.asks(n) for _ in range(3)))
            in_progress = [t for _, t in twins if t.status == 409 and t.json()["code"] == "REQUEST_IN_PROGRESS"]
            assert len(in_progress) + sum(t.replayed for _, t in twins) == 2
            self.first[n] = next(t for _, t in twins if t not in in_progress and not t.replayed)
        kept = self.world.remembered()
        assert {told.tag for told in self.first.values()} == kept

    async def repeats(self, count):
        while len(self.again) + len(self.others) < count:
            await asyncio.gather(*(self._once() for _ in range(self.dice.randint(1, 8))))

    async def _once(self):
        n, fate = self.dice.randrange(len(self.asked)), self.dice.random()
        await asyncio.sleep(self.dice.uniform(0.0, 0.2))
        if fate < 0.1:
            self.others.append(await self.asks(n, body={**self.asked[n][2], "comment": "something else"}))
        elif fate < 0.104:
            self.world.life.died.set()
        elif fate < 0.12:
            self.strangers.append(await self.asks(n, client="two"))
        else:
            self.again.append(await self.asks(n))


def told_again(replaying):
    """Replays that are another answer than the first one, where there is one; or that wrote."""
    for n, told in replaying.again:
        first = replaying.first[n]
        heads = [{k: v for k, v in t.got.items() if k not in APART} for t in (first, told)]
        same = (told.status, told.content, told.replayed) == (first.status, first.content, True) and heads[0] == heads[
            1
        ]
        # Without an answer the gateway has died meanwhile.
        if told.status is not None and not same:
            yield f"{told.tag} is told {told.status} {told.content!r}, and {first.tag} {first.status} {first.content!r}"


def trial(personality, count):
    seen = []

    async def play(world, refs):
        replaying = Replaying(world, refs, SEED)
        seen.append(replaying)
        await replaying.begins()
        await replaying.repeats(count)

    history = directed(play, personality, seed=SEED)
    (replaying,) = seen
    assert breaches(history) == []
    assert list(told_again(replaying)) == []
    wrote = {entry.hand for entry in history.journal}
    repeated = [told for _, told in replaying.again + replaying.others]
    assert not [told.tag for told in repeated if told.tag in wrote]
    assert {told.status for _, told in replaying.others} <= {422, None}
    assert not [told.tag for _, told in replaying.strangers if told.got.get("x-command-id") in commands(replaying)]
    return Counter(
        {
            "replays": len(repeated),
            "answered": sum(told.replayed for told in repeated),
            "refused, another body": sum(told.status == 422 for told in repeated),
            "restarts": history.deaths,
            "other clients' requests": len(replaying.strangers),
            "second writes": 0,
        }
    )


def commands(replaying):
    """Those of the first client."""
    return {told.got["x-command-id"] for told in replaying.first.values()}


@pytest.mark.faults
@pytest.mark.parametrize("personality", PERSONALITIES)
def test_a_replay_never_writes_and_always_tells_the_same(personality, record_property):
    record_property("replays", dict(trial(personality, REPLAYS)))


@pytest.mark.parametrize("personality", ["in-place", "no-move", "async"])
def test_some_replays(personality):
    trial(personality, 40)


def test_a_key_is_forgotten_after_its_time_and_not_before():
    told = []

    async def play(world, refs):
        replaying = Replaying(world, refs, SEED)
        _, first = await replaying.asks(1)
        await asyncio.sleep(23.9 * HOUR)
        _, later = await replaying.asks(1)
        await asyncio.sleep(0.2 * HOUR)
        _, after = await replaying.asks(1, body={"comment": "another one"})
        told.extend((first, later, after))

    history = directed(play, "in-place")
    assert [e.hand for e in history.journal if e.hand is not None] == [1000, 1002]
    first, later, after = told
    assert (later.replayed, later.content) == (True, first.content)
    assert (after.status, after.replayed, after.json()["comment"]) == (200, False, "another one")


@pytest.mark.faults
def test_a_repetition_in_the_middle_of_trouble_writes_nothing():
    """Every call may be struck; the same request comes again and again until it is answered."""

    async def play(world, refs):
        replaying = Replaying(world, refs, SEED)
        for n in range(len(replaying.asked)):
            for _ in range(6):
                await replaying.asks(n)

    for n, personality in enumerate(PERSONALITIES):
        assert breaches(directed(play, personality, seed=n, weather=Weather(0.2), deaths=(60, 90))) == []
