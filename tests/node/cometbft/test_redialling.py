"""A cut-off member's CometBFT is started again, at growing pauses, and one with enough peers never is."""

from tallystick.node.cometbft.redialling import Peering, Redialling, needed_peers


class Scene:
    """A clock, what CometBFT would answer, and the seconds at which it was started again."""

    def __init__(self) -> None:
        self.now = 0.0
        self.peering: Peering | None = Peering(3, 2)
        self.restarted_at: list[float] = []
        self.redialling = Redialling(lambda: self.peering, lambda: self.restarted_at.append(self.now), lambda: self.now)

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1.0
            self.redialling.look()


def test_a_member_with_enough_peers_is_left_alone() -> None:
    scene = Scene()
    scene.pass_time(3_600)
    scene.peering = Peering(2, 2)
    scene.pass_time(3_600)
    assert scene.restarted_at == []


def test_a_cut_off_member_dials_anew_at_growing_pauses() -> None:
    scene = Scene()
    scene.peering = Peering(1, 2)
    scene.pass_time(3_000)
    pauses = [after - before for before, after in zip(scene.restarted_at, scene.restarted_at[1:], strict=False)]
    assert scene.restarted_at[0] == 70.0
    assert pauses == sorted(pauses)
    assert max(pauses) <= 620
    assert len(scene.restarted_at) > 4


def test_a_short_cut_and_silence_are_no_reason() -> None:
    scene = Scene()
    for _ in range(20):
        scene.peering = Peering(0, 2)
        scene.pass_time(50)
        scene.peering = Peering(2, 2)
        scene.pass_time(20)
    scene.peering = None
    scene.pass_time(1_000)
    assert scene.restarted_at == []


def test_how_many_peers_are_needed() -> None:
    assert [needed_peers(size, 99) for size in (1, 4, 5, 6, 7, 10)] == [0, 2, 3, 4, 4, 6]
    assert needed_peers(4, 1) == 1
    assert needed_peers(4, 0) == 0
