"""What the processes of one pool are made of: program, arguments, environment, identity and limits."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

from appliance.config import PoolDefinition
from appliance.supervisor import environment
from appliance.supervisor.confinement import confinement
from appliance.supervisor.executable import find_program, refuse_command_line_php
from appliance.supervisor.identity import Identity
from appliance.supervisor.processes import Launch, describe_exit


class Program:
    """The command of a pool."""

    def __init__(
        self,
        definition: PoolDefinition,
        identity: Identity,
        inherited: Mapping[str, str],
        open_files: tuple[int, int],
    ) -> None:
        """Raises UserError if it cannot be executed."""
        self._definition = definition
        self._identity = identity
        self._inherited = inherited
        self._open_files = open_files
        self._confinement = confinement(definition)
        what = f"the pool {definition.name!r}"
        self._path = find_program(definition.command, what, identity.root)
        refuse_command_line_php(self._path, what, identity, self._environment())

    def launch(self, stdin: int, output: int) -> Launch:
        """With these descriptors as its standard input and error stream."""
        program = self._path
        ours = environment.is_our_program(program)
        return Launch(
            arguments=(program, *self._definition.command[1:]),
            environment=self._environment(),
            identity=self._identity,
            death_signal=signal.SIGKILL if ours or self._definition.template else signal.SIGTERM,
            stdin=stdin,
            output=output,
            # As lighttpd: the directory of the program.
            directory=str(Path(program).parent),
            open_files=self._open_files,
            confinement=self._confinement,
        )

    def _environment(self) -> dict[str, str]:
        return environment.for_application(self._definition, self._path, self._inherited)

    def describe_exit(self, status: int) -> str:
        """How one of its processes ended, in words, and which limit it may have met."""
        return describe_exit(status) + self._confinement.blame(status)
