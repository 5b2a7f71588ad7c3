"""A database engine with a pool of its own, as those of gevent and of SQLAlchemy have one."""
