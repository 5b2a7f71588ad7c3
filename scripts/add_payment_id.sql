-- Add, fill and constrain a unique uuid column on a live table; psql only, no Python.
--
--   psql -X -d DATABASE -f add_payment_id.sql
--   psql -X -d DATABASE -v table='public."Order"' -v batch=5000 -f add_payment_id.sql
--
-- Variables, all optional:
--   table         as written in SQL, with quotes and schema where it needs them (treasury_payment)
--   column        the plain name of the column (payment_id)
--   batch         rows that one transaction fills, about (5000)
--   lock_timeout  the longest wait for a lock before another try (100ms)
--   patience      seconds until it gives up on locks that others hold (60)
--   triggers      refuse, fire or skip: what to do where UPDATE triggers would fire (refuse)
--
-- Every batch is committed, each phase is left out where it is done already: after a stop, run it
-- again. An existing value is never changed. It excludes `manage.py seed_payment_id`, and ends
-- in the same state. Needs PostgreSQL 14, the table's owner, and a session of its own: no pooler in
-- transaction mode in between.
\set ON_ERROR_STOP on
\set QUIET on
\if :{?table}
\else
    \set table treasury_payment
\endif
\if :{?column}
\else
    \set column payment_id
\endif
\if :{?batch}
\else
    \set batch 5000
\endif
\if :{?lock_timeout}
\else
    \set lock_timeout 100ms
\endif
\if :{?patience}
\else
    \set patience 60
\endif
\if :{?triggers}
\else
    \set triggers refuse
\endif
-- Whoever may create in a schema of the search_path could have a function or an operator there that
-- fits better than PostgreSQL's, and it would run as this role (CVE-2018-1058).
SELECT pg_catalog.current_setting('search_path') AS project_path \gset
SELECT CAST(CAST(:'table' AS pg_catalog.regclass) AS pg_catalog.oid) AS oid \gset
SET search_path = pg_catalog, pg_temp;
SET client_min_messages = notice;
SET row_security = off;
SET jit = off;
-- In a stricter one a row that another session changed meanwhile would end the run.
SET default_transaction_isolation = 'read committed';
DO $$ BEGIN
    IF current_setting('server_version_num')::int < 140000 THEN
        RAISE EXCEPTION 'refused: this server is older than PostgreSQL 14';
    END IF;
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'refused: this server is a standby'
            USING HINT = 'connect to the primary';
    END IF;
    IF NOT has_database_privilege(current_database(), 'TEMP') THEN
        RAISE EXCEPTION 'refused: this role may make no temporary objects, which the script needs'
            USING HINT = format('GRANT TEMPORARY ON DATABASE %I TO %I',
                                current_database(), current_user);
    END IF;
    -- Time-outs of the role are meant for the application; transaction_timeout came with 17.
    PERFORM set_config(name, '0', false) FROM pg_settings
    WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
                   'transaction_timeout');
    -- Readers see the values at once: they must survive a crash of the server.
    IF current_setting('synchronous_commit') = 'off' THEN
        SET synchronous_commit = on;
    END IF;
END $$;

