"""Lifecycles as DOMAIN section 3 draws them: which state may follow which, what is append-only, what has a deadline."""

from typing import Any

from tests.support.audit.seen import Row, Seen

FIRST: dict[str, set[str]] = {
    "receivable": {"requested"},
    "transfer": {"requested", "done"},
    "financing": {"requested", "published"},
    "review": {"requested"},
    "account": {"under_review"},
    "deposit": {"announced", "booked", "in_suspense"},
    "recovery": {"waiting"},
    "product": {"applied", "under_review"},
    "plan": {"proposed"},
    "evidence": {"open", "met"},
    "dispute": {"open"},
    "refund": {"requested"},
    "wage_sheet": {"uploading", "complete", "released"},
}
"""States in which a record may begin. A transfer that follows from a financing or a judgment begins as done."""

NEXT: dict[str, dict[str, set[str]]] = {
    "receivable": {
        "requested": {"under_review", "declined", "withdrawn", "expired"},
        "under_review": {"valid", "refused", "withdrawn", "expired"},
        "valid": {"redeeming", "redeemed", "overdue", "void", "closed", "written_off"},
        "redeeming": {"valid", "redeemed", "overdue", "closed"},
        "overdue": {"redeemed", "in_recourse", "closed", "written_off"},
        "in_recourse": {"overdue", "closed", "written_off", "redeemed"},
    },
    "transfer": {
        "requested": {"under_review", "declined", "withdrawn", "expired"},
        "under_review": {"done", "refused", "withdrawn", "expired"},
    },
    "financing": {
        "requested": {"published", "withdrawn", "expired"},
        "published": {"revealing", "quoted", "no_quotes", "withdrawn", "expired"},
        "revealing": {"quoted", "no_quotes", "withdrawn", "expired"},
        "quoted": {"awarded", "withdrawn", "expired", "no_quotes"},
        "awarded": {"client_signed", "quoted", "expired", "withdrawn", "no_quotes"},
        "client_signed": {"under_review", "quoted", "expired", "withdrawn", "no_quotes"},
        "under_review": {"approved", "refused", "expired"},
        "approved": {"registered", "settled", "paid", "settlement_failed"},
        "registered": {"settled", "paid", "settlement_failed"},
        "paid": {"settled", "disputed", "settlement_failed"},
        "disputed": {"settled", "settlement_failed"},
        "settlement_failed": {"awarded"},
    },
    "review": {"requested": {"approved", "refused", "expired", "withdrawn"}},
    "account": {"under_review": {"open", "refused", "expired"}, "open": {"closed"}},
    "deposit": {
        "announced": {"booked", "in_suspense", "lapsed"},
        "in_suspense": {"booked", "returned", "reversed"},
        "booked": {"reversed"},
    },
    "recovery": {"waiting": {"done", "contested", "void"}},
    "product": {
        "applied": {"differs", "under_review", "declined", "withdrawn", "expired"},
        "differs": {"under_review", "declined", "withdrawn", "expired"},
        "under_review": {"authorisation_requested", "refused", "withdrawn", "expired"},
        "authorisation_requested": {"authorised", "declined", "withdrawn", "expired"},
        "authorised": {"contracts", "expired"},
        "contracts": {"open", "expired"},
        "open": {"suspended", "closed"},
        "suspended": {"open", "closed"},
    },
    "plan": {
        "proposed": {"sent", "sent_back", "withdrawn", "expired"},
        "sent_back": {"proposed", "withdrawn", "expired"},
        "sent": {"active", "declined", "withdrawn", "expired"},
        "active": {"completed", "cancelled"},
    },
    "evidence": {"open": {"met", "sent_back", "closed"}},
    "dispute": {
        "open": {"arbitration", "settled", "by_default", "closed"},
        "arbitration": {"settled", "ruled", "by_default", "closed"},
    },
    "refund": {"requested": {"booked", "declined", "lapsed"}},
    "wage_sheet": {
        "uploading": {"complete", "released", "void"},
        "complete": {"released", "uploading", "void"},
        "released": {"done"},
        "done": {"released"},
    },
}

MEMBER_NEXT = {
    "applied": {"admitted", "refused", "expired"},
    "admitted": {"suspended", "left", "succeeded"},
    "suspended": {"admitted", "succeeded", "left"},
}

WAITING: dict[str, set[str]] = {
    "receivable": {"requested"},
    "transfer": {"requested", "under_review"},
    "financing": {
        "requested",
        "published",
        "revealing",
        "quoted",
        "awarded",
        "client_signed",
        "approved",
        "registered",
        "paid",
        "disputed",
    },
    "review": {"requested"},
    "deposit": {"announced"},
    "recovery": {"waiting"},
    "product": {"applied", "differs", "authorisation_requested", "authorised", "contracts", "open"},
    "plan": {"proposed", "sent_back", "sent", "active"},
    "dispute": {"open"},
    "refund": {"requested"},
}
"""States that must end by a deadline: a due row stands for each record in one of them."""

REVIEWED = {
    "receivable": {"under_review"},
    "financing": {"under_review"},
    "account": {"under_review"},
    "product": {"under_review"},
}
"""States that end with a review, which has the deadline."""

FOR_EVER = {"member", "key", "receivable", "transfer", "financing", "review", "account", "deposit", "document"}
FOR_EVER |= {"product", "plan", "plan_version", "evidence", "certificate", "dispute", "refund", "wage_sheet"}
"""Tables from which nothing is ever deleted."""

SEVERAL_WHEN_DUE = {"dispute", "evidence", "plan", "wage_sheet"}
"""Tables whose windows may end one after another in a block's due work."""

IMMUTABLE = {"plan_version", "certificate"}

