"""Pages that a physicist prints: tables, figures and pictures as one self-contained HTML and a PDF."""