-- What the project has on its table (triggers, checks, generated columns) sees the names that it
-- knows; the statement itself names everything of PostgreSQL's in full.
CREATE FUNCTION pg_temp.as_project(statement text, path text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    done bigint;
BEGIN
    PERFORM pg_catalog.set_config('search_path', path, true);
    EXECUTE statement;
    GET DIAGNOSTICS done = ROW_COUNT;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    RETURN done;
END $$;
-- PostgreSQL itself gives the name, shortened where it must be.
CREATE FUNCTION pg_temp.constraint_name(target oid, named text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    EXECUTE format('CREATE TEMP TABLE %I (%I uuid UNIQUE) ON COMMIT DROP',
                   (SELECT relname FROM pg_class WHERE oid = target), named);
    SELECT conname INTO found FROM pg_constraint
    WHERE contype = 'u' AND conrelid = format('pg_temp.%I',
          (SELECT relname FROM pg_class WHERE oid = target))::regclass;
    RETURN found;
END $$;
BEGIN;
SELECT pg_temp.constraint_name(:oid, :'column') AS constraint \gset
COMMIT;

-- Statements that need a strong lock: a short wait, then again, so that other sessions do not queue for long.
CREATE PROCEDURE pg_temp.with_short_locks(
    target oid, statements text[], lock_timeout text, patience float
) LANGUAGE plpgsql AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + patience * interval '1 second';
    pause float := 0.1;
    wait text := lock_timeout;
    waited_long boolean := false;
    statement text;
    done boolean;
    holders int[];
    only_autovacuum boolean;
    against_wraparound boolean;
BEGIN
    LOOP
        BEGIN
            PERFORM set_config('lock_timeout', wait, true);
            FOREACH statement IN ARRAY statements LOOP
                EXECUTE statement;
            END LOOP;
            done := true;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            done := false;
        END;
        COMMIT;
        EXIT WHEN done;
        wait := lock_timeout;
        -- Autovacuum workers belong to no role.
        SELECT array_agg(DISTINCT l.pid), bool_and(a.pid IS NOT NULL AND a.usesysid IS NULL)
        INTO holders, only_autovacuum
        FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'relation' AND l.relation = target AND l.granted
          AND l.pid <> pg_backend_pid()
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'stopped: the lock was not obtained in % s; % is held by process %',
                patience, target::regclass, coalesce(array_to_string(holders, ', '), 'none any more')
                USING HINT = 'run the script again';
        END IF;
        IF only_autovacuum AND NOT waited_long THEN
            SELECT age(relfrozenxid) > least(current_setting('autovacuum_freeze_max_age')::int,
                       (SELECT option_value::int FROM pg_options_to_table(reloptions)
                        WHERE option_name = 'autovacuum_freeze_max_age'))
                OR mxid_age(relminmxid) > least(
                       current_setting('autovacuum_multixact_freeze_max_age')::int,
                       (SELECT option_value::int FROM pg_options_to_table(reloptions)
                        WHERE option_name = 'autovacuum_multixact_freeze_max_age'))
            INTO against_wraparound FROM pg_class WHERE oid = target;
            IF against_wraparound THEN
                RAISE EXCEPTION 'stopped: an autovacuum against transaction id wraparound (process'
                    ' %) holds %; it must be let finish', holders[1], target::regclass
                    USING HINT = 'run the script again when it has ended';
            END IF;
            -- It yields only to who waits for longer than deadlock_timeout.
            waited_long := true;
            wait := (extract(epoch FROM current_setting('deadlock_timeout')::interval) * 1000
                     + 500)::int || 'ms';
            RAISE NOTICE 'an autovacuum (process %) holds %; one try waits %, and writers behind it'
                ' as long', holders[1], target::regclass, wait;
            CONTINUE;
        END IF;
        RAISE NOTICE '% is held by process %; trying again', target::regclass,
            coalesce(array_to_string(holders, ', '), 'none any more');
        COMMIT;
        PERFORM pg_sleep(pause * (0.5 + random()));
        COMMIT;
        pause := least(pause * 2, 2);
    END LOOP;
END $$;

CREATE PROCEDURE pg_temp.examine(
    target oid, named text, constraint_name text, triggers text, gives text, path text
) LANGUAGE plpgsql AS $$
DECLARE
    here regclass := target::regclass;
    quoted text := format('%I', named);
    kind record;
    attribute record;
    usable text[];
    found text;
    line text;
    varies boolean := false;
    several bigint;
BEGIN
    -- The same lock as the command's: "seed" in ASCII, and the oid as a signed number.
    IF NOT pg_try_advisory_lock(1936024932, (CASE WHEN target::bigint >= 2147483648
            THEN target::bigint - 4294967296 ELSE target::bigint END)::int) THEN
        RAISE EXCEPTION 'refused: another run is seeding % at this moment', here;
    END IF;
    SELECT c.*, pg_has_role(current_user, c.relowner, 'USAGE') AS owned,
           n.nspname, has_schema_privilege(n.oid, 'CREATE') AS may_create
    INTO kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = target;
    IF kind.relkind <> 'r' OR kind.relispartition
            OR EXISTS (SELECT FROM pg_inherits WHERE inhparent = target) THEN
        RAISE EXCEPTION 'refused: % is no table of its own, but partitioned, inherited or a view;'
            ' no constraint is unique across such tables', here
            USING HINT = 'manage.py seed_payment_id --no-unique fills such tables';
    END IF;
    IF NOT kind.owned THEN
        RAISE EXCEPTION 'refused: only the owner of % may add a column to it', here
            USING HINT = format('connect as %s', kind.relowner::regrole);
    END IF;
    SELECT a.attnum, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull,
           a.attgenerated <> '' OR a.attidentity <> '' AS generated,
           pg_get_expr(d.adbin, d.adrelid) AS default_value
    INTO attribute
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = target AND a.attname = named AND NOT a.attisdropped;
    IF attribute.attnum IS NULL AND kind.reloftype <> 0 THEN
        RAISE EXCEPTION 'refused: % is a table of a composite type, to which PostgreSQL adds no'
            ' column', here USING HINT = format('ALTER TABLE %s NOT OF', here);
    END IF;
    IF attribute.attnum IS NULL AND kind.relnatts >= 1600 THEN
        RAISE EXCEPTION 'refused: % has had % columns, with those that were dropped: PostgreSQL'
            ' adds no other', here, kind.relnatts
            USING HINT = 'copy the rows into a new table; VACUUM FULL does not help';
    END IF;
    IF attribute.type <> 'uuid' OR attribute.generated THEN
        RAISE EXCEPTION 'refused: column % of % exists, but it is %, or generated',
            named, here, attribute.type
            USING HINT = 'manage.py seed_payment_id converts text that holds UUIDs';
    END IF;
    -- An index of the seed is used or made anew; another, also a deferrable one, is in the way.
    SELECT coalesce(array_agg(x.relname), '{}') INTO usable
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = target AND i.indisunique AND i.indnkeyatts = 1
      AND i.indkey[0] = attribute.attnum AND i.indpred IS NULL AND i.indexprs IS NULL
      AND (i.indimmediate OR NOT i.indisvalid);
    IF constraint_name <> ALL (usable) AND EXISTS (SELECT FROM pg_class
            WHERE relnamespace = kind.relnamespace AND relname = constraint_name) THEN
        RAISE EXCEPTION 'refused: the name % is taken by another relation in schema %; a deferrable'
            ' constraint, or an index of some rows only, is no substitute',
            constraint_name, kind.nspname USING HINT = format('ALTER TABLE %I.%I RENAME TO %I',
                kind.nspname, constraint_name, left(constraint_name, 50) || '_former');
    END IF;
    IF usable = '{}' AND NOT kind.may_create THEN
        RAISE EXCEPTION 'refused: the role may not create an index in schema %', kind.nspname
            USING HINT = format('GRANT CREATE ON SCHEMA %I TO %I', kind.nspname, current_user);
    END IF;
    -- The planner does not sort by what cannot differ.
    FOR line IN EXECUTE format('EXPLAIN (COSTS OFF) SELECT FROM generate_series(1, 2)'
            ' ORDER BY CAST((%s) AS uuid)', coalesce(attribute.default_value, gives)) LOOP
        varies := varies OR line LIKE '%Sort%';
    END LOOP;
    IF NOT varies THEN
        RAISE EXCEPTION 'refused: the default of %.%, %, is one value for all rows, and the column'
            ' is to be unique', here, named, attribute.default_value
            USING HINT = format('ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s', here, quoted, gives);
    END IF;
    IF attribute.attnum IS NOT NULL THEN
        EXECUTE format('SELECT count(*) FROM (SELECT FROM %s WHERE %I IS NOT NULL GROUP BY %2$I'
                       ' HAVING count(*) > 1) AS several', here, named) INTO several;
        IF several > 0 THEN
            RAISE EXCEPTION 'refused: values of %.% that are in more than one row: %',
                here, named, several
                USING HINT = format('SELECT %1$s, count(*) FROM %2$s WHERE %1$s IS NOT NULL'
                                    ' GROUP BY 1 HAVING count(*) > 1', quoted, here);
        END IF;
    END IF;
    IF attribute.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = target
            AND contype = 'n' AND conkey = ARRAY[attribute.attnum] AND NOT convalidated) THEN
        RETURN;
    END IF;
    IF kind.relrowsecurity AND kind.relforcerowsecurity
            AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION 'refused: row-level security hides rows of % from this role', here
            USING HINT = 'use a role with BYPASSRLS';
    END IF;
    SELECT string_agg(tgname, ', ' ORDER BY tgname) INTO found FROM pg_trigger
    WHERE tgrelid = target AND NOT tgisinternal AND tgtype & 16 <> 0
      AND (tgattr = ''::int2vector OR attribute.attnum = ANY (tgattr))
      AND CASE triggers WHEN 'refuse' THEN tgenabled IN ('O', 'A')
                        WHEN 'skip' THEN tgenabled IN ('A', 'R') ELSE false END;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'refused: UPDATE triggers of % would fire for every row: %', here, found
            USING HINT = CASE triggers WHEN 'skip' THEN '-v triggers=fire, where that does no harm'
                ELSE '-v triggers=fire, where that does no harm; or -v triggers=skip' END;
    END IF;
    IF triggers = 'skip' THEN
        BEGIN
            SET LOCAL session_replication_role = replica;
            SET LOCAL session_replication_role = origin;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE EXCEPTION 'refused: this role may not set session_replication_role, which'
                ' triggers=skip needs' USING HINT = '-v triggers=fire, where that does no harm';
        END;
    END IF;
    SELECT string_agg(rulename, ', ' ORDER BY rulename) INTO found FROM pg_rewrite
    WHERE ev_class = target AND ev_type = '2' AND ev_enabled <> 'D';
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'refused: rules of % rewrite an UPDATE: %', here, found
            USING HINT = 'make them triggers, or drop them for the time of the script';
    END IF;
    SELECT string_agg(DISTINCT p.pubname, ', ') INTO found FROM pg_publication_tables p
    JOIN pg_publication USING (pubname)
    WHERE p.schemaname = kind.nspname AND p.tablename = kind.relname AND pubupdate
      AND (kind.relreplident = 'n' OR kind.relreplident = 'd' AND NOT EXISTS (
           SELECT FROM pg_index WHERE indrelid = target AND indisprimary));
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'refused: % is published (%) and has no replica identity, so PostgreSQL'
            ' refuses every UPDATE of it', here, found
            USING HINT = format('ALTER TABLE %s REPLICA IDENTITY FULL', here);
    END IF;
    -- Rows that an unvalidated check keeps, but refuses to update.
    FOR found, line IN SELECT conname, pg_get_expr(conbin, conrelid) FROM pg_constraint
            WHERE conrelid = target AND contype = 'c' AND NOT convalidated
            AND conname <> 'opsmigrate_seeded' LOOP
        several := pg_temp.as_project(
            format('SELECT FROM ONLY %s WHERE NOT (%s) LIMIT 1', here, line), path);
        IF several > 0 THEN
            RAISE EXCEPTION 'refused: rows of % violate a check that was never validated, so'
                ' PostgreSQL refuses to update them: %', here, found
                USING HINT = format('mend those rows; then ALTER TABLE %s VALIDATE CONSTRAINT %I',
                                    here, found);
        END IF;
    END LOOP;
    IF attribute.attnum IS NULL THEN
        SELECT string_agg(DISTINCT pubname, ', ') INTO found FROM pg_publication_tables
        WHERE schemaname = kind.nspname AND tablename = kind.relname;
        IF found IS NOT NULL THEN
            RAISE WARNING '% is published (%); a subscriber whose table has no column % stops'
                ' replicating', here, found, named
                USING HINT = format('on each subscriber: ALTER TABLE %s ADD COLUMN %s uuid',
                                    here, quoted);
        END IF;
    END IF;
END $$;
CALL pg_temp.examine(:oid, :'column', :'constraint', :'triggers', 'gen_random_uuid()',
    :'project_path');

SELECT :'triggers' = 'skip' AS skip \gset
\if :skip
    SET session_replication_role = replica;
\endif

\echo add the column, and its default
SELECT format('%I', :'column') AS quoted, :oid::regclass AS here,
       NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = :oid AND attname = :'column'
                   AND NOT attisdropped) AS missing \gset
