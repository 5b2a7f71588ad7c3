CREATE ACCESS METHOD hh TYPE TABLE HANDLER heap_tableam_handler -- unknown
CREATE PROCEDURE pp() LANGUAGE plpgsql AS 'BEGIN DROP TABLE alone; END'; CALL pp() -- unknown
DO $$BEGIN DROP TABLE alone; END$$ -- unknown
DO $$BEGIN EXECUTE format('DROP TABLE %I', 'al' || 'one'); END$$ -- unknown
DO $$BEGIN EXECUTE 'DROP TABLE al' || 'one'; END$$ -- unknown
DO $$DECLARE x record; BEGIN FOR x IN EXPLAIN ANALYZE CREATE TABLE zz AS SELECT 1 AS a LOOP NULL; END LOOP; END$$ -- unknown
DO $$BEGIN UPDATE r SET orphan = 1; END$$ -- unknown
DO $$BEGIN NULL; END$$ -- unknown
DO $$BEGIN EXECUTE 'DO $x$BEGIN DROP TABLE alone; END$x$'; END$$ -- unknown
DO $$BEGIN CREATE TABLE zz (a integer); DROP TABLE alone; END$$ -- unknown
CREATE VIEW n AS SELECT s || 'x' AS a, s COLLATE german AS b FROM t; ALTER TABLE t ADD x integer -- unknown
