"""The live parcels of a receivable, wherever they lie, read outside the kernel."""

from tallystick.kernel.core.state import State
from tallystick.kernel.receivables.records import Parcel, ParcelRow, Receivable


def live_parcels(state: State, receivable: Receivable) -> tuple[Parcel, ...]:
    """All live parcels, ascending: inside the receivable while they are few, else in rows of their own."""
    if not receivable.in_rows:
        return receivable.parcels
    prefix = f"parcel_of/{receivable.id}/"
    rows = (state.find(row.split("/", 3)[3]) for row in state.index_range(prefix, prefix + "\x7f"))
    return tuple(row.parcel for row in rows if isinstance(row, ParcelRow))
