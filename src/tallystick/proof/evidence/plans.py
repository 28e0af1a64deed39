"""Release plans: what both sides agreed on, whose money, and on whose word each release happened.

Rules kept here (DOMAIN section 3, "Plan", "Tranche", "Dispute"; DESIGN section 9, 1 and 4):
1. A version of a plan was proposed by the payer and confirmed by the payee, who signed the hash of its very terms.
2. A release certificate rests on a version that was confirmed before it. The conditions it says were met satisfy the
   rule of its tranche there, and each was met by whom it says: a person by its own signed acceptance, documents and
   statements by whoever brought them, a day by the clock. Silence has no signature: the block's own event tells it.
3. Its sums add up: certified = recovered + retained + disputed + released + fees, and the version's bound holds.
4. The plan's money adds up: deposited = held + released + refunded + fees + reversed; the steps shown brought in what
   was deposited and took back what was reversed.
5. A dispute was opened, offered on and ruled by whom it names.
"""

from collections.abc import Iterator
from hashlib import sha256

from tallystick.proof.evidence.bundle import Json
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.rows import Place, Row
from tallystick.proof.evidence.story import Act, Claim, Story, Told, pick
from tallystick.wire import canonical

PERSONS = ("payer", "platform", "verifiers")
MAX_TREE = 8


def plan(row: Row, story: Story) -> Iterator[Claim]:
    """Proposed by the payer; what it was confirmed with are its versions. It ends as its state says."""
    payer = (row.text("payer"),)
    said = pick(row, "product", "currency")
    proposed = row.needed_place("proposed")
    yield Act("plan.proposed", proposed, ("plan.propose",), payer, said)
    amendment = row.row("amendment")
    if amendment is not None:
        said = {"plan": row.id, **pick(amendment, "tranches")}
        yield Act("plan.amended", amendment.needed_place("proposed"), ("plan.amend",), payer, said)
    kinds = tuple(f"plan.{end}" for end in ("completed", "closed", "cancelled", "declined", "expired", "withdrawn"))
    ends = (*kinds, "plan.long_stop", "plan.parties_are_one", "plan.unfunded_cancelled", "tranche.ended")
    yield Told("plan.ended", row.place("ended"), (*ends, "tranche.released", "tranche.refunded"), row.id)
    for number in range(1, row.number("version") + 1):
        if story.row(f"plan_version/{row.id}/{number}") is None:
            story.miss(row.where, "plan.version", f"version {number} of it is not in the bundle")
    for number, step in enumerate(row.rows("tranches"), 1):
        for certificate_id in step.texts("certificates"):
            if story.row(f"certificate/{certificate_id}") is None:
                what = f"certificate {certificate_id} of tranche {number} is not in the bundle"
                story.miss(row.where, "plan.certificate", what)


def plan_version(row: Row, story: Story) -> Iterator[Claim]:
    """Confirmed by the payee, who signed the hash of these terms; the payer's proposal says the same terms."""
    terms = row.row("terms") or row
    plan_id, tranches, at = row.text("plan"), row.get("tranches"), row.needed_place("confirmed")
    total = sum(one.units("units") for one in row.rows("tranches"))
    digest = sha256(canonical.encode(tranches)).hexdigest()
    said = {"plan": plan_id, **pick(terms, "currency"), "total": str(total), "terms": digest}
    payee, payer = (terms.text("payee"),), (terms.text("payer"),)
    yield Act("plan.confirmed", at, ("plan.confirm", "plan.confirm_amendment"), payee, said)
    offered = Act("plan.proposed", at, ("plan.propose", "plan.amend"), payer, {"tranches": tranches})
    before = (step for step in story.accepted() if step.place <= at)
    if not any(offered.holds_in(story, step) for step in before):
        story.miss(row.where, "plan.proposed", "the payer's proposal of these terms is not in the bundle")
    if row.number("version") == 1:
        said = {"plan": plan_id, "terms": digest, "result": "send"}
        story.miss_unless_asked(Act("plan.checked", None, ("plan.check",), (terms.text("platform"),), said), row.where)


