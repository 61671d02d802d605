"""What a text looks like as a program: comments, strings, blocks, errors. The only room that knows tree-sitter."""
