CREATE INDEX ON t ((sh::text))
CREATE INDEX ON t ((s::date))
CREATE INDEX ON t ((d::text))
CREATE INDEX ON t ((d::timestamp))
CREATE INDEX ON t ((d::timestamptz))
CREATE TABLE n (a time, b timetz, c interval, e money, f int[], g comp, h int4range, i uuid, j text, k regclass, l json, m timestamptz[]); CREATE INDEX ON n ((a::text)); CREATE INDEX ON n ((b::text)); CREATE INDEX ON n ((c::text)); CREATE INDEX ON n ((e::numeric)); CREATE INDEX ON n ((f::text)); CREATE INDEX ON n ((f::text[])); CREATE INDEX ON n ((g::text)); CREATE INDEX ON n ((h::text)); CREATE INDEX ON n ((i::text)); CREATE INDEX ON n ((j::uuid)); CREATE INDEX ON n ((j::time)); CREATE INDEX ON n ((b::time)); CREATE INDEX ON n ((a::timetz)); CREATE INDEX ON n ((k::text)); CREATE INDEX ON n ((j::regclass)); CREATE INDEX ON n ((j::jsonb)); CREATE INDEX ON n ((j::xml)); CREATE INDEX ON n ((m::date[])); CREATE INDEX ON n ((j::shade)); CREATE INDEX ON n ((i::text::uuid))
ALTER TABLE t ADD COLUMN n1 text GENERATED ALWAYS AS (sh::text) STORED
DROP TABLE holder; ALTER TABLE t ADD COLUMN n1 text GENERATED ALWAYS AS (n::text) STORED