def check_plan(row: Row, story: Story) -> None:
    """Its money adds up, and came in and was taken back by the steps that are shown. Raises NotProven."""
    for kind, name in (("plan.funded", "deposited"), ("plan.unfunded", "reversed")):
        told, stands = sum(one.units("units") for one in story.told(kind, row.id)), row.units(name)
        if told > stands:
            raise NotProven("plan.sums", f"{told} were {name} and {stands} are counted", row.where)
        if told < stands:
            what = f"the steps by which {stands - told} of its {stands} minor units were {name} are not in the bundle"
            story.miss(row.where, f"plan.{name}", what)
    held = row.units("fee_reserve") + sum(one.units("held") for one in row.rows("tranches"))
    gone = sum(row.units(name) for name in ("released", "refunded", "fees", "reversed"))
    if row.units("deposited") != held + gone:
        raise NotProven("plan.sums", f"{row.units('deposited')} came in, {held} are held and {gone} went", row.where)
    for number, one in enumerate(row.rows("tranches"), 1):
        gone = sum(one.units(name) for name in ("held", "released", "refunded", "fees", "reversed", "rolled"))
        if one.units("deposited") != gone or one.units("disputed") + one.units("retained") > one.units("held"):
            raise NotProven("plan.sums", f"the money of tranche {number} does not add up", row.where)


def evidence(row: Row, _story: Story) -> Iterator[Claim]:
    """Opened by the first submission or answer."""
    said = pick(row, "plan", "tranche")
    asks = ("evidence.submit", "evidence.accept", "evidence.send_back", "wage.lines")
    yield Act("evidence.opened", row.needed_place("opened"), asks, says=said)


def certificate(row: Row, _story: Story) -> Iterator[Claim]:
    """The release that it certifies was told where it says; who triggered it, signed it."""
    at, said = row.needed_place("at"), pick(row, "plan", "tranche")
    facts = {"certificate": row.id, "released": str(row.units("released"))}
    yield Told("certificate.released", at, ("tranche.released",), row.text("plan"), facts)
    if row.has("triggered_by") and row.text("cause") in ("", "release"):
        yield Act("certificate.triggered", at, ("tranche.release",), (row.text("triggered_by"),), said)


def check_certificate(row: Row, story: Story) -> None:
    """What it was released under was agreed before, holds, and adds up. Raises NotProven."""
    parts = sum(row.units(name) for name in ("recovered", "retained", "disputed", "released", "fees"))
    if row.units("certified") != parts or row.units("redeemed") > row.units("released"):
        what = f"{row.units('certified')} are certified and {parts} accounted for"
        raise NotProven("certificate.sums", what, row.where)
    key = f"plan_version/{row.text('plan')}/{row.number('version')}"
    version, at = story.row(key), row.needed_place("at")
    if version is None:
        story.miss(row.where, "certificate.version", f"{key}, under which it was released, is not in the bundle")
        return
    if version.needed_place("confirmed") > at:
        raise NotProven("certificate.version", "its version of the plan was confirmed later", row.where)
    tranches, number = version.rows("tranches"), row.number("tranche")
    if not 1 <= number <= len(tranches):
        raise NotProven("certificate.version", "its version of the plan has no such tranche", row.where)
    terms = tranches[number - 1]
    if row.units("certified") > terms.units("units"):
        raise NotProven("certificate.sums", "more is certified than was agreed", row.where)
    if row.text("cause") in ("", "release"):
        parties = version.row("terms") or version
        condition = terms.row("condition") or terms
        if not _holds(condition, row.rows("conditions"), parties, terms, story, MAX_TREE):
            raise NotProven("certificate.conditions", "what was met does not satisfy what was agreed", row.where)
        for met in row.rows("conditions"):
            _check_met(row, met, at, story)


def _holds(condition: Row, met: tuple[Row, ...], parties: Row, terms: Row, story: Story, deep: int) -> bool:
    """Whether what was met satisfies a rule's tree."""
    when = condition.text("when")
    if when in ("all", "any", "at_least") and deep:
        inner = [_holds(one, met, parties, terms, story, deep - 1) for one in condition.rows("of")]
        needed = {"all": len(inner), "any": 1}.get(when, condition.number("needed"))
        return bool(inner) and sum(inner) >= needed
    return any(_is_met_by(condition, one, parties, terms, story) for one in met if one.text("method") == when)


