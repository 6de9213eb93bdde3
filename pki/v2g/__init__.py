"""The ISO 15118 message layer: pure, no I/O, no clock."""
