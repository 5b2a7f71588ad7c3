"""Progress: a bar on a terminal, lines elsewhere, nothing where nobody wants it."""

from io import StringIO

from django.core.management.base import OutputWrapper

from opsmigrate.progress import Progress


class Terminal(StringIO):
    """A stream that a person watches."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_terminal_gets_a_bar_that_is_drawn_over() -> None:
    said = Terminal()
    progress = Progress(OutputWrapper(said), verbosity=1)
    progress.phase("fill …")
    progress._last = 0.0
    progress.update("250 of about 1,000 rows", share=0.25)
    progress.done()

    assert said.getvalue() == ("fill …\n  [#####---------------] 250 of about 1,000 rows\r\x1b[K")


def test_a_line_longer_than_the_terminal_is_cut_so_that_it_can_be_drawn_over() -> None:
    said = Terminal()
    progress = Progress(OutputWrapper(said), verbosity=1)
    progress.update("x" * 500)

    assert "\n" not in said.getvalue()
    assert len(said.getvalue()) < 500


def test_elsewhere_there_are_lines_without_a_bar_and_few_of_them() -> None:
    said = StringIO()
    progress = Progress(OutputWrapper(said), verbosity=1)
    progress.update("10 rows", share=0.1)
    progress.update("20 rows", share=0.2)

    assert said.getvalue() == "  10 rows\n"


def test_at_verbosity_0_nothing_is_said() -> None:
    said = Terminal()
    progress = Progress(OutputWrapper(said), verbosity=0)
    progress.phase("fill …")
    progress.update("10 rows", share=0.1)
    progress.done()

    assert said.getvalue() == ""
