"""The thread on which CometBFT's requests are answered, one after the other; nothing else runs there."""

import asyncio
import threading
from collections.abc import Callable

from tallystick.ledger.abci.server import AbciServer, Address
from tallystick.ledger.comet.application import LedgerApplication

LOOK_SECONDS = 0.5


class AbciThread:
    """Listens at `address` and answers from `application`.

    `look` is called every half second between requests, for what only this thread may ask of the ledger; `failed` is
    told of the error of an application that broke.
    """

    def __init__(
        self,
        address: Address,
        application: LedgerApplication,
        look: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._address = address
        self._server = AbciServer(application, failed)
        self._look = look
        self._failed = failed
        self._started = threading.Event()
        self._error: OSError | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="tallystick-abci", daemon=True)
        self.address = address

    def start(self) -> None:
        """Begin to listen. Raises `OSError` where the address can't be used."""
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Answer what was asked, hang up, and end the thread. Safe to call twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self.address = self._loop.run_until_complete(self._server.listen(self._address))
        except OSError as error:
            self._error = error
            return
        finally:
            self._started.set()
        self._loop.call_later(LOOK_SECONDS, self._look_again)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._server.close())
        finally:
            self._loop.close()

    def _look_again(self) -> None:
        if self._server.is_broken:
            return
        try:
            self._look()
        except Exception as error:  # allow(broad-except): a broken ledger stops the node, from wherever it shows
            self._server.is_broken = True
            self._failed(error)
            return
        self._loop.call_later(LOOK_SECONDS, self._look_again)
