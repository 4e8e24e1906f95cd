"""Whole histories of a crowded clinic, played in virtual time and held against the EMR's own journal.

A run is drawn from its seed and is the same every time: `virtual` has the time that costs nothing, `clinic` the sandbox
EMR and its staff, `wire` the network and its weather, `world` the gateway before it, which is killed and started again,
`script` what the clients ask. `history` plays one run and keeps all that is known of it; `lines` reads the journal as
the lives of its appointments, `truth` holds an answer against them, and `checker` has the rules. `figures` and
`conftest` add up what `make faults` tells at its end. One seed again, made smaller: `python -m tests.histories SEED`.
"""
