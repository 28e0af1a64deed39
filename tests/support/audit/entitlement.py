"""Who may do what (DESIGN 9.7): keys, signing policies, roles, permissions, suspension, recusal, recomputed from rows.

Judged from the rows as they stood before the transaction, and from the JSON that was signed.
"""

import base64
import json
from typing import Any

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from tests.support.audit.seen import Row, Seen

DOMAIN_TAG = b"tallystick-tx-v1\n"

NEW_BUSINESS = frozenset(
    {
        "receivable.request",
        "receivable.confirm",
        "transfer.request",
        "transfer.accept",
        "financing.request",
        "financing.publish",
        "financing.evaluate",
        "financing.quote",
        "financing.award",
        "financing.sign_contract",
        "account.apply",
        "product.apply",
        "product.counter_contract",
        "product.correct",
        "product.authorise",
        "product.draft_contracts",
        "product.sign_contract",
        "plan.propose",
        "plan.confirm",
        "plan.amend",
    }
)
"""New requests, offers, quotes, awards and signatures: what a suspended member may not do (DOMAIN, Suspension)."""

ROLE_OF = {
    "member.set_permissions": "auditor",
    "member.suspend": "auditor",
    "member.reinstate": "auditor",
    "member.succeed": "auditor",
    "member.insolvent": "auditor",
    "parcel.freeze": "auditor",
    "parcel.unfreeze": "auditor",
    "parcel.cancel_by_judgment": "auditor",
    "parcel.assign_by_judgment": "auditor",
    "invoice.unflag": "auditor",
    "receivable.void": "auditor",
    "financing.consent": "auditor",
    "deposit.book": "custodian",
    "deposit.return": "custodian",
    "deposit.reverse": "custodian",
    "deposit.assign": "custodian",
    "account.freeze": "custodian",
    "account.unfreeze": "custodian",
    "account.deduct_by_order": "custodian",
    "wage.line_result": "custodian",
    "financing.evaluate": "funder",
    "financing.quote": "funder",
    "financing.reveal": "funder",
    "policy.set": "governor",
    "currency.add": "governor",
    "protocol.adopt": "governor",
    "law.adopt": "governor",
    "calendar.adopt": "governor",
    "reference_rate.adopt": "governor",
    "debtor.flag": "governor",
    "clock.advance": "governor",
    "chain.close": "governor",
    "key.recover": "governor",
    "member.endorse": "governor",
}
"""A role of which some signer must be a holder."""

NEEDS_ADMIN = frozenset({"key.add", "key.revoke", "signing_policy.set", "member.update", "member.leave"})
NEEDS_FOUR_EYES = frozenset({"wage.lines", "wage.line_correct", "wage.line_withdraw"})
AMOUNTS = {
    "receivable.request": "face",
    "receivable.confirm": "face",
    "financing.settle": "net",
    "financing.confirm_receipt": "net",
    "product.authorise": "cap",
    "product.sign_contract": "cap",
    "plan.propose": "total",
    "plan.confirm": "total",
    "plan.amend": "total",
    "plan.confirm_amendment": "total",
    "dispute.offer": "to_payee",
    "dispute.accept_offer": "to_payee",
}
PERMISSIONS = {
    "receivable.request": ("issue", "face"),
    "transfer.request": ("transfer", "units"),
    "transfer.accept": ("receive", "units"),
    "financing.request": ("finance", "units"),
}
OFFICES: dict[str, dict[str, tuple[str, ...]]] = {
    "product": {
        "product.counter_contract": ("payer",),
        "product.withdraw": ("payee",),
        "product.authorise": ("payer",),
        "product.decline": ("payer",),
        "product.draft_contracts": ("platform",),
        "product.suspend": ("platform",),
        "product.resume": ("platform",),
        "product.close": ("payer", "payee"),
        "plan.propose": ("payer",),
    },
    "plan": {
        "plan.check": ("platform",),
        "plan.confirm": ("payee",),
        "plan.decline": ("payee",),
        "plan.withdraw": ("payer",),
        "plan.fund": ("payer",),
        "plan.amend": ("payer",),
        "plan.confirm_amendment": ("payee",),
        "plan.cancel_unfunded": ("payee",),
        "plan.cancel": ("payer", "payee"),
        "refund.request": ("payer",),
        "wage.lines": ("payer",),
    },
    "refund": {"refund.consent": ("payee",), "refund.decline": ("payee",)},
    "dispute": {"dispute.rule": ("arbitrator",)},
}
"""Who of those that a record names must sign an operation on it. Where either side may, the model of plans looks."""

SHEETS = {
    "wage.line_result": ("custodian",),
    "wage.line_correct": ("payer",),
    "wage.line_withdraw": ("payer", "payee"),
}
"""The same of a released wage sheet, which may outlive its plan: whoever stands in their place signs."""

