"""What the standing of a member and the end of a debt bring about: suspension, leaving, succession, insolvency, limits.

Also that money which waits is accounted for: held shares equal the hold accounts, and nothing is set aside for a debt
that has ended.
"""

from collections import defaultdict

from tests.support.audit.holdings import Run, interval
from tests.support.audit.seen import Row, Seen, facts

OWED = ("valid", "redeeming", "overdue", "in_recourse")
AGREED = ("ordinary", "set_off")


def state_of(rows: dict[str, Row], member: str) -> str:
    return str(rows[f"member/{member}"]["states"][-1]["state"])


def check_step(seen: Seen, rows: dict[str, Row], before: dict[str, Row], runs: dict[str, list[Run]]) -> None:
    """What must hold whenever one of these things happens."""
    if seen.envelope is not None and seen.status == "ok":
        seen.require(bool(seen.events), "an accepted step tells of itself", seen.names)
    for event in seen.events:
        fact = facts(event)
        match event["kind"]:
            case "transfer.done":
                _passes(seen, event["record"], fact, rows, before)
            case "financing.settled":
                flagged = before[f"receivable/{fact['receivable']}"].get("flagged")
                seen.require(not flagged, "nothing is settled on a flagged invoice", event)
            case "receivable.valid":
                _within_limit(seen, event["record"], rows)
            case "member.left":
                _holds_nothing(seen, event["record"], rows, runs)
            case "account.posted" if seen.envelope is None and fact["source"].startswith("available/"):
                owner = rows[f"account/{fact['source'].split('/')[1]}"]["owner"]
                insolvent = "insolvent_since" in rows[f"member/{owner}"]
                seen.require(not insolvent, "nothing is paid by itself for the insolvent", event)
            case _:
                pass


def _passes(seen: Seen, record: str, fact: Row, rows: dict[str, Row], before: dict[str, Row]) -> None:
    receivable = before.get(f"receivable/{fact['receivable']}") or rows[f"receivable/{fact['receivable']}"]
    if fact["receiver"] == receivable["debtor"]:
        allowed = fact["reason"] in ("set_off", "recourse")
        seen.require(allowed, "to the debtor a parcel passes only as set-off", (record, fact))
    if fact["reason"] in AGREED:
        for party in (fact["sender"], fact["receiver"]):
            seen.require(
                state_of(rows, party) == "admitted", "parties of a transfer are not suspended", (record, party)
            )
        seen.require(not receivable.get("flagged"), "nothing passes on a flagged invoice", record)
        seen.require(receivable["state"] == "valid", "only a valid receivable passes", (record, receivable["state"]))
    seen.require(fact["sender"] != fact["receiver"], "nobody transfers to itself", record)


def _within_limit(seen: Seen, receivable: str, rows: dict[str, Row]) -> None:
    row = rows[f"receivable/{receivable}"]
    credit = rows[f"credit/{row['debtor']}.{row['currency']}"]
    limit = credit.get("limit")
    if limit is not None and seen.today <= limit["until_on"] and len(seen.operations) == 1:
        drawn = int(credit["outstanding"])
        seen.require(drawn <= int(limit["units"]), "a debtor's limit", (receivable, drawn, limit))


def _holds_nothing(seen: Seen, member: str, rows: dict[str, Row], runs: dict[str, list[Run]]) -> None:
    held = [receivable for receivable, run in runs.items() if any(holder == member for _, _, holder in run)]
    seen.require(not held, "who leaves holds nothing", (member, held))
    owes = [name for name, run in runs.items() if run and rows[f"receivable/{name}"]["debtor"] == member]
    seen.require(not owes, "who leaves owes nothing", (member, owes))
    money = [
        key
        for key, row in rows.items()
        if key.startswith("balance/") and row.get("owner") == member and int(row.get("units", "0"))
    ]
    seen.require(not money, "who leaves has no money here", (member, money))


def check_all(seen: Seen, rows: dict[str, Row], runs: dict[str, list[Run]]) -> None:
    """What must hold between any two steps."""
    walking = {row["member"] for key, row in rows.items() if key.startswith("walk/")}
    quiet = {
        key.split("/")[1]: row["states"][-1]["state"]
        for key, row in rows.items()
        if key.startswith("member/") and key.split("/")[1] not in walking
    }
    suspended = {name for name, state in quiet.items() if state == "suspended"}
    gone = {name for name, state in quiet.items() if state in ("succeeded", "left")}
    succeeded = {name for name in gone if quiet[name] == "succeeded"}
    held_shares: dict[str, int] = defaultdict(int)
    for key, row in rows.items():
        table = key.split("/")[0]
        state = row.get("state")
        if table == "receivable":
            if state == "requested":
                seen.require(row["requester"] not in suspended, "a suspended member's request ends", key)
            named = {row["debtor"], *(holder for _, _, holder in runs.get(row["id"], ()))}
            if state in OWED:
                seen.require(not named & gone, "who is gone holds and owes nothing", (key, named & gone))
        elif table == "transfer" and state == "requested":
            seen.require(row["sender"] not in suspended, "a suspended member's offer ends", key)
        elif table == "review" and state == "requested":
            seen.require(not set(row["parties"]) & suspended, "reviews of the suspended are refused", key)
        elif table == "recourse" and state == "claimed":
            debt = rows[f"receivable/{row['receivable']}"]["state"]
            seen.require(debt in OWED, "a claim ends with its debt", (key, debt))
        elif table == "redemption":
            _apart(seen, row, rows, held_shares)
        elif table == "balance":
            _waiting(seen, row, rows, succeeded if key.startswith("balance/claim/") else gone)
    for name, units in held_shares.items():
        committed = int((rows.get(f"balance/{name}") or {}).get("units", "0"))
        seen.require(committed == units, "held shares are what the hold account holds", (name, committed, units))


def _apart(seen: Seen, row: Row, rows: dict[str, Row], held: dict[str, int]) -> None:
    debt = rows[f"receivable/{row['id']}"]
    if debt["state"] not in OWED:
        waits = [name for name in ("bank", "disputed", "unpaid", "earmarked_at") if row.get(name)]
        seen.require(not waits, "nothing of an ended debt is pending", (row["id"], debt["state"], waits))
    for share in row.get("held", ()):
        first, last = interval(share["interval"])
        held[f"hold/{share['custodian']}/{row['currency']}/{row['id']}"] += last - first + 1


def _waiting(seen: Seen, row: Row, rows: dict[str, Row], gone: set[str]) -> None:
    name = row["id"]
    if name.startswith("earmark/") and int(row.get("units", "0")):
        debt = rows[f"receivable/{name.split('/')[3]}"]["state"]
        seen.require(debt in OWED, "what was set aside for an ended debt went back", (name, debt))
    if name.startswith("hold/") and len(name.split("/")) == 4 and int(row.get("units", "0")):
        shares = (rows.get(f"redemption/{name.split('/')[3]}") or {}).get("held", ())
        seen.require(bool(shares), "money is held for a share", name)
    if int(row.get("units", "0")):
        seen.require(row.get("owner") not in gone, "who is gone has no money here", name)
