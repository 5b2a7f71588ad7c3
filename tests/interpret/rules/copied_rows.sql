TRUNCATE ft -- unknown
TRUNCATE m
COPY t TO '/dev/null'
COPY t (nope) TO '/dev/null'
COPY t (n, n) TO '/dev/null'
COPY v TO '/dev/null'
COPY t FROM '/dev/null'
COPY v FROM '/dev/null' -- unknown
COPY ident (g) FROM '/dev/null'
COPY (SELECT id FROM t) TO '/dev/null'
COPY t FROM '/dev/null' WHERE nope > 0
COPY t FROM '/dev/null' WHERE n
COPY t FROM '/dev/null' (FORMAT nope)
COPY m TO '/dev/null' -- unknown
COPY pt TO '/dev/null'
COPY seq TO '/dev/null'
COPY t (ctid) TO '/dev/null'
COPY nope TO '/dev/null'
COPY t FROM '/dev/null' WHERE (n, s) = (1, 1)
COPY t (id, n) TO '/dev/null'
COPY nope FROM STDIN
COPY t (nope) FROM STDIN
COPY trig FROM '/dev/null'
COPY ident (b) FROM '/dev/null'
COPY seq (last_value) FROM '/dev/null'
COPY seq TO '/dev/null'
COPY seq FROM '/dev/null'
COPY seq (nope) FROM '/dev/null'
