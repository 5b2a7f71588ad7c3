"""What tables hold, as numbers that source, archive and restored database must share."""
