"""Embedded mode: everything in one process, and how other processes of the same machine get at its store."""
