CREATE TABLE public.t (id int PRIMARY KEY, n int);
CREATE TABLE public.u (id int PRIMARY KEY, n int);
CREATE FUNCTION public.f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE STATISTICS public.st ON id, n FROM public.t;
CREATE COLLATION public.cc FROM "C";
CREATE TEXT SEARCH CONFIGURATION public.tsc (COPY = pg_catalog.english);
CREATE TEXT SEARCH DICTIONARY public.tsd (TEMPLATE = simple);
CREATE CONVERSION public.cv FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
CREATE OPERATOR FAMILY public.of USING btree;
CREATE OPERATOR CLASS public.oc FOR TYPE int USING btree FAMILY public.of
    AS FUNCTION 1 btint4cmp(int, int);
CREATE PUBLICATION p FOR TABLE public.t;
CREATE VIEW public.v AS SELECT id FROM public.t;
