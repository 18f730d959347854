"""What a running server does when parts of it die, run out or are told to go."""
