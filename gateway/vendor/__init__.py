"""How EMRs are reached: bytes, logins, answers, pages and times, the same for all plugins."""
