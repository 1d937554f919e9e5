"""Waiting: what to do about the Pods that kube-scheduler has called unschedulable.

Pure; ``wake`` asks for actions and carries them out. Three things can be done to a Pod:

Say    write its verdict into its condition and an Event: when the text is another one than before
Wake   touch it, so that kube-scheduler looks again: when the verdict turns from no to yes
Clear  take the condition away: when the Pod fits but still waits, for something that is not ours

kube-scheduler asks again by itself on events of Pods and Nodes, but not on those of our kinds. A Pod that
stays pending after a Wake is touched again after 2, 4, 8 ... 60 seconds.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from podnet_api import core, names
from podnet_api.meta import condition

from podnet_scheduler_extender.explain import Explanation

_PAUSES = (2.0, 60.0)
SAY_PAUSE = 5.0
"""Seconds between two texts for one Pod: objects that come one after another change it several times."""
STEP = 100
"""So many Pods are looked at in one go, which takes about a millisecond: kube-scheduler waits that long at most."""


class Do(enum.Enum):
    """Kinds of actions, the most urgent first."""

    WAKE = "wake"
    SAY = "say"
    CLEAR = "clear"


_URGENCY = {do: number for number, do in enumerate(Do)}


@dataclass(frozen=True)
class Action:
    """One write to one Pod."""

    do: Do
    pod: core.Pod
    reason: str = ""
    message: str = ""


@dataclass
class _Story:
    """What is known of one waiting Pod. ``offered`` are the nodes of the last refused filter call, as flags."""

    refused: bool = False
    offered: bytes | None = None
    said: tuple[str, str] | None = None
    quiet_until: float = 0.0
    wakes: int = 0
    asleep_until: float = 0.0


class Waiting:
    """The stories of all waiting Pods, by uid."""

    def __init__(self) -> None:
        self._stories: dict[str, _Story] = {}

    def __len__(self) -> int:
        return len(self._stories)

    def refused(self, uid: str, offered: bytes | None) -> None:
        """The filter refused every node that kube-scheduler offered for this Pod."""
        story = self._stories.setdefault(uid, _Story())
        story.refused = True
        story.offered = offered

    def forget(self, uid: str) -> None:
        """The filter found a node, or the Pod is gone."""
        self._stories.pop(uid, None)

    def offered(self, uid: str) -> bytes | None:
        """The nodes that kube-scheduler last offered and the filter refused; None: not known."""
        story = self._stories.get(uid)
        return story.offered if story else None

    def failed(self, action: Action) -> None:
        """The write did not happen: do it again at the next sweep."""
        story = self._stories.get(action.pod.metadata.uid)
        if story is None:
            return
        story.quiet_until = 0.0
        if action.do is Do.WAKE:
            story.refused = True
            story.asleep_until = 0.0
        else:
            story.said = None

    def sweep(
        self, pods: Iterable[core.Pod], explain: Callable[[core.Pod], Explanation], now: float, most: int
    ) -> Iterator[list[Action]]:
        """At most ``most`` actions, the most urgent first. ``pods`` are all that wait, oldest first.

        They come last, after nothing for each step on the way. Steps are short, and between them anything may
        happen: a Pod whose story ends meanwhile is left out.
        """
        found, seen = [], set()
        for number, pod in enumerate(pods, 1):
            seen.add(pod.metadata.uid)
            story = self._stories.setdefault(pod.metadata.uid, _Story())
            action = _next(pod, story, explain(pod), now)
            if action is not None:
                found.append((action, story))
            if number % STEP == 0:
                yield []
        for uid in [uid for uid, story in self._stories.items() if uid not in seen and not story.refused]:
            del self._stories[uid]
        urgent = sorted(found, key=lambda pair: _URGENCY[pair[0].do])
        current = ((action, story) for action, story in urgent if self._stories.get(action.pod.metadata.uid) is story)
        yield [_taken(action, story, now) for action, story in itertools.islice(current, most)]

    def next_due(self, now: float) -> float | None:
        """When something is due again although nothing changes."""
        times = (t for story in self._stories.values() for t in (story.quiet_until, story.asleep_until))
        return min((t for t in times if t > now), default=None)


def _next(pod: core.Pod, story: _Story, verdict: Explanation, now: float) -> Action | None:
    """The one thing to do about a Pod now, if any. Changes nothing but what was learnt of it."""
    said = story.said if story.said is not None else _written(pod)
    if not verdict.fits:
        story.refused = True
        story.wakes = 0
        story.asleep_until = 0.0
        if (verdict.reason, verdict.message) == said or now < story.quiet_until:
            return None
        return Action(Do.SAY, pod, verdict.reason, verdict.message)
    if now < story.asleep_until:
        return None
    story.refused = story.refused or _ours(said)
    if story.wakes > 1 and _ours(said):
        return Action(Do.CLEAR, pod)
    return Action(Do.WAKE, pod) if story.refused or story.wakes else None


def _taken(action: Action, story: _Story, now: float) -> Action:
    """Remember that ``action`` is being carried out."""
    if action.do is Do.SAY:
        story.said = (action.reason, action.message)
        story.quiet_until = now + SAY_PAUSE
    elif action.do is Do.CLEAR:
        story.said = ("", "")
    else:
        story.refused = False
        story.wakes += 1
        story.asleep_until = now + min(_PAUSES[1], _PAUSES[0] ** min(story.wakes, 10))
    return action


def _written(pod: core.Pod) -> tuple[str, str]:
    """What the Pod's condition says; after a restart this is how we know what we said."""
    found = condition(pod.status.conditions, names.NETWORKS_READY)
    return (found.reason, found.message) if found is not None and found.status == "False" else ("", "")


def _ours(said: tuple[str, str]) -> bool:
    return said != ("", "")
