ALTER POLICY IF EXISTS n ON nope RENAME TO x
ALTER POLICY IF EXISTS nope ON pol RENAME TO x
CREATE TYPE other.e AS ENUM ('a'); CREATE INDEX ON r (id) WHERE 'a'::other.e = 'a'; ALTER SCHEMA other RENAME TO nn -- unknown
CREATE TYPE other.e AS ENUM ('a'); CREATE INDEX ON r ((id > length('a'::other.e::text))); ALTER SCHEMA other RENAME TO nn
CREATE FUNCTION other.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE INDEX ON r (other.f(id)); ALTER SCHEMA other RENAME TO nn -- unknown
CREATE TYPE other.e AS ENUM ('a'); CREATE POLICY n ON r USING ('a'::other.e = 'a'); ALTER SCHEMA other RENAME TO nn -- unknown
CREATE FUNCTION other.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE DOMAIN n AS integer DEFAULT other.f(1); ALTER SCHEMA other RENAME TO nn -- unknown
CREATE FUNCTION other.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE DOMAIN n AS integer CHECK (other.f(VALUE) > 0); ALTER SCHEMA other RENAME TO nn -- unknown
CREATE TYPE other.e AS ENUM ('a'); CREATE FUNCTION n() RETURNS other.e LANGUAGE sql AS 'SELECT NULL::other.e'; ALTER SCHEMA other RENAME TO nn -- unknown
CREATE FUNCTION other.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; ALTER TABLE r ALTER orphan SET DEFAULT other.f(1); ALTER SCHEMA other RENAME TO nn -- unknown
ALTER TABLE ks DROP COLUMN c, SET (toast_tuple_target = 200); ALTER INDEX ks_c RENAME TO n -- unknown
ALTER TABLE ks DROP COLUMN c, SET (toast_tuple_target = 200); REINDEX INDEX ks_c -- unknown
ALTER TABLE kid ADD COLUMN zz integer, SET (toast_tuple_target = 200); ALTER TABLE par RENAME COLUMN y TO zz -- unknown
CREATE OR REPLACE VIEW v AS SELECT id, n, s COLLATE german AS b FROM t; CREATE OR REPLACE VIEW v AS SELECT id, n FROM t -- unknown
ALTER TYPE comp ADD ATTRIBUTE n1 integer CASCADE; ALTER TYPE comp RENAME TO n -- unknown
ALTER TYPE pos OWNER TO interpret_migrator
ALTER TYPE shade SET SCHEMA public
