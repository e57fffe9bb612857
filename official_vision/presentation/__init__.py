"""How results look: one palette, pictures as files, fonts for names in any script, and one template for pages."""
