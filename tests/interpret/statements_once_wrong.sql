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
INSERT INTO author (name, email) VALUES ('x', 'e1') ON CONFLICT (email) DO UPDATE SET name = excluded.name
INSERT INTO author (name, email) VALUES ('x', 'e1') ON CONFLICT (email) DO UPDATE SET name = excluded.name || author.state WHERE excluded.born IS NULL
INSERT INTO author (name, email) VALUES ('x', 'e1') ON CONFLICT (email) WHERE born IS NULL DO UPDATE SET name = 'x'
INSERT INTO author (name, email) VALUES ('x', 'e1') ON CONFLICT (email) DO UPDATE SET name = DEFAULT, id = DEFAULT
INSERT INTO author (name, email) VALUES ('x', 'e1') ON CONFLICT (lower(email)) DO NOTHING
INSERT INTO author AS a (name, email) VALUES ('x', 'e1') ON CONFLICT (email) DO UPDATE SET name = a.name
INSERT INTO author VALUES (DEFAULT, 'x', NULL, DEFAULT)
INSERT INTO author (id, name) VALUES (DEFAULT, 'x')
INSERT INTO author (id, name) VALUES (100, 'x'), (DEFAULT, 'y')
INSERT INTO author (id, name) VALUES (100, 'x'), (101, DEFAULT)
INSERT INTO typed (id, used) VALUES (1, DEFAULT)
INSERT INTO typed (id, used) VALUES (1, 2)
INSERT INTO book (id, title) VALUES (DEFAULT, 'x')
INSERT INTO author (name) VALUES ('x') RETURNING id
INSERT INTO author (name) VALUES ('x') RETURNING *
INSERT INTO author (name) VALUES ('x') RETURNING 1
INSERT INTO author (name) VALUES ('x') RETURNING now()
INSERT INTO author (name) VALUES ('x') RETURNING (SELECT count(*) FROM book)
DELETE FROM book a USING book b WHERE a.id < b.id AND a.title = b.title
DELETE FROM member RETURNING *
DELETE FROM member RETURNING id
DELETE FROM member RETURNING 1
DELETE FROM member m RETURNING m.*
DELETE FROM member WHERE EXISTS (SELECT 1 FROM member m WHERE m.id > member.id)
DELETE FROM member WHERE id IN (SELECT id FROM author)
DELETE FROM member WHERE true
DELETE FROM member WHERE member IS NULL
UPDATE author SET name = 'x' RETURNING *
UPDATE author SET name = 'x' RETURNING id
UPDATE author SET name = 'x' RETURNING author
UPDATE author SET name = name
UPDATE author a SET name = b.name FROM author b WHERE a.id = b.id
UPDATE author SET score = (SELECT max(id) FROM author)
UPDATE author SET score = (SELECT max(score) FROM author b WHERE b.id < author.id)
UPDATE author SET id = DEFAULT
UPDATE author SET id = DEFAULT, name = 'x' WHERE false
UPDATE author SET name = book.title FROM book
UPDATE author SET score = 3 WHERE ctid = '(0,1)'
UPDATE author SET score = 3 WHERE author.* IS NOT NULL
UPDATE author SET score = 3 FROM (SELECT 1 AS id) x WHERE author.id = x.id
UPDATE author SET score = 3 FROM generate_series(1, 3) g WHERE g = id
UPDATE author SET score = x.id FROM (SELECT id FROM book) x
MERGE INTO author a USING book b ON a.id = b.author_id WHEN MATCHED AND b.pages > 3 THEN UPDATE SET name = b.title WHEN NOT MATCHED THEN INSERT (name) VALUES (b.title)
MERGE INTO author a USING book b ON a.id = b.author_id WHEN MATCHED THEN DELETE
MERGE INTO author a USING (SELECT 1 AS x) b ON a.id = b.x WHEN MATCHED THEN UPDATE SET id = DEFAULT
MERGE INTO author a USING (SELECT 1 AS x) b ON a.id = b.x WHEN MATCHED THEN DO NOTHING
MERGE INTO author a USING (SELECT 100 AS x) b ON false WHEN NOT MATCHED THEN INSERT (id, name) VALUES (DEFAULT, 'x')
MERGE INTO author a USING (SELECT 100 AS x) b ON false WHEN NOT MATCHED THEN INSERT VALUES (1000, 'x')
MERGE INTO author a USING (SELECT 100 AS x) b ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES
MERGE INTO author a USING author b ON a.id = b.id WHEN MATCHED THEN UPDATE SET score = b.score
MERGE INTO author a USING (SELECT 1 AS x) b ON a.id = b.x WHEN MATCHED THEN UPDATE SET score = 1 RETURNING a.*
MERGE INTO author a USING (SELECT 1 AS x) b ON a.id = b.x WHEN NOT MATCHED BY SOURCE THEN DELETE
SELECT name FROM author a JOIN author b USING (name)
SELECT count(*) FROM author
SELECT 1 FROM author
SELECT currval('loose_seq')
SELECT nextval('loose_seq')
SELECT last_value FROM loose_seq
WITH x AS (SELECT * FROM author) DELETE FROM member USING x WHERE x.id = member.id
WITH x AS (SELECT id FROM member) DELETE FROM member USING x WHERE x.id = member.id
WITH x AS (SELECT id FROM member) UPDATE member SET joined = now() WHERE id IN (SELECT id FROM x)
INSERT INTO book (title) SELECT title FROM book
INSERT INTO book SELECT * FROM book
INSERT INTO author (name) SELECT DISTINCT ON (title) title FROM book ORDER BY title
INSERT INTO author (name) SELECT title FROM book UNION ALL SELECT 'x'
INSERT INTO author (id, name) SELECT 1000, 'x' WHERE false
INSERT INTO parted VALUES (5000)
INSERT INTO parted_1 VALUES (5)
INSERT INTO guarded VALUES (10, 'x', 1)
UPDATE guarded SET n = 2
ALTER TABLE author ADD p pair; CREATE POLICY x1 ON author USING (p <= '(1,x)')
ALTER TABLE author ADD p pair; CREATE POLICY x1 ON author USING (p = '(1,x)')
ALTER TABLE author ADD p pair; ALTER TABLE author ADD CHECK (p = '(1,x)')
ALTER TABLE author ADD p pair; CREATE INDEX ON author (name) WHERE p = '(1,x)'
ALTER TABLE author ADD p pair; SELECT * FROM author WHERE p = '(1,x)'
ALTER TABLE author ADD p pair; UPDATE author SET name = 'x' WHERE p = '(1,x)'
ALTER TABLE author ADD p pair; DELETE FROM author WHERE p = '(1,x)'
ALTER TABLE author ADD p pair; UPDATE author SET p = '(1,x)'
ALTER TABLE author ADD p pair; ALTER TABLE author ADD CHECK (p = NULL)
ALTER TABLE author ADD p pair; CREATE TRIGGER x1 BEFORE UPDATE ON author FOR EACH ROW WHEN (NEW.p = '(1,x)') EXECUTE FUNCTION fired()
ALTER TABLE author ADD p pair[]; CREATE POLICY x1 ON author USING (p = '{}')
ALTER TABLE author ADD p pair; CREATE POLICY x1 ON author USING (p IS DISTINCT FROM '(1,x)')
ALTER TABLE author ADD p pair; ALTER TABLE author ADD q bool GENERATED ALWAYS AS (p > '(1,x)') STORED
ALTER TABLE typed ADD CHECK (whole = 'x')
CREATE POLICY x1 ON typed USING (whole <> 'x')
CREATE POLICY x1 ON typed USING (whole <> NULL)
ALTER TABLE author ADD t text; CREATE POLICY x1 ON author USING (t <= '(1,x)'); DROP POLICY x1 ON author; ALTER TABLE author ALTER t TYPE pair USING NULL; CREATE POLICY x1 ON author USING (t <= '(1,x)')
ALTER TABLE author ADD t text; CREATE POLICY x1 ON author USING (t <= '(1,x)'); ALTER TABLE author ALTER t TYPE pair USING NULL
CREATE POLICY x1 ON author USING (born = 'zzz')
CREATE POLICY x1 ON author USING (seen > 'zzz')
CREATE POLICY x1 ON author WITH CHECK (tags = 'zzz')
CREATE POLICY x1 ON author USING (born = '2020-13-45')
CREATE POLICY x1 ON author USING (absent() = 1)
CREATE POLICY x1 ON author USING (tags[1] = 3)
CREATE POLICY x1 ON author USING (id)
CREATE POLICY x1 ON author USING (over(id) = 'zzz')
CREATE POLICY x1 ON author USING (max(id) = 3)
CREATE POLICY x1 ON author USING (row_number() OVER () = 3)
CREATE POLICY x1 ON author USING (generate_series(1, id) = 3)
CREATE POLICY x1 ON author USING (name = current_setting('x.y')::int::text)
CREATE POLICY x1 ON author USING (data @> '{"a": 1}')
CREATE POLICY x1 ON author USING (data @> '{a')
CREATE POLICY x1 ON author USING (data ->> 'a' = 'b')
CREATE POLICY x1 ON author USING (born - 'zzz' > '1 day')
CREATE POLICY x1 ON author USING (seen - '1 dayz' > now())
CREATE POLICY x1 ON author USING (NOT nope)
CREATE POLICY x1 ON author USING (name = ANY ('{a,b}'))
CREATE POLICY x1 ON author USING (id = ANY ('{a,b}'))
CREATE POLICY x1 ON author USING (id IN (1, 'a'))
CREATE POLICY x1 ON author USING (author.nope = 1)
CREATE POLICY x1 ON author USING (book.id = 1)
CREATE TRIGGER x1 BEFORE UPDATE ON author FOR EACH ROW WHEN (NEW.born = 'zzz') EXECUTE FUNCTION fired()
CREATE TRIGGER x1 BEFORE UPDATE ON author FOR EACH ROW WHEN (NEW.nope = 'zzz') EXECUTE FUNCTION fired()
CREATE TRIGGER x1 BEFORE UPDATE ON author FOR EACH ROW WHEN (OLD.tags[1] = 3) EXECUTE FUNCTION fired()
CREATE TRIGGER x1 BEFORE UPDATE ON author FOR EACH ROW WHEN (OLD.id = (SELECT 1)) EXECUTE FUNCTION fired()
CREATE TRIGGER x1 BEFORE UPDATE ON author FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION fired()
CREATE TRIGGER x1 BEFORE UPDATE ON author FOR EACH ROW WHEN (absent(OLD.id)) EXECUTE FUNCTION fired()
CREATE TRIGGER x1 BEFORE UPDATE ON author FOR EACH ROW WHEN (OLD.id) EXECUTE FUNCTION fired()
CREATE TRIGGER x1 BEFORE INSERT ON author FOR EACH ROW WHEN (OLD.id = 1) EXECUTE FUNCTION fired()
CREATE VIEW x1 AS SELECT born = 'zzz' FROM author
CREATE VIEW x1 AS SELECT * FROM author WHERE born = 'zzz'
CREATE VIEW x1 AS SELECT * FROM author WHERE tags = 'zzz'
CREATE VIEW x1 AS SELECT tags[1] + 'x' FROM author
CREATE VIEW x1 AS SELECT a.id FROM author a JOIN book b ON b.author_id = a.nope
CREATE VIEW x1 AS SELECT a.id FROM author a, LATERAL (SELECT nope FROM book) x
CREATE VIEW x1 AS SELECT id FROM author ORDER BY nope
CREATE VIEW x1 AS SELECT id FROM author LIMIT 'x'
CREATE VIEW x1 AS SELECT DISTINCT data::json FROM author
CREATE VIEW x1 AS SELECT id FROM author UNION SELECT title FROM book
CREATE VIEW x1 AS SELECT id FROM author UNION SELECT 'x'
CREATE VIEW x1 AS SELECT id FROM author UNION SELECT 1, 2
CREATE VIEW x1 AS SELECT id, id FROM author
CREATE VIEW x1 AS SELECT id AS a, name AS a FROM author
CREATE VIEW x1 (a, b) AS SELECT id FROM author
CREATE VIEW x1 AS SELECT sum(name) FROM author
CREATE VIEW x1 AS SELECT author.id FROM author a
CREATE VIEW x1 AS SELECT id FROM author a, book b
CREATE VIEW x1 AS SELECT id FROM author WHERE max(id) > 3
CREATE VIEW x1 AS SELECT id FROM author WHERE name
CREATE VIEW x1 AS SELECT id FROM author HAVING true
CREATE VIEW x1 AS SELECT 'x'::mood, 'zzz'::mood
CREATE VIEW x1 AS SELECT 'x'::date
CREATE VIEW x1 AS SELECT 1/0
CREATE VIEW x1 AS SELECT name::int FROM author
CREATE VIEW x1 AS SELECT id::bool, id::jsonb FROM author
CREATE VIEW x1 AS WITH y AS (SELECT nope FROM author) SELECT * FROM y
CREATE VIEW x1 AS SELECT (SELECT nope) FROM author
CREATE VIEW x1 AS SELECT CASE WHEN id = 1 THEN name ELSE 3 END FROM author
CREATE VIEW x1 AS SELECT coalesce(name, id) FROM author
CREATE VIEW x1 AS SELECT coalesce(name, 3) FROM author
CREATE VIEW x1 AS SELECT id FROM author FETCH FIRST 3 ROWS ONLY
CREATE VIEW x1 AS SELECT id FROM author FOR UPDATE
CREATE TABLE x1 AS SELECT name::int FROM author
CREATE TABLE x1 AS SELECT id FROM author WHERE born = 'zzz'
CREATE MATERIALIZED VIEW x1 AS SELECT nope FROM author
CREATE MATERIALIZED VIEW x1 AS SELECT 'zzz'::date FROM author WITH NO DATA
ALTER TABLE author ADD CHECK (tags = '{a,b}')
ALTER TABLE author ADD CHECK (tags = 'a')
ALTER TABLE author ADD CHECK (id = ANY ('{1,2}'))
ALTER TABLE author ADD CHECK (id = ANY ('{1,a}'))
ALTER TABLE author ADD CHECK (tags @> '{x}' OR tags && 'x')
ALTER TABLE author ADD CHECK (name IN ('a', 'b') AND id IN (1, 2) AND state IN ('ok', 'sad'))
ALTER TABLE author ADD CHECK (state IN ('ok', 'zzz'))
ALTER TABLE author ADD CHECK (born IN ('2020-01-01', '2020-01-02'))
ALTER TABLE book ADD CHECK (level IN (1, 2) AND label IN ('a', 'b') AND isbn IN ('toolongforthiscolumn', 'x'))
ALTER TABLE author ADD t int[] DEFAULT '{1,2}'
ALTER TABLE author ADD t int[] DEFAULT '{1,a}'
ALTER TABLE author ADD t int[] DEFAULT '1,2'
ALTER TABLE author ADD t mood[] DEFAULT '{ok,sad}'
ALTER TABLE author ADD t varchar(2)[] DEFAULT '{abc}'
ALTER TABLE author ADD t numeric(3,1)[] DEFAULT '{12345}'
ALTER TABLE author ADD t int[] DEFAULT '{1,2} '
ALTER TABLE author ADD t int[] DEFAULT '{1 2}'
UPDATE author SET tags = 'x'
UPDATE author SET tags = '{x}' WHERE id = ANY ('{1,2}')
SELECT * FROM author WHERE tags = 'x'
SELECT * FROM author WHERE id IN (1, 'a')
CREATE TRIGGER x1 BEFORE UPDATE ON author FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name OR NEW.id > 3) EXECUTE FUNCTION fired()
CREATE TRIGGER x1 AFTER INSERT ON author FOR EACH STATEMENT WHEN (true) EXECUTE FUNCTION fired()
CREATE TRIGGER x1 AFTER INSERT ON author FOR EACH ROW WHEN (max(NEW.id) > 3) EXECUTE FUNCTION fired()
CREATE TRIGGER x1 AFTER INSERT ON author FOR EACH ROW WHEN (NEW.*::text = '3') EXECUTE FUNCTION fired()
CREATE TRIGGER x1 AFTER UPDATE ON author FOR EACH ROW WHEN (NOT (OLD.* IS DISTINCT FROM NEW.*)) EXECUTE FUNCTION fired()
CREATE VIEW x1 AS SELECT a.id, b.title FROM author a JOIN book b ON b.author_id = a.id WHERE a.born IS NOT NULL
CREATE VIEW x1 AS SELECT a.id, b.title FROM author a JOIN book b ON b.title = a.id
CREATE VIEW x1 AS SELECT a.id, b.title FROM author a JOIN book a ON b.title = a.id
CREATE VIEW x1 AS SELECT id, upper(name) AS n, 'x' AS t FROM author a WHERE a.born > '2020-01-01'
CREATE VIEW x1 AS SELECT a.* FROM author a
CREATE VIEW x1 AS SELECT * FROM author a WHERE author.id = 1
CREATE VIEW x1 AS SELECT author FROM author
CREATE VIEW x1 AS SELECT t.id FROM titles t WHERE t.title = 'x'
CREATE VIEW x1 AS SELECT author.id FROM ONLY author
CREATE VIEW x1 AS SELECT public.author.id FROM public.author
CREATE VIEW x1 AS SELECT x.id AS "a b" FROM author x WHERE x.state = 'zzz'
CREATE VIEW x1 AS SELECT a.id FROM author a LEFT JOIN book b USING (id)
CREATE VIEW x1 AS SELECT a.id FROM author a CROSS JOIN book b
CREATE VIEW x1 AS SELECT a.data FROM author a JOIN author b ON a.data = b.data WHERE a.tags = b.tags
CREATE VIEW x1 AS SELECT a.id FROM author a JOIN book b ON a.id
CREATE VIEW x1 AS SELECT a.id FROM author a JOIN book b ON a.tags = b.author_id AND nope.x = 1
DROP TABLE listed_b_1 CASCADE
ALTER TABLE parted_to DISABLE TRIGGER ALL
ALTER TRIGGER book_fired ON book RENAME TO book_fired
ALTER TRIGGER parted_fired ON parted RENAME TO parted_fired
ALTER TABLE author ADD j json; ALTER TABLE author ADD PRIMARY KEY (j)
TRUNCATE ONLY parent CASCADE
CREATE INDEX n1 ON author (tags COLLATE "C"); ALTER TABLE author ALTER tags TYPE int[] USING NULL
CREATE OR REPLACE VIEW lonely AS SELECT n, label, n FROM parent
CREATE OR REPLACE VIEW titles AS SELECT id, title, author_id, title FROM book
CREATE OR REPLACE VIEW titles AS SELECT id, title, author_id, pages, pages FROM book
CREATE OR REPLACE VIEW titles AS SELECT id, id FROM book
CREATE VIEW titles AS SELECT id, id FROM book
CREATE OR REPLACE VIEW mood AS SELECT id, id FROM book
CREATE MATERIALIZED VIEW titles AS SELECT id, id FROM book
ALTER TABLE parted_to ADD CONSTRAINT x NOT NULL absent NO INHERIT
ALTER TABLE to_parent ALTER COLUMN parent_id TYPE double precision, ADD COLUMN n3 text COLLATE absent
ALTER TABLE to_parent ALTER COLUMN parent_id TYPE json USING NULL, ADD COLUMN n3 absent
CREATE INDEX x ON to_parent (parent_id); ALTER TABLE to_parent ALTER COLUMN parent_id TYPE json USING NULL, ADD COLUMN parent_id int
ALTER TABLE keys ALTER COLUMN c TYPE json USING NULL, ADD COLUMN a int
CREATE TYPE ct AS (a int); DROP TRIGGER absent ON ct
CREATE TABLE pt (a int, b int) PARTITION BY LIST (a); CREATE TABLE pt1 PARTITION OF pt FOR VALUES IN (1); ALTER TABLE pt1 ALTER absent SET CYCLE
CREATE TABLE pt (a int, b int) PARTITION BY LIST (a); CREATE TABLE pt1 PARTITION OF pt FOR VALUES IN (1); ALTER TABLE pt1 ALTER b DROP IDENTITY
CREATE TYPE ct AS (a int); COMMENT ON COLUMN ct.a IS 'words'
CREATE TYPE ct AS (a int); COMMENT ON COLUMN ct.absent IS 'words'
CREATE TYPE ct AS (a int); COMMENT ON COLUMN ct.ctid IS 'words'
CREATE TYPE ct AS (a int); COMMENT ON TRIGGER absent ON ct IS 'words'
CREATE TYPE ct AS (a int); COMMENT ON RULE absent ON ct IS 'words'
CREATE TYPE ct AS (a int); COMMENT ON CONSTRAINT absent ON ct IS 'words'
CREATE TYPE ct AS (a int); COMMENT ON POLICY absent ON ct IS 'words'
CREATE TABLE x (a varchar(5) DEFAULT 'bcdefghi'); INSERT INTO x DEFAULT VALUES
CREATE TABLE x (a smallint DEFAULT 100000); INSERT INTO x DEFAULT VALUES
CREATE TABLE x (a int, b int DEFAULT 1 / 0); INSERT INTO x (b) SELECT a FROM x; INSERT INTO x DEFAULT VALUES
CREATE TABLE x (a bit(3) DEFAULT B'1'); INSERT INTO x DEFAULT VALUES
CREATE TABLE x (a int, b numeric(3, 2) DEFAULT 1000); INSERT INTO x (a, b) VALUES (1, 1); UPDATE x SET b = DEFAULT
CREATE DOMAIN five AS varchar(5); CREATE TABLE x (a five DEFAULT 'bcdefghi'); INSERT INTO x DEFAULT VALUES
CREATE TABLE x (a int, b int, d int, c int GENERATED ALWAYS AS (a / b) STORED); INSERT INTO x VALUES (1, 1, 0); UPDATE x SET b = d
CREATE DOMAIN base AS int DEFAULT 1; CREATE DOMAIN upper AS base; CREATE DOMAIN other AS base DEFAULT 2; CREATE DOMAIN none AS base DEFAULT NULL
CREATE DOMAIN base AS int DEFAULT 1 DEFAULT 2
CREATE DOMAIN base AS int NOT NULL NULL
CREATE DOMAIN base AS int NULL NOT NULL
CREATE DOMAIN base AS int DEFAULT 'x'
CREATE DOMAIN base AS int DEFAULT true
CREATE DOMAIN base AS date DEFAULT now(); ALTER DOMAIN base SET DEFAULT 1
CREATE DOMAIN base AS varchar(3) DEFAULT 'toolong'; ALTER DOMAIN base SET DEFAULT 7
CREATE DOMAIN base AS int; CREATE DOMAIN upper AS base; ALTER DOMAIN upper SET DEFAULT 'x'
DELETE FROM listed_a WHERE id > 0
ALTER TABLE ONLY to_listed ALTER CONSTRAINT to_listed_listed_id_region_fkey DEFERRABLE
