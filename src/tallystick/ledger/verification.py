"""Signatures of the next block are checked in a process of their own while this one executes.

A thread would lose the gain to the interpreter lock (docs/performance.md). The process reads frames of raw transactions
and answers each frame with one verdict a transaction; a thread feeds it, so that the writer never waits on a full pipe.
Should the process die, checking goes on in the writer itself and `problem` says so.
"""

import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import IO

import msgspec

from tallystick.kernel.core.refusal import Fact, Refusal
from tallystick.kernel.transaction import read
from tallystick.wire.status import BY_NUMBER

_LENGTH = struct.Struct(">I")
_encode = msgspec.msgpack.Encoder().encode
_raws = msgspec.msgpack.Decoder(list[bytes])
_verdicts = msgspec.msgpack.Decoder(list[tuple[int, dict[str, str | int]] | None])

Verdicts = list[Refusal | None]


def check(raws: Iterable[bytes]) -> Verdicts:
    """`transaction.read` over each: None where it holds."""
    return [outcome if isinstance(outcome, Refusal) else None for outcome in map(read, raws)]


class VerificationProcess:
    """A pipeline of frames: `send` hands raw transactions over, `receive` returns the oldest frame's verdicts."""

    def __init__(self) -> None:
        self.problem = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._sent: list[list[bytes]] = []

    def start(self) -> None:
        """Start the process now rather than with the first frame; it takes a moment."""
        if self._process is None and not self.problem:
            self._start()

    def send(self, raws: list[bytes]) -> None:
        """Start checking a frame."""
        self.start()
        self._sent.append(raws)
        if not self.problem:
            self._outgoing.put(_encode(raws))

    def receive(self) -> Verdicts:
        """The verdicts of the oldest frame sent."""
        raws = self._sent.pop(0)
        if self._process is not None and self._process.stdout is not None and not self.problem:
            answer = _read_frame(self._process.stdout)
            if answer is not None:
                return [None if v is None else _refusal(v) for v in _verdicts.decode(answer)]
            self.problem = "the verification process ended; signatures are checked in the writer"
        return check(raws)

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tallystick.ledger.verification"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # an interrupt at the terminal is for the node, which closes this process itself
        )
        threading.Thread(target=self._feed, name="tallystick-feed", daemon=True).start()

    def _feed(self) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        try:
            while (frame := self._outgoing.get()) is not None:
                process.stdin.write(_LENGTH.pack(len(frame)) + frame)
                process.stdin.flush()
            process.stdin.close()
        except (BrokenPipeError, ValueError):
            return  # `receive` sees the end of the answers and says so

    def close(self) -> None:
        """End the process and wait for it."""
        if self._process is None:
            return
        self._outgoing.put(None)
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):  # what a process that died did not read
                    stream.close()


def _refusal(verdict: tuple[int, dict[str, Fact]]) -> Refusal:
    return Refusal(BY_NUMBER[verdict[0]], verdict[1])


def _read_frame(stream: IO[bytes]) -> bytes | None:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    frame = stream.read(length)
    return frame if len(frame) == length else None


def main() -> None:
    """The process: frames on standard input, verdicts on standard output, until the input ends."""
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    while (frame := _read_frame(incoming)) is not None:
        verdicts = [None if v is None else (v.status.number, v.facts) for v in check(_raws.decode(frame))]
        answer = _encode(verdicts)
        outgoing.write(_LENGTH.pack(len(answer)) + answer)
        outgoing.flush()


if __name__ == "__main__":
    main()
