"""Pure X.509: no I/O, no clock. Values in, values out."""