-- Without the default: one ALTER with a volatile default would rewrite the table.
\if :missing
    SELECT format('ALTER TABLE %s ADD COLUMN %s uuid', :'here', :'quoted') AS statement \gset
    CALL pg_temp.with_short_locks(:oid, ARRAY[:'statement'], :'lock_timeout', :patience);
\endif
SELECT NOT atthasdef AS missing FROM pg_attribute
WHERE attrelid = :oid AND attname = :'column' AND NOT attisdropped \gset
\if :missing
    SELECT format('ALTER TABLE %s ALTER COLUMN %s SET DEFAULT gen_random_uuid()',
                  :'here', :'quoted') AS statement \gset
    CALL pg_temp.with_short_locks(:oid, ARRAY[:'statement'], :'lock_timeout', :patience);
\endif

-- A full page has no room for new versions of all its rows, but for an eighth of them it has, and
-- the next pass finds the room that pruning made: most updates touch no index.
CREATE PROCEDURE pg_temp.fill(
    target oid, named text, batch int, lock_timeout text, patience float, path text
) LANGUAGE plpgsql AS $$
DECLARE
    here regclass := target::regclass;
    blocks bigint := pg_relation_size(target) / current_setting('block_size')::bigint;
    per_block float := greatest((SELECT reltuples / greatest(relpages, 1) FROM pg_class
                                 WHERE oid = target), 1);
    dense float;
    passes int;
    span bigint;
    start bigint := 0;
    pass int;
    rows_now bigint;
    total bigint := 0;
    any_left boolean;
    began timestamptz := clock_timestamp();
    told timestamptz := clock_timestamp();
    waiting timestamptz;
    range_of text;
    part text;
    -- In full, for as_project.
    set_value text := format('UPDATE ONLY %s SET %I = pg_catalog.gen_random_uuid()', here, named);
    unlocked text := format('%s WHERE ctid OPERATOR(pg_catalog.=) ANY'
                            ' (ARRAY(SELECT ctid FROM ONLY %s WHERE ', set_value, here);
    only_these text := format(' FOR NO KEY UPDATE SKIP LOCKED)) AND %I IS NULL', named);
