"""Benchmarks: each stage against its limit and a peer in the same run, alternated, medians. Never part of the tests."""
