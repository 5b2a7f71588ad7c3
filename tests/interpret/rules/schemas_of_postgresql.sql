SET CONSTRAINTS pg_catalog.x DEFERRED -- unknown
COMMENT ON TABLE information_schema.nope IS 'x' -- unknown
COMMENT ON TABLE information_schema.tables IS 'x' -- unknown
COMMENT ON VIEW information_schema.tables IS 'x' -- unknown
COMMENT ON INDEX information_schema.nope IS 'x' -- unknown
COMMENT ON SCHEMA information_schema IS 'x' -- unknown
COMMENT ON SCHEMA pg_catalog IS 'x' -- unknown
DROP TABLE information_schema.nope -- unknown
DROP COLLATION information_schema.nope -- unknown
DROP TYPE information_schema.nope -- unknown
DROP SCHEMA information_schema -- unknown
DROP TEXT SEARCH CONFIGURATION information_schema.nope -- unknown
ALTER TABLE r ADD x text COLLATE information_schema.nope -- unknown
CREATE INDEX ON ks (c information_schema.text_ops) -- unknown
ALTER TABLE r ADD CHECK (information_schema._pg_truetypid(NULL, NULL) IS NULL) -- unknown
ALTER TABLE r ADD CHECK (information_schema.nope(id) IS NULL) -- unknown
CREATE STATISTICS information_schema.n ON n, s FROM t -- unknown
CREATE TYPE information_schema.n AS ENUM ('a') -- unknown
CREATE TABLE information_schema.n (a integer) -- unknown
CREATE SEQUENCE information_schema.n -- unknown
CREATE DOMAIN information_schema.n AS integer -- unknown
CREATE TYPE information_schema.n AS (a integer) -- unknown
CREATE TABLE n (a text COLLATE information_schema.nope) -- unknown
ALTER FUNCTION information_schema.nope() RENAME TO x -- unknown
ALTER TABLE r SET SCHEMA information_schema -- unknown
ALTER TYPE pg_catalog.int4 ADD VALUE 'x' -- unknown
ALTER TYPE int4 ADD VALUE 'x' -- unknown
ALTER TABLE r ADD x information_schema.sql_identifier -- unknown
DROP STATISTICS pg_catalog.x -- unknown
ALTER SCHEMA information_schema OWNER TO interpret_migrator -- unknown
ALTER SCHEMA information_schema RENAME TO x -- unknown
COMMENT ON TABLE pg_class IS 'x' -- unknown
COMMENT ON FUNCTION pg_catalog.lower(text) IS 'x' -- unknown
COMMENT ON ACCESS METHOD btree IS 'x' -- unknown
CREATE TYPE pg_toast.n AS ENUM ('a') -- unknown
SET search_path = pg_catalog, public; CREATE TABLE zz (a int) -- unknown
ALTER FUNCTION stable_f(int) SET SCHEMA pg_temp -- unknown
ALTER FUNCTION stable_f(int) SET SCHEMA pg_toast -- unknown
ALTER TYPE shade SET SCHEMA pg_temp -- unknown
ALTER TYPE shade SET SCHEMA pg_catalog -- unknown
ALTER TYPE shade SET SCHEMA pg_nope -- unknown
ALTER TABLE t SET SCHEMA pg_nope -- unknown
ALTER FUNCTION stable_f(int) SET SCHEMA pg_nope -- unknown
ALTER FUNCTION stable_f(int) SET SCHEMA information_schema -- unknown
CREATE TYPE pg_nope.n AS ENUM ('a') -- unknown
CREATE FUNCTION pg_nope.zz(int) RETURNS int LANGUAGE sql AS 'SELECT 1' -- unknown
ALTER TEXT SEARCH PARSER "default" RENAME TO x -- unknown
ALTER TEXT SEARCH TEMPLATE simple RENAME TO x -- unknown
DROP TABLE IF EXISTS pg_temp.nope -- unknown
DROP TABLE pg_temp.nope -- unknown
ALTER TABLE pg_nope.zz ADD x int -- unknown
CREATE TEMP TABLE zt (a int); DROP TABLE pg_temp.nope -- unknown
SET search_path = pg_catalog, public; CREATE TYPE zz AS ENUM ('a') -- unknown
SET search_path = pg_toast, public; CREATE TABLE zz (a int) -- unknown
