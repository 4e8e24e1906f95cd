"""Commands that need a person: what is shown of them, and what a person may do about them.

view      a stored command → what an operator is shown of it
attending what an operator may do: list, show, retry, settle, erase
by_hand   what the client is told of a command that a person has brought to an end
control   the same over a socket in the state directory, for the gateway that runs on it
terminal  the same as a command line
"""
