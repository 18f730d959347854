"""What is behind a failed connection, as far as its course tells: a cause and a remedy for the error log."""

from __future__ import annotations

from appliance.gateway.failure import Failure, Stage


def explain(failure: Failure, address: str) -> str:
    """More about a failure in the words of an admin, "" if there is no more to say. `address` is the host's.

    PHP closes a connection right after it has accepted it if FCGI_WEB_SERVER_ADDRS does not name the other
    side: what looks like a crash is a setting.
    """
    if failure.stage not in (Stage.SENDING, Stage.WAITING) or not failure.local or failure.timeout:
        return ""
    return (
        f"; {address} accepts connections and closes them: either it ends (its own log says why), or it does"
        f" not want us: FCGI_WEB_SERVER_ADDRS, in its environment, must name {failure.local}, the address we"
        " connect from"
    )
