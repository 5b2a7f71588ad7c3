"""A drift fuzzer: random damage to a database in the midst of its history, then migrate."""
