"""RENAME, SET SCHEMA and COMMENT, on a fixed set of objects: as the server does it."""

from __future__ import annotations

import pytest
from django.db import connections

from opsmigrate.preflight.interpret.reading import read_schema
from tests.conftest import execute
from tests.interpret.objects import OBJECTS
from tests.interpret.undone import differences

pytestmark = pytest.mark.major

STATEMENTS = """
ALTER TABLE author RENAME TO writer
ALTER TABLE author RENAME TO book
ALTER TABLE author RENAME TO mood
ALTER TABLE author RENAME TO author
ALTER TABLE author RENAME TO author_pkey
ALTER TABLE solo RENAME TO single
ALTER TABLE parted RENAME TO parts
ALTER TABLE parted_1 RENAME TO part_1
ALTER TABLE parent RENAME TO ancestor
ALTER TABLE missing RENAME TO x
ALTER TABLE IF EXISTS missing RENAME TO x
ALTER TABLE titles RENAME TO x
ALTER VIEW titles RENAME TO x
ALTER VIEW solo RENAME TO x
ALTER MATERIALIZED VIEW stored_titles RENAME TO x
ALTER MATERIALIZED VIEW titles RENAME TO x
ALTER SEQUENCE used_seq RENAME TO x
ALTER SEQUENCE solo_id_seq RENAME TO x
ALTER SEQUENCE solo RENAME TO x
ALTER TABLE used_seq RENAME TO x
ALTER INDEX book_title_idx RENAME TO x
ALTER INDEX book_title_idx RENAME TO book
ALTER INDEX author_pkey RENAME TO x
ALTER INDEX author_name_idx RENAME TO x
ALTER INDEX parted_n_idx RENAME TO x
ALTER INDEX parted_1_n_idx RENAME TO x
ALTER INDEX IF EXISTS missing RENAME TO x
ALTER INDEX missing RENAME TO x
ALTER TABLE book_title_idx RENAME TO x
ALTER INDEX solo RENAME TO x
ALTER TABLE book RENAME COLUMN title TO name
ALTER TABLE book RENAME COLUMN id TO x
ALTER TABLE book RENAME COLUMN pages TO x
ALTER TABLE book RENAME COLUMN size TO x
ALTER TABLE book RENAME COLUMN author_id TO x
ALTER TABLE book RENAME COLUMN title TO pages
ALTER TABLE book RENAME COLUMN missing TO x
ALTER TABLE book RENAME COLUMN title TO ctid
ALTER TABLE book RENAME COLUMN ctid TO x
ALTER TABLE author RENAME COLUMN id TO x
ALTER TABLE author RENAME COLUMN name TO x
ALTER TABLE plain RENAME COLUMN n TO x
ALTER TABLE counted RENAME COLUMN id TO x
ALTER TABLE parent RENAME COLUMN n TO x
ALTER TABLE ONLY parent RENAME COLUMN n TO x
ALTER TABLE child RENAME COLUMN n TO x
ALTER TABLE child RENAME COLUMN m TO x
ALTER TABLE parent RENAME COLUMN n TO m
ALTER TABLE parted RENAME COLUMN n TO x
ALTER TABLE parted RENAME COLUMN author_id TO x
ALTER VIEW titles RENAME COLUMN title TO x
ALTER TABLE titles RENAME COLUMN title TO x
ALTER MATERIALIZED VIEW stored_titles RENAME COLUMN title TO x
ALTER TYPE pair RENAME ATTRIBUTE a TO x
ALTER TABLE pair RENAME COLUMN a TO x
ALTER TABLE book RENAME CONSTRAINT book_two TO x
ALTER TABLE book RENAME CONSTRAINT book_two TO book_checked
ALTER TABLE book RENAME CONSTRAINT book_pkey TO x
ALTER TABLE author RENAME CONSTRAINT author_pkey TO x
ALTER TABLE author RENAME CONSTRAINT author_pkey TO book
ALTER TABLE book RENAME CONSTRAINT book_author_id_fkey TO x
ALTER TABLE book RENAME CONSTRAINT missing TO x
ALTER TABLE parent RENAME CONSTRAINT parent_n_check TO x
ALTER TABLE ONLY parent RENAME CONSTRAINT parent_n_check TO x
ALTER TABLE child RENAME CONSTRAINT parent_n_check TO x
ALTER TABLE parted RENAME CONSTRAINT parted_author_id_fkey TO x
ALTER TABLE parted_1 RENAME CONSTRAINT parted_author_id_fkey TO x
ALTER TRIGGER book_fired ON book RENAME TO x
ALTER TRIGGER missing ON book RENAME TO x
ALTER TRIGGER parted_fired ON parted RENAME TO x
ALTER POLICY own ON book RENAME TO x
ALTER POLICY missing ON book RENAME TO x
ALTER RULE noted ON solo RENAME TO x
ALTER TYPE mood RENAME TO x
ALTER TYPE mood RENAME TO unused
ALTER TYPE mood RENAME TO author
ALTER TYPE pair RENAME TO x
ALTER TYPE author RENAME TO x
ALTER TYPE missing RENAME TO x
ALTER DOMAIN positive RENAME TO x
ALTER DOMAIN mood RENAME TO x
ALTER DOMAIN positive RENAME CONSTRAINT positive_check TO x
ALTER FUNCTION fired RENAME TO x
ALTER FUNCTION checked RENAME TO x
ALTER FUNCTION shown(int) RENAME TO x
ALTER FUNCTION shown(int) RENAME TO checked
ALTER FUNCTION missing RENAME TO x
ALTER PROCEDURE done RENAME TO x
ALTER SCHEMA empty RENAME TO x
ALTER SCHEMA other RENAME TO x
ALTER SCHEMA other RENAME TO empty
ALTER SCHEMA missing RENAME TO x
ALTER SCHEMA other RENAME TO pg_x
ALTER TABLE plain SET SCHEMA other
ALTER TABLE author SET SCHEMA other
ALTER TABLE book SET SCHEMA empty
ALTER TABLE solo SET SCHEMA other
ALTER TABLE solo SET SCHEMA empty
ALTER TABLE parted SET SCHEMA empty
ALTER TABLE author SET SCHEMA missing
ALTER TABLE author SET SCHEMA public
ALTER TABLE IF EXISTS missing SET SCHEMA empty
ALTER SEQUENCE used_seq SET SCHEMA empty
ALTER SEQUENCE solo_id_seq SET SCHEMA empty
ALTER VIEW titles SET SCHEMA empty
ALTER TYPE mood SET SCHEMA empty
ALTER TYPE pair SET SCHEMA empty
ALTER FUNCTION checked SET SCHEMA empty
COMMENT ON TABLE author IS 'x'
COMMENT ON TABLE titles IS 'x'
COMMENT ON TABLE missing IS 'x'
COMMENT ON VIEW titles IS 'x'
COMMENT ON COLUMN author.name IS 'x'
COMMENT ON COLUMN author.missing IS 'x'
COMMENT ON COLUMN titles.title IS 'x'
COMMENT ON COLUMN public.pair.a IS 'x'
COMMENT ON INDEX book_title_idx IS 'x'
COMMENT ON INDEX missing IS 'x'
COMMENT ON CONSTRAINT author_pkey ON author IS 'x'
COMMENT ON CONSTRAINT missing ON author IS 'x'
COMMENT ON TRIGGER book_fired ON book IS 'x'
COMMENT ON POLICY own ON book IS 'x'
COMMENT ON RULE noted ON solo IS 'x'
COMMENT ON SEQUENCE used_seq IS 'x'
COMMENT ON MATERIALIZED VIEW stored_titles IS 'x'
COMMENT ON TYPE mood IS 'x'
COMMENT ON TYPE missing IS 'x'
COMMENT ON DOMAIN positive IS 'x'
COMMENT ON DOMAIN mood IS 'x'
COMMENT ON FUNCTION fired() IS 'x'
COMMENT ON FUNCTION fired(int) IS 'x'
COMMENT ON SCHEMA other IS 'x'
COMMENT ON SCHEMA missing IS 'x'
COMMENT ON EXTENSION plpgsql IS 'x'
ALTER TABLE author RENAME TO writer; ALTER TABLE writer RENAME COLUMN id TO x; DROP TABLE writer
ALTER FUNCTION checked RENAME TO x; DROP FUNCTION x CASCADE
ALTER FUNCTION fired RENAME TO x; DROP FUNCTION x CASCADE
ALTER FUNCTION shown RENAME TO x; DROP FUNCTION x
ALTER SEQUENCE used_seq RENAME TO x; DROP SEQUENCE x
ALTER VIEW titles RENAME TO x; DROP VIEW x; DROP VIEW x CASCADE
ALTER TABLE book RENAME CONSTRAINT book_pkey TO x; DROP VIEW grouped; DROP INDEX x
ALTER TYPE mood RENAME TO x; DROP TYPE x; DROP TYPE x CASCADE
ALTER TABLE book RENAME COLUMN pages TO x; DROP DOMAIN positive CASCADE
"""


def test_renames(empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, OBJECTS)
    before = read_schema(connection)
    lines = [
        line
        for text in STATEMENTS.strip().splitlines()
        for line in differences(before, text, connection)
    ]
    assert not lines, "\n".join(lines)
