BEGIN; CREATE TABLE n (i integer); ROLLBACK; CREATE TABLE n (j integer)
BEGIN; CREATE TABLE n (i integer); COMMIT; DROP TABLE n
BEGIN; BEGIN; CREATE TABLE n (i integer); ROLLBACK; CREATE TABLE n (j integer)
BEGIN; SAVEPOINT a; CREATE TABLE n (i integer); ROLLBACK TO a; CREATE TABLE n (j integer); RELEASE a; COMMIT; DROP TABLE n
BEGIN; SAVEPOINT a; CREATE TABLE n (i integer); SAVEPOINT b; DROP TABLE n; ROLLBACK TO b; ALTER TABLE n ADD COLUMN k integer; ROLLBACK TO a; CREATE TABLE n (j integer); COMMIT
BEGIN; SAVEPOINT a; SAVEPOINT a; CREATE TABLE n (i integer); RELEASE a; ROLLBACK TO a; CREATE TABLE n (j integer); COMMIT
BEGIN; ROLLBACK TO nope
BEGIN; SAVEPOINT a; RELEASE nope
START TRANSACTION; SET LOCAL search_path = other; CREATE TABLE n (i integer); COMMIT; CREATE TABLE n (j integer)
BEGIN; SET search_path = other; COMMIT; CREATE TABLE n (i integer)
BEGIN; SET search_path = other; ROLLBACK; CREATE TABLE n (i integer)
BEGIN; SET search_path = other; SET LOCAL search_path = public; COMMIT; CREATE TABLE n (i integer)
BEGIN; SET LOCAL search_path = other; SAVEPOINT a; SET search_path = public; ROLLBACK TO a; CREATE TABLE n (i integer); COMMIT; CREATE TABLE n (j integer)
SET LOCAL search_path = other; CREATE TABLE n (i integer)
COMMIT
ROLLBACK
BEGIN; CREATE TABLE n (i integer); BEGIN; ROLLBACK; CREATE TABLE n (j integer)
ROLLBACK TO a -- unknown
RELEASE a -- unknown
BEGIN; PREPARE TRANSACTION 'x' -- unknown
SET timezone = 'UTC'; CREATE TABLE n (a timestamp); SET lock_timeout = '5s'; ALTER TABLE n ALTER a TYPE timestamptz
SET timezone = 'Europe/Berlin'; CREATE TABLE n (a timestamp); ALTER TABLE n ALTER a TYPE timestamptz
SET search_path = 'public,other'; CREATE TABLE n (i int)
SET session_replication_role = replica -- unknown
