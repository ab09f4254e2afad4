#!/usr/bin/env python
"""The same commands as the `funnelwatch` console script."""

from funnelwatch.cli import main

if __name__ == "__main__":
    main()
