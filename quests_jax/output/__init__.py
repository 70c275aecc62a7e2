"""Output for people: tables, figures, the page, viewer files, files."""
