-- For vim.lsp.enable('codegen'), Neovim 0.11 and later, without require('codegen').setup(): see :help codegen-builtin.
local names = { sh = 'shellscript', bash = 'shellscript' }
return {
  cmd = { 'codegen-lsp', 'serve' },
  filetypes = {
    'python', 'javascript', 'javascriptreact', 'typescript', 'typescriptreact',
    'go', 'rust', 'java', 'c', 'cpp', 'ruby', 'sh', 'bash',
  },
  root_markers = { 'pyproject.toml', 'package.json', 'Cargo.toml', 'go.mod', '.git' },
  get_language_id = function(_, filetype) return names[filetype] or filetype end,
}
