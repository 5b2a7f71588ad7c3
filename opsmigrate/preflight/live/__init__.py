"""The live server as it is now: blocking sessions, time-outs, replication."""
