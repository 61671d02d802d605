-- The command :Codegen; nothing is loaded, and no server started, before it or setup() is used.
if vim.g.loaded_codegen or vim.fn.has('nvim-0.7') == 0 then return end
vim.g.loaded_codegen = true

vim.api.nvim_create_user_command('Codegen', function(args) require('codegen').command(args.args) end, {
  nargs = 1,
  complete = function(typed) return require('codegen').complete(typed) end,
  desc = 'explain, status, restart, toggle',
})
