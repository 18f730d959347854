"""What is taken from a process before it runs: priority, resource limits, permissions of the files it makes.

Limits and priority are set while we still have the rights to raise them, so before the change of identity;
each process of a pool has them, a template hands them on to those it forks.
"""

from __future__ import annotations

import os
import resource
import signal
from dataclasses import dataclass

from appliance import program
from appliance.config import PoolDefinition
from appliance.config.confinement import ResourceLimit, shown
from appliance.errors import UserError

# How a program ends that has no memory left, not even for its start, or is over its time or size of file.
_BY_LIMITS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGKILL, signal.SIGXCPU, signal.SIGXFSZ)


@dataclass(frozen=True, slots=True)
class Confinement:
    """None and () leave things as they are with us."""

    nice: int | None = None
    """As in systemd the value itself, not a difference to ours."""
    umask: int | None = None
    limits: tuple[ResourceLimit, ...] = ()

    def restrict(self) -> None:
        """In the child, before it gives its rights up. OSError or ValueError if the kernel refuses."""
        for limit in self.limits:
            resource.setrlimit(limit.number, (limit.soft, limit.hard))
        if self.nice is not None:
            os.setpriority(os.PRIO_PROCESS, 0, self.nice)

    def blame(self, status: int) -> str:
        """What to think of when a process ended with this wait status; "" if nothing."""
        if not self.limits or not os.WIFSIGNALED(status) or os.WTERMSIG(status) not in _BY_LIMITS:
            return ""
        return f" (its limits are {', '.join(map(str, self.limits))})"


FREE = Confinement()


def confinement(definition: PoolDefinition) -> Confinement:
    """That of a pool's processes. UserError: it takes root, and we are not."""
    what = f"the pool {definition.name!r}"
    if os.geteuid() != 0:
        for limit in definition.limits:
            ours = resource.getrlimit(limit.number)[1]
            if ours >= 0 and not 0 <= limit.hard <= ours:
                raise UserError(
                    f"{what}: only root may raise the limit {limit.name!r} above {shown(ours)}, what this "
                    f"user has; lower it to that, or start as root: {program.as_root()}"
                )
        if definition.nice is not None and definition.nice < os.getpriority(os.PRIO_PROCESS, 0):
            raise UserError(
                f'{what}: "nice" => {definition.nice} is a higher priority than ours, and only root may '
                f"give it; start as root: {program.as_root()}"
            )
    return Confinement(definition.nice, definition.umask, definition.limits)