def _is_met_by(leaf: Row, met: Row, parties: Row, terms: Row, story: Story) -> bool:
    """Whether this is how a leaf of the tree was met: by those whom it names."""
    by, when = met.texts("by"), leaf.text("when")
    if when in ("payer", "platform"):
        return len(by) == 1 and story.is_same(by[0], parties.get(when))
    if when == "verifiers":
        named = {story.present(name) for name in leaf.texts("verifiers")}
        return len({story.present(name) for name in by} & named) >= leaf.number("needed") >= 1
    if when == "data_source":
        return story.names(by, leaf.text("source")) and met.texts("kinds") == (leaf.text("kind"),)
    if when == "documents":
        kinds = leaf.texts("kinds") or tuple(one.text("kind") for one in terms.rows("materials"))
        return bool(kinds) and set(kinds) <= set(met.texts("kinds"))
    return when == "date"


def _check_met(row: Row, met: Row, at: Place, story: Story) -> None:
    """Whoever met a condition did so by a signed step, at the latest in the release itself."""
    method, about = met.text("method"), pick(row, "plan", "tranche")
    silent = met.get("by_silence") is True
    for name in met.texts("by"):
        if method in PERSONS:
            proof = Act("", at, ("evidence.accept",), (name,), about)
        elif method in ("documents", "data_source"):
            proof = Act("", at, ("evidence.submit",), (name,), about)
        else:
            raise NotProven("certificate.conditions", f"{method} is met by nobody", row.where)
        steps = (step for step in story.accepted() if step.place <= at)
        if not any(proof.holds_in(story, step) for step in steps):
            what = f"{method}: the step by which {name} met it is not in the bundle"
            story.miss(row.where, "certificate.conditions", f"{what} (silence counts)" if silent else what)


def dispute(row: Row, _story: Story) -> Iterator[Claim]:
    """Opened by a side or by what was agreed; offers by the sides; ruled by the named arbitrator alone."""
    said: dict[str, Json] = {**pick(row, "plan", "tranche"), "reason": row.get("reason")}
    if row.has("opened_by"):
        asks = ("dispute.open", "tranche.object")
        yield Act("dispute.opened", row.needed_place("opened"), asks, (row.text("opened_by"),), said)
    else:
        yield Told("dispute.opened", row.needed_place("opened"), ("dispute.opened",), row.id)
    offer = row.row("offer")
    if offer is not None:
        said = {"dispute": row.id, **pick(offer, "to_payee")}
        yield Act("dispute.offered", offer.needed_place("at"), ("dispute.offer",), (offer.text("by"),), said)
    state, ended = row.text("state"), row.place("ended")
    said = {"dispute": row.id, **pick(row, "to_payee")}
    if state == "ruled":
        by = (row.text("arbitrator"),)
        yield Act("dispute.ruled", ended, ("dispute.rule",), by, {**said, **pick(row, "ruling")})
    elif state == "settled":
        yield Act("dispute.settled", ended, ("dispute.accept_offer",), says=said)
    else:
        yield Told("dispute.ended", ended, ("dispute.divided", "dispute.closed"), row.id)


def refund(row: Row, _story: Story) -> Iterator[Claim]:
    """Asked for by the payer, consented to by the payee."""
    payer, said = (row.text("payer"),), pick(row, "plan", "tranche", "currency", "units")
    yield Act("refund.requested", row.needed_place("requested"), ("refund.request",), payer, said, row.id)
    state, ended, about = row.text("state"), row.place("ended"), {"refund": row.id}
    if state == "booked":
        yield Act("refund.consented", ended, ("refund.consent",), (row.text("payee"),), {**about, **pick(row, "units")})
    elif state == "declined":
        yield Act("refund.declined", ended, ("refund.decline",), (row.text("payee"),), about)
    else:
        yield Told("refund.ended", ended, ("refund.lapsed",), row.id)
