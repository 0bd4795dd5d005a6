"""Is a candidate good enough? Hold-out, contenders, scores with intervals, gate and drift."""