REVIEWERS = {"account": "custodian", "product": "platform"}
"""Who decides reviews of a subject, where it is not an auditor."""


class Entitlement:
    """Judges accepted transactions. `rows` are those before the transaction."""

    def observe(self, seen: Seen, rows: dict[str, Row]) -> None:
        if seen.envelope is None:
            return
        self._signatures(seen, rows)
        for operation in seen.operations:
            self._standing(seen, operation, rows)
            self._role(seen, operation, rows)
            self._permission(seen, operation, rows)
            self._party(seen, operation, rows)

    def _signatures(self, seen: Seen, rows: dict[str, Row]) -> None:
        """Every signature verifies, every key is a live key of a signer, and each signer's own policy is met."""
        assert seen.envelope is not None
        body = seen.envelope["body"]
        message = DOMAIN_TAG + canonical(body)
        introduced = {key for operation in seen.operations for key in introduced_by(operation)}
        counts: dict[str, dict[str, int]] = {name: {"maker": 0, "checker": 0, "admin": 0} for name in seen.signers}
        for item in seen.envelope["signatures"]:
            try:
                VerifyKey(base64.b64decode(item["key"])).verify(message, base64.b64decode(item["signature"]))
            except BadSignatureError:
                seen.broken("9.7 every signature verifies", item["key"])
            if item["key"] in introduced:
                continue
            key = rows.get(f"key/{item['key']}") or {}
            seen.require(key.get("member") in counts, "9.7 a signing key is a signer's", (item["key"], key))
            seen.require("until" not in key, "9.7 a revoked key signs nothing", item["key"])
            counts[key["member"]][key["role"]] += 1
        for name, signed in counts.items():
            needed = required(rows[f"member/{name}"], seen.operations)
            met = all(signed[role] >= needed[role] for role in signed) and sum(signed.values()) >= needed["in_all"]
            seen.require(met, "9.7 an organisation's own signing policy", (name, signed, needed))

    def _standing(self, seen: Seen, operation: Row, rows: dict[str, Row]) -> None:
        for name in seen.signers:
            state = rows[f"member/{name}"]["states"][-1]["state"]
            seen.require(state in ("admitted", "suspended"), "9.7 only members act", (name, state))
            if operation["op"] in NEW_BUSINESS:
                seen.require(state == "admitted", "9.7 a suspended member starts nothing", (name, operation["op"]))

    def _role(self, seen: Seen, operation: Row, rows: dict[str, Row]) -> None:
        role = ROLE_OF.get(operation["op"])
        if role is not None:
            held = any(has_role(rows[f"member/{name}"], role) for name in seen.signers)
            seen.require(held, f"9.7 a {role} must sign", operation["op"])

    def _permission(self, seen: Seen, operation: Row, rows: dict[str, Row]) -> None:
        asked = PERMISSIONS.get(operation["op"])
        if asked is None:
            return
        may, amount = asked
        member = rows[f"member/{seen.signers[0]}"]
        papers = member.get("papers_until_on", "9999-12-31")
        seen.require(papers >= seen.today, "9.7 papers are in force", (member["id"], papers))
        for grant in member.get("permissions", ()):
            held = grant["permission"]
            if "until" not in grant and held["may"] == may and held["currency"] == operation["currency"]:
                covers = int(held["ceiling"]) >= int(operation[amount])
                lasts = held.get("until_on", "9999-12-31") >= seen.today
                seen.require(covers and lasts, "9.7 within the permission", (member["id"], held, operation[amount]))
                return
        seen.broken("9.7 the permission is held", (member["id"], may, operation["currency"]))

    def _party(self, seen: Seen, operation: Row, rows: dict[str, Row]) -> None:
        """Those whom the record names, and not others, take the step."""
        needed = parties(operation, rows)
        if needed is not None:
            seen.require(needed <= set(seen.signers), "9.7 the parties sign", (operation["op"], needed, seen.signers))
        if operation["op"] == "review.decide":
            self._reviewer(seen, rows[f"review/{operation['review']}"], rows)

    def _reviewer(self, seen: Seen, review: Row, rows: dict[str, Row]) -> None:
        actor = seen.signers[0]
        member = rows[f"member/{actor}"]
        roles = {REVIEWERS.get(review["subject_kind"], "auditor"), *(panel["role"] for panel in review["panels"][1:])}
        seen.require(any(has_role(member, role) for role in roles), "9.7 a reviewer decides", (actor, roles))
        sponsors = {rows[f"member/{party}"].get("sponsor") for party in review["parties"]}
        concerned = actor in review["parties"] or actor in sponsors
        seen.require(not concerned, "9.7 a party or its sponsor recuses", (actor, review["id"]))
        if review["subject_kind"] == "product":
            platform = rows[f"product/{review['subject']}"]["platform"]
            seen.require(actor == platform, "9.7 a product's own platform decides", (actor, platform))
        voted = any(decision["reviewer"] == actor for decision in review.get("decisions", ()))
        seen.require(not voted, "9.7 one vote a reviewer", (actor, review["id"]))
        seen.require(review["state"] == "requested", "9.6 a decided review stays decided", review["id"])


