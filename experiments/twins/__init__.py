"""How well near duplicates and leaks are found, on generated problems whose truth is known."""
