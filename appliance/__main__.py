"""`python -m appliance`: the same program as the installed `fcgibox`."""

import sys

from appliance.cli import main

if __name__ == "__main__":
    sys.exit(main())
