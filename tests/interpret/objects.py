"""A fixed set of objects, of every kind, that rest on each other."""

OBJECTS = """
CREATE SCHEMA other;
CREATE SCHEMA empty;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE unused AS ENUM ();
CREATE TYPE pair AS (a int, b mood);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE COLLATION german (locale = 'C');
CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE FUNCTION over(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION over(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION checked(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE FUNCTION shown(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION of_mood(mood) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE PROCEDURE done() LANGUAGE sql AS 'SELECT 1';
CREATE SEQUENCE loose_seq;
CREATE SEQUENCE used_seq;
CREATE TABLE author (id int PRIMARY KEY, name text, born date, state mood DEFAULT 'sad');
CREATE UNIQUE INDEX author_name_idx ON author (name);
CREATE TABLE book (
    id int PRIMARY KEY,
    title text NOT NULL,
    author_id int REFERENCES author,
    author_name text REFERENCES author (name) ON DELETE CASCADE,
    pages positive,
    size int DEFAULT nextval('used_seq'),
    CONSTRAINT book_checked CHECK (checked(pages)),
    CONSTRAINT book_two CHECK (pages > size)
);
CREATE INDEX book_title_idx ON book (title) INCLUDE (pages) WHERE author_id > 0;
CREATE INDEX book_lower_idx ON book (lower(title));
CREATE STATISTICS book_statistics ON title, pages FROM book;
CREATE TRIGGER book_fired BEFORE UPDATE OF title ON book
    FOR EACH ROW WHEN (NEW.pages > 3) EXECUTE FUNCTION fired();
CREATE POLICY own ON book USING (size > 3);
CREATE TABLE solo (id serial PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED,
    feeling pair, spoken text COLLATE german);
CREATE RULE noted AS ON DELETE TO solo DO ALSO UPDATE author SET name = name WHERE id = OLD.id;
CREATE TABLE other.solo (id int PRIMARY KEY, mood mood, author int REFERENCES public.author);
CREATE TABLE plain (n int, twice int GENERATED ALWAYS AS (n * 2) STORED, CHECK (n > 0),
    EXCLUDE USING btree (n WITH =));
CREATE TABLE counted (id int GENERATED ALWAYS AS IDENTITY, n int);
CREATE TABLE parent (id int NOT NULL, n int CHECK (n > 0));
CREATE TABLE child (m int) INHERITS (parent);
CREATE TABLE parted (id int, n int, author_id int REFERENCES author) PARTITION BY LIST (n);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_default PARTITION OF parted DEFAULT;
CREATE INDEX parted_n_idx ON parted (n);
CREATE TRIGGER parted_fired AFTER INSERT ON parted FOR EACH ROW EXECUTE FUNCTION fired();
CREATE TABLE typed (id int, whole solo, moods mood[]);
CREATE VIEW titles AS SELECT id, title, author_id FROM book;
CREATE VIEW titles_of_titles AS SELECT title FROM titles;
CREATE VIEW grouped AS SELECT id, title FROM book GROUP BY id;
CREATE VIEW called AS SELECT shown(id) FROM author;
CREATE MATERIALIZED VIEW stored_titles AS SELECT title FROM book;
CREATE INDEX stored_title_idx ON stored_titles (title);
INSERT INTO author VALUES (1, 'one'), (2, 'two');
INSERT INTO plain VALUES (1);
INSERT INTO parent VALUES (1, 1);
INSERT INTO parted VALUES (1, 1, 1), (2, 2, 2);
INSERT INTO other.solo VALUES (1, 'sad', 1);
INSERT INTO counted (n) VALUES (1);
"""
