"""Benchmarks: made-up traffic of known content, and what ocppscope and tshark need to read it."""
