"""Password files: their formats, checking, writing, and the slowing of guesses."""
