"""The sandbox: an EMR to try the gateway with, and the plugin that speaks to it."""

from plugins.sandbox.emr import build_app

__all__ = ["build_app"]
