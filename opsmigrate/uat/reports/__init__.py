"""The files of an acceptance run: text, JSON, JUnit XML, and one self-contained HTML page."""
