"""OCPI 2.2.1 and 2.3.0: values, parsers and renderers; no I/O, no clock."""
