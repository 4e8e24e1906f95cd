"""The shell: answers the planner's questions through the port, carries plans out, proves each write, undoes.

consult   the planner's questions → answers
attempt   one write: sent, settled, looked up when the answer is lost, compared with what was asked
run       stages, the turning point, undo, and the way on after a crash
stuck     what is told of a run that was stopped in the middle of it
failures  what an EMR's error means for a client
codec     plans and receipts as versioned JSON
"""
