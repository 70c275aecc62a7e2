"""What a person sees and keeps: tables, figures, the page, viewer files, files."""
