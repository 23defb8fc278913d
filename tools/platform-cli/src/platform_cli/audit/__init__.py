"""One audit for all who pay: the demonstration, the drills that kill, the load tests, the benchmark."""
