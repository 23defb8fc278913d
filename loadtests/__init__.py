"""Load tests that judge: open-loop arrivals by Locust, objectives, an audit of every payment, one report."""
