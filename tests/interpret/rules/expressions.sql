CREATE INDEX ON t ((sh::text))
CREATE INDEX ON t ((s::date))
CREATE INDEX ON t ((d::text))
CREATE INDEX ON t ((d::timestamp))
CREATE INDEX ON t ((d::timestamptz))
ALTER TABLE t ADD CHECK (abs('1') = n)
CREATE FUNCTION f(integer, date) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION f(integer, point) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; ALTER TABLE t ADD CHECK (f(n, '2020-01-01') > 0)
CREATE FUNCTION f(integer, date) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION f(integer, bigint) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; ALTER TABLE r ADD CHECK (f(orphan, '1') > 0)
CREATE FUNCTION f(double precision, bigint, integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION f(bigint, double precision, integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; ALTER TABLE r ADD CHECK (f(orphan, orphan, '1') > 0)
ALTER TABLE t ADD CHECK (json_extract_path('{}'::json, n) IS NULL)
ALTER TABLE t ADD CHECK (json_extract_path('{}'::json, s, 'a') IS NULL)
CREATE FUNCTION f(text, date) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION f(integer, point) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; ALTER TABLE r ADD CHECK (f('1', '2020-01-01') > 0)
CREATE FUNCTION f(text, date) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION f(integer, date) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; ALTER TABLE r ADD CHECK (f('1', '2020-01-01') > 0)
CREATE FUNCTION f(text, date) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION f(integer, integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; ALTER TABLE r ADD CHECK (f('1', '2') > 0)
CREATE TABLE n (j json, CHECK (j IN ('nope')))
CREATE TABLE n (j json, CHECK (j IN ('nope', '{}')))
ALTER TABLE r ADD CHECK (orphan IN (99, 1.5, '2.5'))
ALTER TABLE r ADD CHECK (orphan > $1) -- unknown
ALTER TABLE r ADD CHECK ('a' = ANY ('x'))
ALTER TABLE r ADD CHECK (orphan = ANY ('{99,x}'))
ALTER TABLE r ADD CHECK ('a' = ANY ('{a}'))
CREATE TYPE e AS ENUM ('a'); CREATE DOMAIN de AS e[]; CREATE TABLE n (a e[], b de, CHECK (coalesce(a, b) IS NOT NULL))
CREATE TABLE n1 (a integer); CREATE TABLE n2 (w n1, CHECK (w = w)); CREATE INDEX ON n2 (w)
CREATE TABLE n (a bit(3) DEFAULT B'101')
ALTER TABLE t ADD CHECK (xmin IS NOT NULL)
ALTER TABLE t ADD CHECK (n OPERATOR(other.=) 1) -- unknown
ALTER TABLE t ADD CHECK (s SIMILAR TO '[a-z0-9]' OR s NOT SIMILAR TO 'x' ESCAPE '#')
ALTER TABLE t ADD CHECK (n SIMILAR TO 'x')
ALTER TABLE t ADD CHECK (n BETWEEN SYMMETRIC 9 AND -9) -- unknown
CREATE TABLE n (a numeric DEFAULT 'x')
CREATE TABLE n (a boolean DEFAULT 'nope')
ALTER TABLE r ADD COLUMN a integer[] DEFAULT '{"1"}' -- unknown
CREATE FUNCTION abs(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; ALTER TABLE r ADD CHECK (abs(orphan) > 0)
CREATE TABLE n (a pos DEFAULT 'x')
CREATE TABLE n (a short DEFAULT 'abcdef')
ALTER TABLE r ADD CHECK (orphan = ANY (ARRAY[99, 1.5]))
ALTER TABLE r ADD CHECK (orphan = ANY (nv))
ALTER TABLE t ADD CHECK (s = ANY ('{a,7}') OR 'x' = ANY (ARRAY[s]))
ALTER TABLE r ADD CHECK (array_append('{1}', orphan) IS NOT NULL)
CREATE TABLE n (a integer[], CHECK (array_cat(a, '{2}') > '{1}'), CHECK (array_cat(a, '{x}') > '{1}'))
CREATE TABLE n (a integer[], b shade, CHECK (enum_first(b) = 'dark'), CHECK (enum_range(b, 'nope') > '{}'))
CREATE TABLE n (a integer[], b shade, CHECK (enum_range(b) = '{dark}'), CHECK (array_lower(a, 1) = 'x'))
CREATE TABLE n (a integer[], CHECK (array_cat(a, '{2}') > '{1}'), CHECK (array_cat('{2}', a) > '{1}'))
CREATE FUNCTION f(anyarray) RETURNS anyelement IMMUTABLE LANGUAGE sql AS 'SELECT $1[1]'; CREATE TABLE n (a integer[], CHECK (f(a) > '1'))
CREATE FUNCTION f(anyelement) RETURNS anyarray IMMUTABLE LANGUAGE sql AS 'SELECT ARRAY[$1]'; CREATE TABLE n (a integer, CHECK (f(a) > '{1}'))
CREATE FUNCTION f(anyelement) RETURNS anyelement IMMUTABLE LANGUAGE sql AS 'SELECT $1'; CREATE TABLE n (a integer, b integer[], CHECK (f(a) > '1'), CHECK (f(b) > '{1}'))
CREATE FUNCTION f(anyarray) RETURNS anynonarray IMMUTABLE LANGUAGE sql AS 'SELECT $1[1]'; CREATE TABLE n (a integer[], CHECK (f(a) > '1'))
CREATE FUNCTION f(anynonarray) RETURNS anyarray IMMUTABLE LANGUAGE sql AS 'SELECT ARRAY[$1]'; CREATE TABLE n (a integer[], CHECK (f(a) > '1'))
CREATE TABLE n (a varchar(3)[], CHECK (array_cat(a, '{xyzz}') > '{1}'), CHECK ('x' = ANY (array_cat(a, a))))
CREATE FUNCTION f(short) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION f(point) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT 1'; ALTER TABLE r ADD CHECK (f('x') > 0)
CREATE TABLE n (a bigint, b integer, CHECK (coalesce(a, b) > 0))
CREATE TABLE n (a smallint, b integer, CHECK (coalesce(a, b) > 1000000), CHECK (coalesce(a, b) > '1000000'))
CREATE TABLE n (a smallint, b integer, c bigint, CHECK (greatest(b, a, c) > '5000000000'))
CREATE TABLE n (a regclass, b text, CHECK (coalesce(a, b) IS NOT NULL))
CREATE TABLE n (a information_schema.nope) -- unknown
CREATE TABLE n (b shade, CHECK (enum_range(b, 'dark') > '{}'))
CREATE TABLE n (a integer[], CHECK (array_cat(a, '{2}') > '{1}'))
CREATE TABLE n (a integer[], CHECK (array_append('{1}', 2) > '{1}'))
CREATE TYPE n; CREATE FUNCTION n_in(cstring) RETURNS n LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION n_out(n) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE n (INPUT = n_in, OUTPUT = n_out, LIKE = text, CATEGORY = 'S'); CREATE CAST (n AS text) WITHOUT FUNCTION AS IMPLICIT; CREATE TABLE x (a n, s text, CHECK (coalesce(a, s) = 'x')) -- unknown
CREATE TYPE n; CREATE FUNCTION n_in(cstring) RETURNS n LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION n_out(n) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE n (INPUT = n_in, OUTPUT = n_out, LIKE = text, CATEGORY = 'S'); CREATE CAST (n AS text) WITHOUT FUNCTION AS IMPLICIT; CREATE TABLE x (a n, s text, CHECK (s IN (a, s))) -- unknown
CREATE TABLE n (a time, b timetz, c interval, e money, f int[], g comp, h int4range, i uuid, j text, k regclass, l json, m timestamptz[]); CREATE INDEX ON n ((a::text)); CREATE INDEX ON n ((b::text)); CREATE INDEX ON n ((c::text)); CREATE INDEX ON n ((e::numeric)); CREATE INDEX ON n ((f::text)); CREATE INDEX ON n ((f::text[])); CREATE INDEX ON n ((g::text)); CREATE INDEX ON n ((h::text)); CREATE INDEX ON n ((i::text)); CREATE INDEX ON n ((j::uuid)); CREATE INDEX ON n ((j::time)); CREATE INDEX ON n ((b::time)); CREATE INDEX ON n ((a::timetz)); CREATE INDEX ON n ((k::text)); CREATE INDEX ON n ((j::regclass)); CREATE INDEX ON n ((j::jsonb)); CREATE INDEX ON n ((j::xml)); CREATE INDEX ON n ((m::date[])); CREATE INDEX ON n ((j::shade)); CREATE INDEX ON n ((i::text::uuid))
ALTER TABLE t ADD COLUMN n1 text GENERATED ALWAYS AS (sh::text) STORED
DROP TABLE holder; ALTER TABLE t ADD COLUMN n1 text GENERATED ALWAYS AS (n::text) STORED
ALTER TABLE t ADD CHECK (ln(n) IS NOT NULL)
ALTER TABLE t ADD CHECK (s::int > 0)
ALTER TABLE t ADD CHECK (sqrt(n) IS NOT NULL)
ALTER TABLE t ADD g double precision GENERATED ALWAYS AS (ln(n)) STORED
ALTER TABLE t ADD g int GENERATED ALWAYS AS (s::int) STORED
ALTER TABLE par ADD COLUMN z int NOT NULL NO INHERIT -- unknown
ALTER TABLE par ADD COLUMN z int CONSTRAINT zz NOT NULL NO INHERIT DEFAULT 1 -- unknown
ALTER TABLE t ADD COLUMN z int NOT NULL NO INHERIT -- unknown
ALTER TABLE t ADD COLUMN z int NOT NULL NO INHERIT DEFAULT 1 -- unknown
ALTER TABLE t ADD PRIMARY KEY (absent)
ALTER TABLE r ADD EXCLUDE USING gist (id WITH =)
ALTER TABLE t SET SCHEMA pg_temp -- unknown
SELECT id FROM postgres.public.t -- unknown
ALTER TABLE pg_toast.nope ADD x int -- unknown
CREATE TABLE arr (id int, v text[]); INSERT INTO arr SELECT 1, ARRAY[repeat(md5('x'), 400)]; CREATE INDEX ON arr (v)
CREATE TABLE arr (id int, v int[]); INSERT INTO arr SELECT 1, array_agg(n) FROM generate_series(1, 3000) AS n; CREATE INDEX ON arr (v)
CREATE TABLE kk (x int); CREATE TABLE kl () INHERITS (kk); CREATE TABLE km () INHERITS (kl); DROP TABLE kl CASCADE; ALTER TABLE kk ADD y int
CREATE TABLE kk (x int); CREATE TABLE kl (y int) INHERITS (kk); CREATE TABLE km () INHERITS (kk, kl); DROP TABLE kl CASCADE
CREATE TABLE a1 (x int, CHECK (x > 0)); CREATE TABLE a2 (x int, CHECK (x > 1)); ALTER TABLE a2 RENAME CONSTRAINT a2_x_check TO a1_x_check; ALTER TABLE a2 INHERIT a1
CREATE TABLE a1 (x int, CONSTRAINT k CHECK (x > 0)); CREATE TABLE a2 (CONSTRAINT k CHECK (x > 1)) INHERITS (a1)
REINDEX TABLE t
CREATE FUNCTION pg_catalog.zz(int) RETURNS int LANGUAGE sql AS 'SELECT 1' -- unknown
ALTER TABLE t ALTER n SET DEFAULT pg_catalog.absent(1)
ALTER TABLE t ALTER n SET DEFAULT nowhere.abs(1)
ALTER TABLE t ALTER n SET DEFAULT other.abs(1)
CREATE FUNCTION other.abs(int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT NULL::text'; ALTER TABLE t ALTER n SET DEFAULT other.abs(1)
CREATE FUNCTION other.abs(int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT NULL::text'; ALTER TABLE t ALTER s TYPE text USING other.abs(n)
