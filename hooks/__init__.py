"""Small MkDocs hooks and Markdown extensions, one job each."""
