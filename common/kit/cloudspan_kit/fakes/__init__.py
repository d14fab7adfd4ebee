"""What every fake cloud shares: deferred changes, faults on demand, the log of requests, the HTTP server, the handle.

An adapter's fake cloud builds on these and adds its platform: calls, rows, dialect, and faults of its own. Nothing
that serves real clouds imports them.
"""
