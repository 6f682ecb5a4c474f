"""``steerability lock``: commit, digest and size from the hub into the weights table."""

from pathlib import Path

from filelock import FileLock

from steerability.fetch.hub import HubState, ask
from steerability.fetch.pins import WeightPin, read_pins, write_pins
from steerability.fetch.transfer import Say
from steerability.support.errors import UserError


def lock_pin(pin: WeightPin) -> tuple[WeightPin, HubState]:
    """Return the pin with its gaps closed by what the hub says, and what it said.

    Raises:
        UserError: pin and hub differ (both are shown), or the hub refuses.
        OSError: the hub cannot be reached or is failing.
    """
    state = ask(pin)
    faults = [
        f"{what} is pinned as {pinned}, the hub says {there}"
        for what, pinned, there in (
            ("SHA-256", pin.sha256, state.sha256),
            ("size", pin.bytes, state.size),
        )
        if pinned is not None and pinned != there
    ]
    if faults:
        raise UserError(
            f"{pin.file} of {pin.repository} at {state.commit}: {'; '.join(faults)}",
            where=pin.name,
            mend="nothing was fetched or written; name the commit that has the pinned file, or "
            "change the pin knowingly",
        )
    closed = {"revision": state.commit, "sha256": state.sha256, "bytes": state.size}
    return WeightPin.model_validate({**pin.model_dump(), **closed}), state


def record(table: Path, locked: WeightPin) -> bool:
    """Write a locked pin into the table, unless it stands there already; other jobs may too.

    Returns:
        Whether the table was changed.

    Raises:
        OSError: the table cannot be written.
    """
    with FileLock(table.with_name(f".{table.name}.lock")):
        pins = read_pins(table)
        if pins.get(locked.name) == locked:
            return False
        pins[locked.name] = locked
        write_pins(table, pins.values())
    return True


def lock_table(table: Path, names: list[str], say: Say) -> int:
    """Lock the named hub weights of a table, or all of them; each is written as it is known.

    Returns:
        How many rows changed.

    Raises:
        UserError: a name is unknown, or pin and hub differ.
        OSError: the hub cannot be reached or is failing.
    """
    pins = read_pins(table)
    for name in names:
        if name not in pins:
            raise UserError(f"no weight is called {name}", where=table)
    changed = 0
    for pin in pins.values():
        if pin.source != "hub" or (names and pin.name not in names):
            continue
        locked, state = lock_pin(pin)
        gaps = [key for key in ("revision", "sha256", "bytes") if getattr(pin, key) is None]
        if gaps:
            record(table, locked)
            changed += 1
        word = f"wrote {', '.join(gaps)}" if gaps else "as pinned"
        say(f"{pin.name}: {state.commit}, {state.sha256}, {state.size:,} bytes: {word}")
    return changed
