"""The PATCH scenarios that the gateway ships for everybody's tests, under the name that they have here."""

from gateway.testing.over_http import App, PatchScenarios, app_of, config_of, span, stands

__all__ = ["App", "PatchScenarios", "app_of", "config_of", "span", "stands"]
