ALTER TABLE book OWNER TO interpret_owner
ALTER VIEW titles OWNER TO interpret_reader
ALTER TYPE mood OWNER TO interpret_owner
ALTER TYPE "Plain Domain" OWNER TO interpret_reader
ALTER FUNCTION plus(int, int) OWNER TO interpret_owner
ALTER SCHEMA other OWNER TO interpret_owner
ALTER TABLE lonely OWNER TO interpret_reader
ALTER VIEW loose_seq OWNER TO CURRENT_USER
ALTER SEQUENCE loose_pair OWNER TO interpret_reader
GRANT SELECT ON absent TO interpret_absent
TRUNCATE ONLY author RESTART IDENTITY CASCADE
TRUNCATE noise
INSERT INTO guarded (id) VALUES (672)
INSERT INTO author (name) SELECT id FROM to_listed
INSERT INTO author (name) VALUES ('x')
UPDATE parent SET n = 1 WHERE ctid IS NOT NULL
ALTER TABLE guarded ADD FOREIGN KEY (id) REFERENCES lonely (id)
ALTER TABLE ONLY parent DROP CONSTRAINT parent_n_check
CREATE TRIGGER x AFTER UPDATE ON parted FOR EACH ROW EXECUTE FUNCTION fired()
ALTER TABLE parted ENABLE TRIGGER ALL
ALTER TABLE parted_1 ENABLE TRIGGER ALL
ALTER TABLE parted_2 ENABLE TRIGGER ALL
DELETE FROM lonely WHERE ctid IS NULL
CREATE POLICY x ON grandchild USING (ctid = '' OR n > 1)
CREATE POLICY x ON typed USING (ctid IS NOT NULL)
CREATE UNIQUE INDEX x ON listed_a USING brin (region, lower(absent)) WHERE region <= '' AND ctid <= 'a'
CREATE INDEX x ON loose_part (ctid text_pattern_ops, label)
CREATE INDEX x ON loose_part (ctid, label)
CREATE INDEX x ON loose_part (abs(ctid))
CREATE INDEX x ON loose_part (label) WHERE ctid IS NULL
UPDATE "Order" SET note = 'a' WHERE "Id" <> -3 OR length(ctid) < 30
UPDATE "Order" SET note = 'a' WHERE ctid <= 'a'
ALTER TABLE child ALTER COLUMN ctid TYPE boolean USING ctid::boolean
ALTER TABLE author_states RENAME COLUMN ctid TO x
CREATE VIEW x AS SELECT word, at FROM noise WHERE ctid = ''
CREATE VIEW x AS SELECT * FROM "Mixed Case"."View" WHERE ctid = ''
CREATE OR REPLACE VIEW n4 AS SELECT state, n FROM author_states WHERE state = 'absent'
CREATE VIEW x AS SELECT n, state, n FROM author_states WHERE state = 'absent'
COMMENT ON COLUMN empty.ctid IS 'words'
INSERT INTO parent (ctid) SELECT id FROM lonely
UPDATE parent SET ctid = NULL
INSERT INTO book (twice) SELECT state FROM author
INSERT INTO book (twice) SELECT id FROM author
INSERT INTO book (twice) VALUES (true)
UPDATE book SET twice = current_date
MERGE INTO stored_titles t USING empty s ON t.id = s.id WHEN MATCHED THEN DELETE
SELECT state, n FROM author_states FOR UPDATE
SELECT id FROM titles FOR UPDATE
SELECT * INTO x FROM book_id_seq
ALTER TRIGGER absent ON book_id_seq RENAME TO x
CREATE MATERIALIZED VIEW IF NOT EXISTS book AS SELECT * FROM absent
CREATE MATERIALIZED VIEW book AS SELECT label, label FROM lonely
CREATE MATERIALIZED VIEW x AS SELECT label FROM lonely WITH NO DATA; SELECT * FROM x; REFRESH MATERIALIZED VIEW CONCURRENTLY x; REFRESH MATERIALIZED VIEW x; SELECT * FROM x
REFRESH MATERIALIZED VIEW stored_titles WITH NO DATA; REFRESH MATERIALIZED VIEW CONCURRENTLY stored_titles
ALTER TABLE parted_2_a INHERIT absent
ALTER TABLE parted INHERIT absent
ALTER TABLE parted_2_a NO INHERIT absent
ALTER TYPE mood RENAME TO x; ALTER TYPE x RENAME VALUE 'ok' TO 'odd'
CREATE DOMAIN x AS positive; ALTER DOMAIN x SET DEFAULT NULL
ALTER DOMAIN positive SET DEFAULT NULL
ALTER DOMAIN positive SET NOT NULL
CREATE TABLE x (a positive[]); ALTER DOMAIN positive SET NOT NULL
CREATE TYPE x AS (a positive); CREATE TABLE y (a x); ALTER DOMAIN positive SET NOT NULL
CREATE TYPE x AS (a positive); ALTER DOMAIN positive SET NOT NULL
ALTER TABLE typed ADD COLUMN x code DEFAULT 'toolongforit'
ALTER TABLE author ADD COLUMN x int GENERATED ALWAYS AS (id * 2) STORED
ALTER TABLE ONLY child ADD x int GENERATED ALWAYS AS (absent * 2) STORED
CREATE CONSTRAINT TRIGGER "Order Total" AFTER INSERT ON "Order" DEFERRABLE FOR EACH ROW EXECUTE FUNCTION fired()
ALTER TABLE titles SET (autovacuum_enabled = off)
ALTER TABLE titles RESET (fillfactor)
ALTER TABLE parted SET (fillfactor = 50)
ALTER TABLE parted RESET (fillfactor)
CREATE TABLE "Mixed Case"."View" PARTITION OF listed (PRIMARY KEY (n)) FOR VALUES IN ('l010')
CREATE TABLE book PARTITION OF guarded FOR VALUES WITH (MODULUS 4, REMAINDER 5)
CREATE TABLE x PARTITION OF guarded DEFAULT
ALTER TABLE parted ATTACH PARTITION noise FOR VALUES WITH (MODULUS 4, REMAINDER 5)
ALTER TABLE parted ATTACH PARTITION noise FOR VALUES IN (3)
CREATE TABLE x () INHERITS (book_id_seq, absent)
CREATE UNLOGGED TABLE x (id serial PRIMARY KEY)
ALTER TABLE noise ADD x serial
ALTER TABLE noise ADD x serial; ALTER TABLE noise SET LOGGED
DROP TABLE listed_a CASCADE
DROP TABLE listed_rest CASCADE
DROP TABLE to_listed, parted_1
ALTER TABLE to_listed DROP COLUMN region
ALTER TABLE ONLY to_listed DROP CONSTRAINT to_listed_listed_id_region_fkey
ALTER TABLE parent DROP CONSTRAINT parent_pkey, ADD PRIMARY KEY (n)
ALTER TABLE parent ALTER n SET NOT NULL
ALTER TABLE parted ALTER n SET NOT NULL; ALTER TABLE ONLY parted ALTER n ADD GENERATED ALWAYS AS IDENTITY
ALTER TABLE parted ALTER n SET NOT NULL; ALTER TABLE parted ALTER n ADD GENERATED ALWAYS AS IDENTITY; ALTER TABLE parted ALTER n SET GENERATED BY DEFAULT; ALTER TABLE parted_1 ALTER n DROP IDENTITY; ALTER TABLE parted ALTER n DROP IDENTITY
ALTER TABLE parted ALTER n DROP IDENTITY IF EXISTS
ALTER TABLE ONLY parted ALTER n DROP IDENTITY
ALTER TABLE parted_1 ALTER n SET INCREMENT BY 3
UPDATE parted SET n = 7, label = '' WHERE author_id IS NOT NULL
REFRESH MATERIALIZED VIEW stored_titles
ANALYZE to_listed
CREATE TABLE x (a char(3)); INSERT INTO x SELECT joined FROM member
ALTER SEQUENCE book_id_seq MAXVALUE 1000 RESTART 1000; INSERT INTO book (title) VALUES ('x'); INSERT INTO book (title) VALUES ('y')
ALTER TABLE book_id_seq SET UNLOGGED
ALTER TABLE loose_seq SET UNLOGGED
REVOKE ALL ON "Mixed Case"."Thing" FROM CURRENT_USER; ALTER TABLE "Mixed Case"."Thing" ADD FOREIGN KEY ("Key", "Value") REFERENCES "Mixed Case"."Thing"
ALTER TABLE parted_1 ADD PRIMARY KEY (n); ALTER TABLE parted ADD PRIMARY KEY (n, author_id)
ALTER TABLE parted ADD CHECK (n < 9000) NOT VALID; ALTER TABLE parted VALIDATE CONSTRAINT parted_n_check
CREATE VIEW x AS SELECT made FROM parted_2 WHERE n <= 0 OR ctid IS NOT NULL
CREATE VIEW x AS SELECT b FROM loose_pair
INSERT INTO loose_pair VALUES (1)
COMMENT ON COLUMN book_id_seq.absent IS 'x'
COMMENT ON COLUMN book_id_seq.last_value IS 'x'
COMMENT ON COLUMN book_id_seq.ctid IS 'x'
ALTER VIEW titles OWNER TO interpret_owner; SELECT id FROM titles FOR UPDATE
CREATE VIEW absent.n AS SELECT absent FROM book
CREATE TABLE n () INHERITS (parted_2_a, parted_2_a)
ALTER TABLE listed_rest ALTER COLUMN id TYPE boolean
ALTER TABLE pair OWNER TO interpret_owner
ALTER TABLE parent DROP COLUMN n, ALTER COLUMN n TYPE bigint
GRANT USAGE ON pair TO PUBLIC
CREATE TYPE book_id_seq AS (a int, b never_null)
ALTER TABLE listed_rest ADD UNIQUE (id, region); ALTER TABLE listed DROP CONSTRAINT listed_pkey CASCADE, ADD PRIMARY KEY (id, region)
REVOKE ALL ON keys FROM interpret_reader