BEGIN
    -- Never analyzed, or so much smaller then that it says nothing of the present table.
    IF blocks > 0 AND (SELECT reltuples < 1 OR blocks > 2 * relpages FROM pg_class
                       WHERE oid = target) THEN
        EXECUTE format('SELECT count(*)::float / %s FROM ONLY %s WHERE ctid < %L::tid',
                       least(blocks, 100), here, format('(%s,0)', least(blocks, 100)))
        INTO per_block;
        per_block := greatest(per_block, 1);
    END IF;
    WHILE start < blocks LOOP
        -- Where rows stand closer than on average, as at the end of a table that was emptied, there
        -- are fewer blocks to a batch.
        dense := per_block;
        LOOP
            passes := greatest(1, least(8, round(dense)));
            span := greatest(1, least(round(batch * passes / dense), blocks - start));
            range_of := format('ctid OPERATOR(pg_catalog.>=) %L::pg_catalog.tid AND'
                               ' ctid OPERATOR(pg_catalog.<) %L::pg_catalog.tid AND %I IS NULL',
                               format('(%s,0)', start), format('(%s,0)', start + span), named);
            EXECUTE format('SELECT count(*) FROM ONLY %s WHERE %s', here, range_of) INTO rows_now;
            EXIT WHEN span = 1 OR rows_now <= 1.25 * batch * passes;
            dense := greatest(2 * dense, rows_now::float / span);
        END LOOP;
        IF rows_now = 0 THEN
            start := start + span;
            COMMIT;
            CONTINUE;
        END IF;
        FOR pass IN 0 .. passes - 1 LOOP
            part := CASE WHEN pass = passes - 1 THEN ''
                    ELSE format(' AND pg_catalog.get_byte(pg_catalog.tidsend(ctid), 5)'
                                ' OPERATOR(pg_catalog.%%) %s OPERATOR(pg_catalog.=) %s',
                                passes, pass) END;
            BEGIN
                PERFORM set_config('lock_timeout', lock_timeout, true);
                rows_now := pg_temp.as_project(set_value || ' WHERE ' || range_of || part, path);
            EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
                rows_now := NULL;
            END;
            IF rows_now IS NULL THEN
                -- Somebody holds a row: go on without it, and come back.
                rows_now := pg_temp.as_project(unlocked || range_of || part || only_these, path);
            END IF;
            total := total + rows_now;
            COMMIT;
            IF clock_timestamp() - told > interval '5 seconds' THEN
                told := clock_timestamp();
                RAISE NOTICE '% rows filled, % %% of the blocks, % rows/s', total,
                    round(100.0 * start / blocks),
                    round(total / extract(epoch FROM told - began)::numeric);
            END IF;
        END LOOP;
        start := start + span;
    END LOOP;
    -- What was locked, or moved while its range was read.
    waiting := clock_timestamp();
    LOOP
        rows_now := pg_temp.as_project(
            unlocked || format('%I IS NULL LIMIT %s', named, batch) || only_these, path);
        total := total + rows_now;
        COMMIT;
        IF rows_now > 0 THEN
            waiting := clock_timestamp();
            CONTINUE;
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s WHERE %I IS NULL)', here, named)
        INTO any_left;
        EXIT WHEN NOT any_left;
        IF clock_timestamp() - waiting > patience * interval '1 second' THEN
            RAISE EXCEPTION 'stopped: rows are left that other sessions have locked; % are filled', total
                USING HINT = 'run the script again';
        END IF;
        PERFORM pg_sleep(0.2);
        COMMIT;
    END LOOP;
    RAISE NOTICE '% rows filled in % s', total,
        round(extract(epoch FROM clock_timestamp() - began)::numeric, 1);
