"""Who works on which machine: each house has its own home, with its own organisations' keys and nobody else's.

On an embedded ledger there is one house, the operator's. In a consortium there is one a node: a step that several
organisations sign goes from house to house, as a file would, and is handed in at the node of the one that acts. What
one node has, another has a moment later; whoever reads after somebody else's step waits for it.
"""

from collections.abc import Callable, Mapping, Sequence

from tallystick.node.composition import ensure_key
from tallystick.node.genesis_file import folder_of
from tallystick.node.key_store import LIGHT_COST
from tallystick.node.session import Session, decode_body
from tallystick.wire.envelope import Envelope, sign_body


class Houses:
    """The open sessions, and which organisation, by its legal name, is in which."""

    def __init__(self, sessions: Sequence[Session], place_of: Callable[[str], int] = lambda _: 0) -> None:
        """`place_of` says in which session the keys of a folder are, or are to be made."""
        self._sessions = list(sessions)
        self._place_of = place_of
        self._height = 0
        self._reached = dict.fromkeys(range(len(self._sessions)), 0)

    def __len__(self) -> int:
        return len(self._sessions)

    def of(self, organisation: str) -> Session:
        """The house of an organisation, as far as the story has come."""
        return self.at(self.place_of(organisation))

    def place_of(self, organisation: str) -> int:
        """Which house it is, counted from 0."""
        return self._place_of(folder_of(organisation))

    def at(self, place: int) -> Session:
        """A house by its number, as far as the story has come."""
        session = self._sessions[place]
        if self._reached[place] < self._height:
            session.engine.query("protocol/chain", min_height=self._height)
            session.forget()
            self._reached[place] = self._height
        return session

    def reached(self, height: int) -> None:
        """The story has come to this height somewhere."""
        self._height = max(self._height, height)

    def come_to_rest(self) -> None:
        """Reach what the first house has: work that fell due was done by nobody's step."""
        self.reached(self._sessions[0].engine.health().height)

    def new_key(self, organisation: str, name: str) -> str:
        """Make a key in the organisation's house; returns its public half."""
        session = self._sessions[self.place_of(organisation)]
        folder = folder_of(organisation)
        path = session.home.keys / folder / f"{name}.key"
        return ensure_key(path, folder, name, session.passphrases, LIGHT_COST).public

    def reread_keys(self) -> None:
        """Take in the keys that were made."""
        for session in self._sessions:
            session.reread_keys()

    def sign(self, body: bytes, organisations: Mapping[str, str]) -> Envelope:
        """`body`, signed in each house for its own organisations (ids by legal name) and by its own new keys."""
        operations = decode_body(body).operations
        introduced = {key for operation in operations for key in operation.introduced_keys()}
        envelope = Envelope(body, ())
        for place, session in enumerate(self._sessions):
            own = [member for name, member in organisations.items() if self.place_of(name) == place]
            stored = [key for key in session.keys if key.public in introduced] if introduced else []
            if not own and not stored:
                continue
            here = self.at(place)
            keys = [key for member in own for key in here.signatories.keys_for(member, operations)]
            keys += [here.passphrases.unlock(key) for key in stored]
            envelope = envelope.with_signatures(*(sign_body(body, key) for key in keys))
        return envelope
