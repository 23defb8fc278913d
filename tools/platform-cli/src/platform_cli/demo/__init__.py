"""The demonstration: a day of orders through the whole platform, and the proof that none was lost or doubled."""