END $$;

-- Since PostgreSQL 18 a NOT NULL can be there and not be validated.
SELECT attnotnull AND NOT EXISTS (
    SELECT FROM pg_constraint WHERE conrelid = attrelid AND contype = 'n'
    AND conkey = ARRAY[attnum] AND NOT convalidated) AS finished, attnum AS number,
    coalesce((SELECT format('ALTER TABLE %s VALIDATE CONSTRAINT %I', :'here', conname)
              FROM pg_constraint WHERE conrelid = attrelid AND contype = 'n'
              AND conkey = ARRAY[attnum] AND NOT convalidated), '') AS validate
FROM pg_attribute WHERE attrelid = :oid AND attname = :'column' AND NOT attisdropped \gset
\if :finished
\else
    \echo fill
    CALL pg_temp.fill(:oid, :'column', :batch, :'lock_timeout', :patience, :'project_path');
\endif

\echo make it unique
SELECT n.nspname AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = :oid \gset
CREATE TEMP VIEW unique_indexes AS
SELECT x.relname, i.indexrelid, i.indisvalid AND i.indisready AS valid, con.conname
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
LEFT JOIN pg_constraint con ON con.conindid = x.oid AND con.contype IN ('u', 'p')
     AND con.conrelid = i.indrelid
WHERE i.indrelid = :oid AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = :number
  AND i.indpred IS NULL AND i.indexprs IS NULL AND (i.indimmediate OR NOT i.indisvalid);