def parties(operation: Row, rows: dict[str, Row]) -> set[str] | None:
    """The organisations that must sign an operation on an existing record, where a record names them."""
    name = operation["op"]
    if name == "receivable.request":
        return None
    if name.startswith("receivable.") and f"receivable/{operation.get('receivable')}" in rows:
        row = rows[f"receivable/{operation['receivable']}"]
        other = row["creditor"] if row["requester"] == row["debtor"] else row["debtor"]
        match name:
            case "receivable.confirm" | "receivable.decline":
                return {other}
            case "receivable.withdraw":
                return {row["requester"]}
            case "receivable.void":
                return {row["debtor"], row["creditor"]}
            case "receivable.redeem" | "redemption.earmark" | "receivable.set_off":
                return {row["debtor"]}
    if name.startswith("transfer.") and f"transfer/{operation.get('transfer')}" in rows:
        row = rows[f"transfer/{operation['transfer']}"]
        if name == "transfer.withdraw":
            return {row["sender"], row["receiver"]} if row["state"] == "under_review" else {row["sender"]}
        return {row["receiver"]}
    if name.startswith("financing.") and f"financing/{operation.get('financing')}" in rows:
        return financing_parties(name, rows[f"financing/{operation['financing']}"])
    if name == "deposit.announce" and "plan" in operation:
        return {rows[f"plan/{operation['plan']}"]["payer"]}
    if name in ("account.close", "deposit.announce"):
        return {rows[f"account/{operation['account']}"]["owner"]}
    if name in SHEETS:
        row = rows[f"wage_sheet/{operation['plan']}/{operation['tranche']}"]
        return {present(rows, row[office]) for office in SHEETS[name]}
    for table, offices in OFFICES.items():
        key = f"{table}/{operation.get(table)}"
        if key in rows and name in offices:
            return {rows[key][office] for office in offices[name]}
    if name == "funds.transfer":
        return {rows[f"account/{operation['source']}"]["owner"]}
    return None


def financing_parties(name: str, row: Row) -> set[str] | None:
    """As `parties`, for a financing."""
    funder = row.get("award", {}).get("funder")
    match name:
        case "financing.award" | "financing.withdraw" | "financing.confirm_receipt" | "financing.dispute_receipt":
            return {row["client"]}
        case "financing.settle" | "financing.register":
            return {funder}
        case "financing.sign_contract":
            return {funder} if row["state"] == "client_signed" else {row["client"]}
        case "financing.rule":
            return {row["contract"]["arbitrator"]}
        case _:
            return None


def present(rows: dict[str, Row], member: str) -> str:
    """Who stands in a member's place after successions."""
    while rows[f"member/{member}"].get("successor"):
        member = rows[f"member/{member}"]["successor"]
    return member


def has_role(member: Row, role: str) -> bool:
    return any(grant["role"] == role and "until" not in grant for grant in member.get("roles", ()))


def introduced_by(operation: Row) -> list[str]:
    """The keys that an operation registers, which sign for themselves."""
    if operation["op"] == "member.apply":
        return [offer["key"] for offer in operation["keys"]]
    return [operation["key"]] if operation["op"] in ("key.add", "key.recover") else []


def required(member: Row, operations: list[Row]) -> dict[str, int]:
    """How many keys of each role, and in all, the member's own policy asks for these operations together."""
    rules = member["policies"][-1]["rules"] if member.get("policies") else []
    needed = {"maker": 0, "checker": 0, "admin": 0, "in_all": 1}
    for operation in operations:
        rule: Row = next((one for one in rules if covers(one, operation)), {})
        admin, both = int(operation["op"] in NEEDS_ADMIN), int(operation["op"] in NEEDS_FOUR_EYES)
        needed["maker"] = max(needed["maker"], rule.get("makers", 0), both)
        needed["checker"] = max(needed["checker"], rule.get("checkers", 0), both)
        needed["admin"] = max(needed["admin"], rule.get("admins", 0), admin)
    return needed


def covers(rule: Row, operation: Row) -> bool:
    """Whether a rule's pattern and band take in an operation."""
    pattern, name = rule["pattern"], operation["op"]
    if pattern not in ("*", name) and not (pattern.endswith(".*") and name.startswith(pattern[:-1])):
        return False
    if "up_to" not in rule:
        return True
    amount: Any = operation.get(AMOUNTS.get(name, "units"))
    return amount is not None and operation.get("currency") == rule["currency"] and int(amount) <= int(rule["up_to"])


def canonical(value: object) -> bytes:
    """The canonical bytes of a body, by the standard library alone."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
