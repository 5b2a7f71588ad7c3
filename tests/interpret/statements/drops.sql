DROP TABLE solo
DROP TABLE solo, parted
DROP TABLE author
DROP TABLE author CASCADE
DROP TABLE author, book
DROP TABLE author, book CASCADE
DROP TABLE missing
DROP TABLE IF EXISTS missing, solo
DROP TABLE missing.solo
DROP TABLE IF EXISTS missing.solo
DROP TABLE titles
DROP TABLE parent
DROP TABLE parent CASCADE
DROP TABLE child
DROP TABLE parted
DROP TABLE parted_1
DROP TABLE parted_default
DROP TABLE typed
DROP TABLE counted
DROP TABLE other.solo
DROP VIEW titles
DROP VIEW titles CASCADE
DROP VIEW titles_of_titles
DROP VIEW titles, titles_of_titles
DROP VIEW solo
DROP VIEW missing
DROP VIEW grouped
DROP VIEW called
DROP MATERIALIZED VIEW stored_titles
DROP MATERIALIZED VIEW titles
DROP SEQUENCE loose_seq
DROP SEQUENCE used_seq
DROP SEQUENCE used_seq CASCADE
DROP SEQUENCE counted_id_seq
DROP SEQUENCE counted_id_seq CASCADE
DROP SEQUENCE solo_id_seq
DROP SEQUENCE solo_id_seq CASCADE
DROP SEQUENCE IF EXISTS missing
DROP INDEX book_title_idx
DROP INDEX book_title_idx, book_lower_idx
DROP INDEX author_pkey
DROP INDEX author_pkey CASCADE
DROP INDEX author_name_idx
DROP INDEX author_name_idx CASCADE
DROP INDEX parted_n_idx
DROP INDEX parted_1_n_idx
DROP INDEX missing
DROP INDEX IF EXISTS missing
DROP INDEX solo
DROP INDEX other.solo_pkey
DROP TYPE mood
DROP TYPE mood CASCADE
DROP TYPE unused
DROP TYPE IF EXISTS missing
DROP TYPE missing
DROP TYPE pair
DROP TYPE pair CASCADE
DROP TYPE solo
DROP DOMAIN positive
DROP DOMAIN positive CASCADE
DROP DOMAIN mood
DROP FUNCTION plus(int, int)
DROP FUNCTION plus
DROP FUNCTION fired
DROP FUNCTION fired() CASCADE
DROP FUNCTION fired() RESTRICT
DROP FUNCTION checked(int)
DROP FUNCTION checked(int) CASCADE
DROP FUNCTION shown(int)
DROP FUNCTION shown(int) CASCADE
DROP FUNCTION over(int)
DROP FUNCTION over
DROP FUNCTION missing(int)
DROP FUNCTION IF EXISTS missing(int)
DROP FUNCTION of_mood(mood)
DROP PROCEDURE done()
DROP PROCEDURE plus(int, int)
DROP ROUTINE done
DROP ROUTINE plus(int, int)
DROP TRIGGER book_fired ON book
DROP TRIGGER missing ON book
DROP TRIGGER IF EXISTS missing ON book
DROP TRIGGER IF EXISTS missing ON missing
DROP TRIGGER missing ON missing
DROP TRIGGER parted_fired ON parted
DROP TRIGGER parted_fired ON parted_1
DROP POLICY own ON book
DROP POLICY IF EXISTS missing ON book
DROP RULE noted ON solo
DROP RULE missing ON solo
DROP SCHEMA other
DROP SCHEMA other CASCADE
DROP SCHEMA empty
DROP SCHEMA missing
DROP SCHEMA IF EXISTS missing, empty
DROP EXTENSION missing
DROP EXTENSION IF EXISTS missing
DROP COLLATION german
DROP COLLATION german CASCADE
DROP COLLATION missing
DROP STATISTICS book_statistics
DROP STATISTICS missing
DROP STATISTICS IF EXISTS missing
DROP TABLE book; DROP TABLE author
DROP VIEW titles CASCADE; DROP TABLE author CASCADE; DROP TABLE book
DROP TRIGGER book_fired ON book; DROP FUNCTION fired CASCADE
