"""Partner protocols: pure, no I/O, no clock."""