-- CONCURRENTLY waits for older transactions; a time-out would leave an INVALID index.
SET lock_timeout = 0;
SELECT format('DROP INDEX CONCURRENTLY %I.%I', :'schema', relname) FROM unique_indexes
WHERE NOT valid AND NOT EXISTS (SELECT FROM unique_indexes WHERE valid) \gexec
\set ON_ERROR_STOP off
SELECT format('CREATE UNIQUE INDEX CONCURRENTLY %I ON %s (%s)', :'constraint', :'here', :'quoted')
WHERE NOT EXISTS (SELECT FROM unique_indexes WHERE valid) \gexec
\set failed :ERROR
\set ON_ERROR_STOP on
\if :failed
    -- What a failure leaves costs every writer.
    SELECT format('DROP INDEX CONCURRENTLY %I.%I', :'schema', relname) FROM unique_indexes
    WHERE NOT valid \gexec
    DO $$ BEGIN
        RAISE EXCEPTION 'stopped: the unique index could not be made; what is filled stays'
            USING HINT = 'see what psql said above; then run the script again';
    END $$;
\endif
SELECT coalesce((
    SELECT CASE WHEN conname = :'constraint' THEN ''
        WHEN conname IS NOT NULL THEN format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I',
             :'here', conname, :'constraint')
        ELSE format('ALTER TABLE %s ADD CONSTRAINT %I UNIQUE USING INDEX %I',
             :'here', :'constraint', relname) END
    FROM unique_indexes WHERE valid ORDER BY conname IS NULL LIMIT 1), '') AS statement \gset
