"""Pseudonyms of people and contracts; sealed numbers and addresses, and the keys that open them.

`pseudonyms` turns numbers into pseudonyms; `sealing` seals with a data key; `day_keys` makes, opens and destroys
those; `wrapping` wraps them with the environment's keys, `rotation` wraps them anew; `numbers` keeps clear person
numbers. `pseudonym_rotation` makes all pseudonyms of a bank anew, `renewal` rewrites what holds them.
"""
