"""The sandbox EMR: a small appointment system of its own, with its own words and its own database.

It knows nothing of the gateway. Its dialect: bookings with `begins` and `ends` as local wall time of Europe/Stockholm
without an offset, a `stage` in capitals, and `{"fault": "..."}` where it says no. Every clinic has a personality, the
first part of its address, so that one program stands for EMRs of many kinds.
"""

from plugins.sandbox.emr.app import build_app

__all__ = ["build_app"]
