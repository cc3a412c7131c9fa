"""How fine the rows of an export are. Source: the vendor's document, "Mandatory arguments"."""

FINEST = "finest"
AGGREGATES = ("5m", "10m", "15m", "30m", "1h", "1d", "7d", "30d", "1M")
"""From where the longer ones are counted is unstated: hence the anchor, which is a setting."""
