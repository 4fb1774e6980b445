"""A loopback exchange: a deterministic or replayed market, served in the venues' own formats.

It imports nothing of the application but `domain` and `clock`, so that what is tested against
it is tested against something that cannot share its mistakes.
"""
