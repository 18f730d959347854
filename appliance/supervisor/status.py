"""What `fcgibox status` tells: collected here as plain data, printed by the command."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from appliance import __version__
from appliance.supervisor.applications import Applications

if TYPE_CHECKING:
    from appliance.supervisor.supervisor import Supervisor


def describe(supervisor: Supervisor, front_data: dict[str, Any] | None) -> dict[str, Any]:
    """Everything about an instance; `front_data` is what its front says about itself, None if it is silent.

    Times are seconds, ages count from now.
    """
    plan = supervisor.plan
    current = supervisor.fronts.current
    data = front_data or {}
    front = None
    if current is not None:
        front = {
            "pid": current.pid,
            "generation": current.generation,
            "state": current.state,
            "user": current.plan.front.name,
            "age": supervisor.loop.now() - current.started,
            "answers": front_data is not None,
            "data": data,
        }
    others = [
        {"pid": other.pid, "generation": other.generation, "state": other.state}
        for other in supervisor.fronts.living
        if other is not current
    ]
    return {
        "instance": supervisor.source.instance,
        "version": __version__,
        "pid": os.getpid(),
        "uptime": time.time() - supervisor.started,
        "stopping": supervisor.stopping,
        "configuration": plan.configuration.origin if plan else None,
        "run_directory": str(supervisor.directory),
        "listeners": list(plan.listener_names) if plan else [],
        "connection_limit": plan.connection_limit if plan else 0,
        "front": front,
        "other_fronts": others,
        "pools": [_pool(pool, supervisor, data) for pool in supervisor.pools],
        "hosts": [*_hosts(supervisor, data)],
    }


def _hosts(supervisor: Supervisor, data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Applications that somebody else has started: what the front knows of them."""
    plan = supervisor.plan
    for definition in plan.configuration.pools() if plan is not None else ():
        reported = data.get("pools", {}).get(definition.name)
        if definition.spawned or reported is None:
            continue
        yield {
            "name": definition.name,
            "place": definition.socket or f"{definition.host}:{definition.port}",
            "requests": reported["requests"],
            "waiting": reported["waiting"],
            "load": sum(reported["processes"].values()),
            "down": reported["down"],
        }


def _pool(applications: Applications, supervisor: Supervisor, data: dict[str, Any]) -> dict[str, Any]:
    definition, policy = applications.definition, applications.policy
    plan = supervisor.plan
    current = plan is not None and plan.pools.get(definition.name) is applications
    reported = data.get("pools", {}).get(definition.name, {}) if current else {}
    loads, taken = reported.get("processes", {}), reported.get("taken", {})
    now = supervisor.loop.now()
    processes = []
    for name, state in policy.states().items():
        process = applications.processes.get(name)
        if process is not None:
            processes.append(
                {
                    "name": name,
                    "pid": process.pid,
                    "state": state.value,
                    "age": now - process.started,
                    "address": process.address,
                    "load": loads.get(name),
                    "requests": taken.get(name),
                    "served": process.requests if definition.max_requests else None,
                }
            )
    template = applications.template
    last = policy.last_exit
    return {
        "name": definition.name,
        "state": policy.state,
        "reason": policy.reason,
        "next_try": None if policy.next_try is None else max(0.0, policy.next_try - now),
        "last_exit": None
        if last is None
        else {
            "process": last.process,
            "reason": last.reason,
            "age": now - last.at,
            "stderr": list(last.stderr),
        },
        "current": current,
        "user": applications.identity.name,
        "min": definition.min_procs,
        "max": definition.max_procs,
        "template": template.pid if template else None,
        "requests": reported.get("requests"),
        "waiting": reported.get("waiting"),
        "processes": processes,
    }
