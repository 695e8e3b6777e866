"""Training and measuring the digit network: the only place that imports Keras."""
