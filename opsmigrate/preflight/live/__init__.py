"""The live server at this moment: who is in the way, time-outs, replication."""
