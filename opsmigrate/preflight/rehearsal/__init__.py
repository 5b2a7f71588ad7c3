"""The rehearsal: migrate on a copy, inside a fence, and what that proves."""
