"""How EMRs are treated: the pace and the quota that they bear, and whom the gateway waits for."""
