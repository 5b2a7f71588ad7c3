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
ALTER TABLE r ADD c oid DEFAULT 't'::regclass::oid; ALTER TABLE t RENAME TO tt
ALTER TABLE r ADD c oid DEFAULT 'ident'::regclass::oid; DROP TABLE ident
ALTER TABLE r ADD c oid DEFAULT 'other.t'::regclass::oid; ALTER TABLE other.t RENAME TO tt
ALTER TABLE r ADD c oid DEFAULT 't'::regclass::oid; DROP TABLE other.t
ALTER TABLE r ADD c oid DEFAULT 't'::regclass::oid; ALTER TABLE other.t RENAME TO tt
ALTER TABLE r ADD c oid DEFAULT 't_pkey'::regclass::oid; ALTER INDEX t_pkey RENAME TO tt
ALTER TABLE r ADD c oid DEFAULT 't_pkey'::regclass::oid; ALTER TABLE t RENAME CONSTRAINT t_pkey TO tt
ALTER TABLE r ADD c oid DEFAULT 'ks_c'::regclass::oid; DROP INDEX ks_c
ALTER TABLE r ADD c oid DEFAULT 'v'::regclass::oid; DROP VIEW v CASCADE
ALTER TABLE r ADD c oid DEFAULT 'm'::regclass::oid; DROP MATERIALIZED VIEW m
ALTER TABLE alone ADD CHECK ('alone'::regclass::oid > 5); DROP TABLE alone
CREATE SEQUENCE "a""b"; CREATE TABLE n (a integer DEFAULT nextval('"a""b"')); DROP SEQUENCE "a""b" -- unknown
CREATE SEQUENCE "a.b"; CREATE TABLE n (a integer DEFAULT nextval('"a.b"')); ALTER SEQUENCE "a.b" RENAME TO "c" -- unknown
CREATE SEQUENCE zz; CREATE TABLE n (a integer DEFAULT nextval('ZZ')); DROP SEQUENCE zz -- unknown
CREATE FUNCTION "a""b"(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; ALTER TABLE r ADD CHECK ("a""b"(id) > 0); DROP FUNCTION "a""b"(int)
CREATE TYPE "a""b" AS ENUM ('a'); ALTER TABLE r ADD CHECK ('a'::"a""b" = 'a'); DROP TYPE "a""b"
CREATE COLLATION "a""b" (locale = 'C'); ALTER TABLE r ADD CHECK ('a' COLLATE "a""b" = 'a'); DROP COLLATION "a""b" -- unknown
CREATE VIEW n AS SELECT id FROM t WHERE NULL::r IS NULL; ALTER TABLE r RENAME TO rr; DROP TABLE rr
CREATE VIEW n AS SELECT id FROM t WHERE NULL::comp IS NULL; DROP TABLE typed; DROP TABLE holder; DROP TYPE comp
CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW n AS SELECT stable_f(id) AS f FROM t; DROP FUNCTION g()
CREATE TABLE n (a integer, "none" integer); CREATE INDEX ON n (a); ALTER TABLE n DROP COLUMN "none"
ALTER TABLE r ADD x text CHECK (public.lower(x) IS NULL)
ALTER TABLE r ADD x text CHECK (other.lower(x) IS NULL)
ALTER TABLE r ADD x text DEFAULT public.lower('A')
CREATE FUNCTION public.lower(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1'; ALTER TABLE r ADD x text DEFAULT public.lower('A')
ALTER TABLE t ADD x int DEFAULT public.length('a')
ALTER TABLE t ADD CHECK (public.length(s) > 0)
SELECT public.length(s) FROM t