SELECT :'statement' <> '' AS missing \gset
\if :missing
    CALL pg_temp.with_short_locks(:oid, ARRAY[:'statement'], :'lock_timeout', :patience);
\endif
DROP VIEW unique_indexes;

\echo forbid NULLs
SELECT :'validate' <> '' AS only_validate,
       format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS opsmigrate_seeded', :'here') AS drop_check,
       format('ALTER TABLE %s ADD CONSTRAINT opsmigrate_seeded CHECK (%s IS NOT NULL) NOT VALID',
              :'here', :'quoted') AS add_check,
       format('ALTER TABLE %s VALIDATE CONSTRAINT opsmigrate_seeded', :'here') AS validate_check,
       format('ALTER TABLE %s ALTER COLUMN %s SET NOT NULL', :'here', :'quoted') AS set_not_null
\gset
\if :finished
\elif :only_validate
    CALL pg_temp.with_short_locks(:oid, ARRAY[:'validate'], :'lock_timeout', :patience);
\else
    SET client_min_messages = warning;
    CALL pg_temp.with_short_locks(:oid, ARRAY[:'drop_check', :'add_check'], :'lock_timeout', :patience);
    CALL pg_temp.with_short_locks(:oid, ARRAY[:'validate_check'], :'lock_timeout', :patience);
    -- Two ALTERs: in one, PostgreSQL would not use the check and read the table again.
    CALL pg_temp.with_short_locks(:oid, ARRAY[:'set_not_null', :'drop_check'], :'lock_timeout', :patience);
    SET client_min_messages = notice;
\endif

\echo verify
SELECT format('ANALYZE %s', :'here') \gexec
CREATE PROCEDURE pg_temp.verify(target oid, named text, constraint_name text)
LANGUAGE plpgsql AS $$
DECLARE
    total bigint;
    valued bigint;
    different bigint;
BEGIN
    EXECUTE format('SELECT count(*), count(%I), count(DISTINCT %1$I) FROM ONLY %s',
                   named, target::regclass) INTO total, valued, different;
    IF total <> valued OR valued <> different OR NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = target AND attname = named AND attnotnull
            AND atthasdef) OR NOT EXISTS (
            SELECT FROM pg_constraint WHERE conrelid = target AND conname = constraint_name
            AND contype = 'u') THEN
        RAISE EXCEPTION 'stopped: %.% is not as it must be: % rows, % without a value, % values'
            ' more than once', target::regclass, named, total, total - valued, valued - different
            USING HINT = 'run the script again';
    END IF;
    RAISE NOTICE '%.%: % rows, NOT NULL, unique, 0 NULLs, 0 duplicates',
        target::regclass, named, total;
END $$;
CALL pg_temp.verify(:oid, :'column', :'constraint');
