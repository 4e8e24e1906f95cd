"""The gateway: one wire for clinic apps, one port for EMRs, and a safe way between them.

A request walks through the rooms in this order; each knows only those after it:

    auth      who is asking                     → Principal
    wire      the client's JSON, in and out     → Command
    service   the sentence: plan, execute, answer
    domain    pure: what must be done, and how  → Plan
    execute   the shell: asks, writes, proves, undoes → Outcome
    ledger    what may have happened, before it happens
    port      what an EMR must answer; plugins implement it
"""

__version__ = "0.1.0"
