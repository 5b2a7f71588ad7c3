SELECT 1
SELECT * FROM book
SELECT * FROM missing
SELECT * FROM missing.book
SELECT b.title FROM book b JOIN author a ON a.id = b.author_id WHERE EXISTS (SELECT FROM solo)
SELECT * FROM book FOR UPDATE
SELECT * FROM book b, author FOR SHARE OF b
SELECT * FROM (SELECT * FROM book) x FOR UPDATE
SELECT * FROM titles FOR UPDATE
SELECT * FROM parent FOR KEY SHARE
SELECT * FROM ONLY parent FOR UPDATE
WITH x AS (SELECT * FROM book), y AS (SELECT * FROM x) SELECT * FROM y, x
WITH book AS (SELECT 1) SELECT * FROM book
WITH RECURSIVE x AS (SELECT 1 UNION SELECT * FROM x) SELECT * FROM x
SELECT nextval('loose_seq')
SELECT setval('loose_seq', 5)
SELECT setval(pg_get_serial_sequence('solo', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL) FROM solo
SELECT count(*) FROM pg_class
SELECT checked(3)
SELECT missing(3)
SELECT set_config('lock_timeout', '1s', true)
INSERT INTO author VALUES (3, 'a')
INSERT INTO author (id, name) VALUES (3, 'a')
INSERT INTO author (id, missing) VALUES (3, 'a')
INSERT INTO author (id, id) VALUES (3, 4)
INSERT INTO author (id, name) VALUES (3)
INSERT INTO author (id) VALUES (3, 4)
INSERT INTO author (id) SELECT n FROM parent
INSERT INTO author (id) VALUES ('a')
INSERT INTO author (name) VALUES ('a')
INSERT INTO author (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'x'
INSERT INTO author (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET missing = 'x'
INSERT INTO plain (n) VALUES (3)
INSERT INTO plain (n, twice) VALUES (3, 4)
INSERT INTO plain (n, twice) VALUES (3, DEFAULT)
INSERT INTO counted (id) VALUES (3)
INSERT INTO counted (id) OVERRIDING SYSTEM VALUE VALUES (3)
INSERT INTO counted (n) VALUES (3)
INSERT INTO parted (id, n) VALUES (3, 1)
INSERT INTO parted (id, n) VALUES (3, 1), (4, 7)
INSERT INTO other.solo (id, author) SELECT 1, id FROM author
INSERT INTO missing VALUES (1)
INSERT INTO used_seq VALUES (1)
INSERT INTO stored_titles VALUES (1)
UPDATE author SET name = 'x'
UPDATE author SET name = 'x' WHERE id = 5
UPDATE author SET missing = 'x'
UPDATE author SET name = missing
UPDATE author SET name = 'x', name = 'y'
UPDATE author SET name = book.title FROM book WHERE book.author_id = author.id
UPDATE author SET id = id + 1
UPDATE plain SET twice = 3
UPDATE plain SET n = twice
UPDATE parent SET n = 3
UPDATE ONLY parent SET n = 3
UPDATE parted SET id = 3
UPDATE parted SET id = 3 WHERE n = 1
UPDATE other.solo SET author = 5
UPDATE missing SET n = 3
UPDATE counted SET id = 3
DELETE FROM author
DELETE FROM author WHERE missing = 3
DELETE FROM book USING author WHERE author.id = book.author_id
DELETE FROM parent
DELETE FROM parted
DELETE FROM missing
TRUNCATE plain
TRUNCATE author
TRUNCATE author CASCADE
TRUNCATE author, book, other.solo, parted
TRUNCATE parent
TRUNCATE ONLY parent
TRUNCATE ONLY parted
TRUNCATE parted
TRUNCATE counted RESTART IDENTITY
TRUNCATE titles
TRUNCATE missing
SELECT id FROM book WHERE ctid <> 'a'
