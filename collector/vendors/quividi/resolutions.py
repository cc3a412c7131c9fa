"""The resolutions of an export. Source: the vendor's document, "Mandatory arguments"."""

FINEST = "finest"
AGGREGATES = ("5m", "10m", "15m", "30m", "1h", "1d", "7d", "30d", "1M")
"""The document does not state from where periods of 7d, 30d and 1M are counted: hence the setting `anchor`."""
