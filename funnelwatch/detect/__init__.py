"""Detection: what should have arrived by now, what did, and which series are off. Pure: arrays in, anomalies out."""
