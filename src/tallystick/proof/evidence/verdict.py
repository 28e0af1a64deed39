"""The verdict: who attests what a bundle proves, who countersigned it, and what remains to be believed.

A verdict never says more than was proven: one operator's word is called that, a sandbox a sandbox, and what the bundle
doesn't show is counted.
"""

from collections.abc import Sized
from dataclasses import dataclass

from tallystick.proof.evidence.blocks import Attested, Era, Headers, Revision
from tallystick.proof.evidence.bundle import Contents
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.genesis import Genesis
from tallystick.proof.evidence.rows import Row
from tallystick.proof.evidence.standing import Signed
from tallystick.proof.evidence.story import Story, Unproven
from tallystick.proof.evidence.trust import Succession, Trusted, genesis_of


@dataclass(frozen=True, slots=True)
class Countersigned:
    """An organisation signed, in a step of the bundle, that it knew this block. `is_shown`: it is one of this chain.

    What it signed is the header's hash, and so all history up to it; where the bundle doesn't show the header, it
    stands on the ledger's rule alone, which refuses a step that names a block of another history.
    """

    member: str
    height: int
    is_shown: bool


@dataclass(frozen=True, slots=True)
class Successor:
    """The chain was closed at a height, and another goes on. `is_known`: its genesis was given and names the end."""

    chain_id: str
    height: int
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class Former:
    """Another chain had the heights up to this one. `is_known`: its genesis was given."""

    chain_id: str
    height: int
    is_known: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to think of a bundle that holds. `is_sandbox` None: the trusted header doesn't tell.

    `missing`, of what is `unproven`: steps of the record itself, or of what is part of its story.
    """

    about: str
    chain_id: str
    height: int
    attested: tuple[Attested, ...]
    countersigned: tuple[Countersigned, ...]
    is_sandbox: bool | None
    revisions: tuple[Revision, ...]
    former: Former | None
    successor: Successor | None
    unproven: tuple[Unproven, ...]
    missing: tuple[Unproven, ...]
    holds: Contents

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing of the story of the record itself."""
        return not self.missing

    @property
    def exit_code(self) -> int:
        """0: all of the record's own steps are shown and hold. 3: what is shown holds, and something is missing."""
        return 0 if self.is_whole else 3

    @property
    def attests(self) -> str:
        """Who attests, by the weakest commit: `1 of 1, the operator`, or `3 of 4 validators`."""
        return "; ".join(dict.fromkeys(_attests(one) for one in self.attested))

    @property
    def lines(self) -> tuple[str, ...]:
        """The verdict in words, the most important first."""
        said = [f"Attested by {self.attests}."]
        for one in self.countersigned:
            shown = "" if one.is_shown else " (a block that this file doesn't show)"
            said.append(f"Countersigned up to height {one.height} by {one.member}{shown}.")
        if self.is_sandbox:
            said.append("This is a sandbox chain: its clock may have been set forward; nothing on it is real business.")
        if self.is_sandbox is None:
            said.append("Whether it is a sandbox chain, and who its founders are, only its genesis says.")
        said.extend(
            f"Restored after height {one.fork_height}; since then the chain is {one.chain_id}."
            for one in self.revisions
        )
        if self.former is not None:
            said.append(_told_of(self.former, self.chain_id))
        if self.successor is not None:
            closed = f"The chain was closed at height {self.successor.height}"
            known = ", and its genesis names the last block of this one" if self.successor.is_known else ""
            said.append(f"{closed}; {self.successor.chain_id} goes on, and has the present state{known}.")
        said.append(self.extent)
        said.append(f"The state is that of height {self.height}; what came later is not in this file.")
        if self.unproven:
            whole = "the story itself is whole" if self.is_whole else f"{len(self.missing)} are of the story itself"
            said.append(f"{len(self.unproven)} things rest on the state alone, their steps are not shown: {whole}.")
        said.append(self.residual)
        return tuple(said)

    @property
    def extent(self) -> str:
        """How much the file tells: what its maker put in."""
        parts = (
            _counted(self.holds.records, "record"),
            _counted(self.holds.transactions, "step"),
            _counted(self.holds.due_work, "piece", "of work that blocks did by themselves"),
            _counted(self.holds.documents, "document"),
        )
        return (
            f"The file tells what its maker put in: {', '.join(parts)}. What its records tell of and it does not show "
            "is named; of steps that no record refers to, as refused ones, it need not tell."
        )

    @property
    def residual(self) -> str:
        """What remains to be believed."""
        alone = (
            "The operator alone orders the chain: it can't forge a member's step, but it could show others another "
            "history; whoever holds a later header, or countersigned one, would notice."
        )
        if all(one.validators == 1 for one in self.attested):
            return alone
        began = ""
        if self.former is not None and any(one.validators == 1 for one in self.attested):
            began = f"Up to height {self.former.height}: {alone[0].lower()}{alone[1:]} "
        return began + (
            "More than a third of a validator set's power, long after it was replaced, could sign another history for "
            "heights at which it was in force; whoever pins a later header as well excludes that."
        )


