"""What all readers of strangers' octets must hold, tried by Hypothesis and, by hand, by atheris."""