HISTORIES = {"member": ("states", "roles", "permissions", "policies"), "policies": (), "law": ("adoptions",)}


class Lifecycles:
    """Checks each change of a record against the table above."""

    def observe(self, seen: Seen) -> None:
        for key, after in seen.after.items():
            table = key.split("/")[0]
            before = seen.before.get(key)
            if after is None:
                seen.require(table not in FOR_EVER, "records are never deleted", key)
                continue
            seen.require(table not in IMMUTABLE or before in (None, after), "what is anchored never changes", key)
            if table in NEXT:
                self._state(seen, table, before, after)
            elif table == "member":
                self._member(seen, before, after)
            elif table == "key":
                self._key(seen, before, after)

    def _state(self, seen: Seen, table: str, before: Row | None, after: Row) -> None:
        now = after["state"]
        if before is None:
            first = FIRST[table] if len(seen.operations) == 1 else _reached(table, FIRST[table])
            seen.require(now in first, "a record begins at its beginning", (after["id"], now))
            return
        was = before["state"]
        if was == now:
            return
        allowed = NEXT[table].get(was, set())
        several = len(seen.operations) > 1 or (seen.envelope is None and table in SEVERAL_WHEN_DUE)
        found = _reached(table, allowed) if several else allowed
        seen.require(now in found, "9.6 a lifecycle's edge", (after["id"], was, now))

    def _member(self, seen: Seen, before: Row | None, after: Row) -> None:
        if before is None:
            seen.require(after["states"][-1]["state"] == "applied", "a member begins as an applicant", after["id"])
            return
        was, now = before["states"], after["states"]
        seen.require(now[: len(was)] == was, "histories are append-only", (after["id"], "states"))
        for earlier, later in zip(now[len(was) - 1 :], now[len(was) :], strict=False):
            allowed = MEMBER_NEXT.get(earlier["state"], set())
            seen.require(later["state"] in allowed, "9.6 a member's lifecycle", (after["id"], earlier, later))
        for name in ("roles", "permissions"):
            old, new = before.get(name, []), after.get(name, [])
            seen.require(len(new) >= len(old), "histories are append-only", (after["id"], name))
            for one, other in zip(old, new, strict=False):
                same = {**other, "until": None} == {**one, "until": None}
                seen.require(
                    same and (one.get("until") in (None, other.get("until"))), "histories are append-only", name
                )
        old, new = before.get("policies", []), after.get("policies", [])
        seen.require(new[: len(old)] == old, "histories are append-only", (after["id"], "policies"))

    def _key(self, seen: Seen, before: Row | None, after: Row) -> None:
        if before is None:
            return
        same = {**before, "until": None} == {**after, "until": None}
        seen.require(same and before.get("until") is None, "a key changes only by being revoked", after["id"])

    def check_all(self, seen: Seen, rows: dict[str, Row], index: list[str]) -> None:
        """Whatever waits has a due row, nothing due was left undone, and no lock outlives what it was taken for."""
        due: dict[str, list[int]] = {}
        for line in index:
            if line.startswith("due/"):
                _, _, at, key = line.split("/", 3)
                due.setdefault(key, []).append(int(at))
        for key, row in rows.items():
            table = key.split("/")[0]
            state = row.get("state")
            if state in WAITING.get(table, ()):
                seen.require(bool(due.get(key)), "every waiting record has a due row", (key, state))
            if state in REVIEWED.get(table, ()):
                review = rows.get(f"review/{row['review']}") or {}
                seen.require(
                    review.get("state") == "requested", "a record under review has an open review", (key, state)
                )
        if seen.envelope is None:
            late = {key: min(at) for key, at in due.items() if min(at) <= seen.now}
            seen.require(not late, "what is due is done", late)
        self._locks(seen, rows)

    def _locks(self, seen: Seen, rows: dict[str, Row]) -> None:
        held: dict[str, list[tuple[int, int]]] = {}
        for key, row in rows.items():
            for receivable, parcel in parcels_of(key, row):
                last = int(parcel["interval"][0]) - 1
                for lock in parcel.get("locks", ()):
                    inside = last < int(lock["interval"][0]) and int(lock["interval"][1]) <= int(parcel["interval"][1])
                    seen.require(inside, "9.3 locks lie apart, inside their parcel", (receivable, parcel))
                    last = int(lock["interval"][1])
                    held.setdefault(lock["by"], []).append((int(lock["interval"][0]), int(lock["interval"][1])))
                    kind = "transfer" if lock["by"].startswith("trf") else "financing"
                    pending = rows[f"{kind}/{lock['by']}"]
                    live = pending["state"] in WAITING[kind] | REVIEWED.get(kind, set())
                    seen.require(live, "everything pending unlocks", (receivable, lock, pending["state"]))
        for key, row in rows.items():
            if key.startswith("transfer/") and row["state"] in WAITING["transfer"]:
                span = [(int(row["interval"][0]), int(row["interval"][1]))]
                seen.require(
                    held.get(row["id"]) == span,
                    "9.3 a pending transfer holds its units",
                    (row["id"], held.get(row["id"])),
                )


def _reached(table: str, states: set[str]) -> set[str]:
    """`states` and what follows them within one step: one transaction may request and withdraw together."""
    return states | {after for state in states for after in NEXT[table].get(state, set())}


def parcels_of(key: str, row: Row) -> list[tuple[str, Any]]:
    """(receivable, parcel) of a receivable's or a parcel's row."""
    if key.startswith("receivable/"):
        return [(row["id"], parcel) for parcel in row.get("parcels", ())]
    if key.startswith("parcel/"):
        return [(row["receivable"], row["parcel"])]
    return []
