"""What of an archive's contents a copy gets."""

from opsmigrate.preflight.rehearsal.archive_selection import wanted_entries

LIST = """\
;
; Archive created at 2026-01-01 00:00:00 UTC
2; 3079 16385 EXTENSION - pg_cron
4500; 0 0 COMMENT - EXTENSION pg_cron
3; 3079 16390 EXTENSION - pg_stat_statements
4501; 0 0 COMMENT - EXTENSION pg_stat_statements
4; 3079 16391 EXTENSION - hstore
4502; 0 0 COMMENT - EXTENSION hstore
2046; 1417 16399 SERVER - elsewhere owner
2562; 0 0 USER MAPPING - USER MAPPING owner SERVER elsewhere owner
2550; 6104 16410 PUBLICATION - p owner
2551; 6106 16411 PUBLICATION TABLE public p t owner
2553; 6104 16413 PUBLICATION - of all owner
2554; 0 0 COMMENT - PUBLICATION of all owner
2552; 6100 16412 SUBSCRIPTION - s owner
215; 1259 16390 TABLE public user mapping owner
3301; 2606 16500 FK CONSTRAINT public t t_other_fk owner
3302; 2606 16501 FK CONSTRAINT public t t_user_fk owner
"""


def test_what_leads_outside_and_what_looks_on_is_left_out_and_named() -> None:
    entries = LIST.splitlines(keepends=True)

    kept, lacking = wanted_entries(entries, [("public", "t", "t_other_fk")], ["of all"])

    assert lacking == ("cron", "pg_stat_statements")
    assert [line.split(" ", 3)[3].strip() for line in kept[2:]] == [
        "EXTENSION - hstore",
        "COMMENT - EXTENSION hstore",
        "SERVER - elsewhere owner",
        "PUBLICATION - p owner",
        "PUBLICATION TABLE public p t owner",
        "TABLE public user mapping owner",
        "FK CONSTRAINT public t t_user_fk owner",
    ]
