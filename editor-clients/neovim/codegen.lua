-- Neovim 0.12: put this file into ~/.config/nvim/lsp/codegen.lua, then in init.lua:
--   vim.lsp.enable('codegen')
--   vim.lsp.inline_completion.enable()
--   vim.keymap.set('i', '<Tab>', function() return vim.lsp.inline_completion.get() and '' or '<Tab>' end, { expr = true })
return {
  cmd = { 'codegen-lsp', 'serve' },
  filetypes = { 'python' },
  root_markers = { 'pyproject.toml', '.git' },
}