def _told_of(former: Former, chain_id: str) -> str:
    """What is known of the heights that another chain had."""
    said = f"Up to height {former.height} the chain was {former.chain_id}"
    if former.is_known:
        return f"{said}; {chain_id} goes on from its last block, as both genesis files say."
    return (
        f"{said}. Its genesis was not given: who its founders were, and what stood when it was closed, is the word of "
        f"those who accept the genesis of {chain_id}."
    )


def _counted(parts: Sized, name: str, *more: str) -> str:
    return " ".join((str(len(parts)), name if len(parts) == 1 else f"{name}s", *more))


def _attests(one: Attested) -> str:
    if one.validators == 1:
        return "1 of 1, the operator"
    return f"{one.signed} of {one.validators} validators"


def countersigners(signed: tuple[Signed, ...], headers: Headers) -> tuple[Countersigned, ...]:
    """For each organisation the highest block that it signed it knew. Raises NotProven where it is of another chain."""
    found: dict[str, Countersigned] = {}
    for one in signed:
        seen = Row(one.body, one.where).row("seen")
        if seen is None:
            continue
        height, block = seen.number("height"), seen.text("block")
        known = _hash_at(height, headers)
        if known is not None and known.hex() != block:
            raise NotProven("countersigning", f"it names a block {height} that is not this chain's", one.where)
        for member in one.organisations:
            before = found.get(member)
            is_shown = known is not None
            if before is None or (is_shown, height) > (before.is_shown, before.height):
                found[member] = Countersigned(member, height, is_shown)
    return tuple(found[member] for member in sorted(found))


def _hash_at(height: int, headers: Headers) -> bytes | None:
    """The hash of a block that is shown, or that the header after it names."""
    if height in headers.by_height:
        return headers.by_height[height].hash()
    following = headers.by_height.get(height + 1)
    return None if following is None else following.last_block_id.hash or None  # a chain's first header names none


def verdict_of(
    story: Story,
    trusted: Trusted,
    headers: Headers,
    countersigned: tuple[Countersigned, ...],
    eras: tuple[Era, ...],
) -> Verdict:
    """The verdict on a bundle whose every check has passed."""
    bundle = story.bundle
    own = _own(story, bundle.about)
    genesis = genesis_of(bundle, trusted)
    return Verdict(
        about=bundle.about,
        chain_id=headers.by_height[bundle.height + 1].chain_id,
        height=bundle.height,
        attested=headers.attested,
        countersigned=countersigned,
        is_sandbox=None if genesis is None else genesis.is_sandbox,
        revisions=tuple(revision for era in eras for revision in era.revisions),
        former=_former(genesis, trusted),
        successor=_successor(story, trusted),
        unproven=tuple(story.unproven),
        missing=tuple(one for one in story.unproven if one.where in own),
        holds=bundle.contents,
    )


def _former(genesis: Genesis | None, trusted: Trusted) -> Former | None:
    if genesis is None or genesis.predecessor is None:
        return None
    before = genesis.predecessor
    return Former(before.chain_id, before.height, isinstance(trusted, Succession))


def _successor(story: Story, trusted: Trusted) -> Successor | None:
    closed = story.row("closed/chain")
    if closed is None:
        return None
    return Successor(closed.text("successor"), closed.number("height"), isinstance(trusted, Succession))


PARTS = {
    "member": ("key", "recovery"),
    "receivable": ("transfer", "financing", "recourse"),
    "plan": ("plan_version", "deposit", "evidence", "certificate", "dispute", "refund", "wage_sheet"),
}
"""Kinds of record that are part of another's own story, and name it by its kind."""


def _own(story: Story, about: str) -> frozenset[str]:
    """The records of the story of `about` itself, with the reviews of them; not what they only name."""
    kind, _, own_id = about.partition("/")
    ids = {own_id}
    where = {f"record {about}"}
    for table in PARTS.get(kind, ()):
        for row in story.rows(table):
            if row.text(kind) == own_id:
                ids.add(row.id)
                where.add(row.where)
    where.update(row.where for row in story.rows("review") if row.text("subject") in ids)
    return frozenset(where)
