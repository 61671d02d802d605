-- Starts the server and lends its suggestions keys. What is offered, and where, is the server's business.
local M = {}

local defaults = {
  cmd = { 'codegen-lsp', 'serve' },
  filetypes = {
    'python', 'javascript', 'javascriptreact', 'typescript', 'typescriptreact',
    'go', 'rust', 'java', 'c', 'cpp', 'ruby', 'sh', 'bash',
  },
  root_markers = { 'pyproject.toml', 'package.json', 'Cargo.toml', 'go.mod', '.git' },
  settings = {},
  -- Ghost text: nil takes Neovim's own where it has one (0.12), false our own.
  builtin = nil,
  -- Milliseconds without a key before the server is asked, for our own ghost text; the built-in one waits 200.
  debounce_ms = 75,
  -- Each falls back to what the key means without a suggestion. `false` maps none of them.
  keys = {
    accept = '<C-l>', word = '<M-w>', line = '<M-l>', dismiss = '<C-]>',
    request = '<M-\\>', next = '<M-]>', previous = '<M-[>',
  },
}
local language_ids = { sh = 'shellscript', bash = 'shellscript' }

M.options = defaults

--- What shows the suggestions: the built-in or our own.
function M.front()
  local builtin = M.options.builtin
  if builtin == nil then builtin = (vim.lsp.inline_completion or {}).get ~= nil end
  return require(builtin and 'codegen.builtin' or 'codegen.ghost')
end

--- The running client of a buffer (of any buffer without one), or nil.
function M.client(buffer)
  if buffer == 0 then buffer = vim.api.nvim_get_current_buf() end
  local clients = (vim.lsp.get_clients or vim.lsp.get_active_clients)({ name = 'codegen' })
  for _, client in pairs(clients) do
    local is_here = not buffer or client.attached_buffers[buffer]
    if client.name == 'codegen' and is_here then return client end -- 0.7 has no filter.
  end
end

-- Whether there was a suggestion to accept. They may be called in a mapping with `expr`.
function M.accept() return M.front().accept('all') end
function M.accept_word() return M.front().accept('word') end
function M.accept_line() return M.front().accept('line') end
function M.dismiss() return M.front().dismiss() end

--- Show another suggestion in its place.
function M.next() return M.front().cycle(1) end
function M.previous() return M.front().cycle(-1) end

--- Ask now. Always true.
function M.request() return M.front().request() end

local function map(key, action, description)
  -- A key without a suggestion does what it did.
  local function press() return action() and '' or key end
  vim.keymap.set('i', key, press, { expr = true, silent = true, desc = 'codegen: ' .. description })
end

local function map_keys(keys)
  local actions = {
    accept = { M.accept, 'accept the suggestion' },
    word = { M.accept_word, 'accept its next word' },
    line = { M.accept_line, 'accept its next line' },
    dismiss = { M.dismiss, 'dismiss the suggestion' },
    request = { M.request, 'ask for a suggestion' },
    next = { M.next, 'show the next suggestion' },
    previous = { M.previous, 'show the suggestion before it' },
  }
  for name, action in pairs(actions) do
    if keys[name] then map(keys[name], action[1], action[2]) end
  end
end

--- The folder that holds one of the markers, from the file upwards, or nil.
local function root_of(buffer)
  local folder = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(buffer), ':p:h')
  while folder ~= '' do
    for _, marker in ipairs(M.options.root_markers) do
      if vim.loop.fs_stat(folder .. '/' .. marker) then return folder end
    end
    local parent = vim.fn.fnamemodify(folder, ':h')
    if parent == folder then return nil end
    folder = parent
  end
end

--- The user's settings; without any still an object in JSON.
function M.settings()
  local settings = M.options.settings
  return vim.tbl_isempty(settings) and vim.empty_dict() or settings
end

--- What Neovim can do, and ghost text: the server then leaves the completion menu to those who call it.
local function capabilities()
  local all = vim.lsp.protocol.make_client_capabilities()
  all.textDocument.inlineCompletion = all.textDocument.inlineCompletion or { dynamicRegistration = false }
  return all
end

local function config_of(buffer)
  local options = M.options
  return {
    name = 'codegen',
    cmd = options.cmd,
    root_dir = root_of(buffer),
    capabilities = capabilities(),
    init_options = M.settings(),
    settings = { codegen = M.settings() },
    get_language_id = function(_, filetype) return language_ids[filetype] or filetype end,
  }
end

--- vim.lsp.start is new in 0.8; before it, one client per root is kept here.
local function start(buffer, config)
  if vim.lsp.start then return vim.lsp.start(config, { bufnr = buffer }) end
  for _, client in pairs(vim.lsp.get_active_clients()) do
    if client.name == 'codegen' and client.config.root_dir == config.root_dir then
      vim.lsp.buf_attach_client(buffer, client.id)
      return client.id
    end
  end
  local id = vim.lsp.start_client(config)
  if id then vim.lsp.buf_attach_client(buffer, id) end
  return id
end

--- Start a server for a buffer, or join the one of its root.
function M.attach(buffer)
  buffer = buffer or vim.api.nvim_get_current_buf()
  if vim.bo[buffer].buftype ~= '' then return end
  if vim.fn.executable(M.options.cmd[1]) == 0 then
    return vim.notify_once(M.options.cmd[1] .. ' is not installed: see :checkhealth codegen', vim.log.levels.WARN)
  end
  if start(buffer, config_of(buffer)) then M.front().watch(buffer) end
end

--- Call it once, in init.lua. For the options see :help codegen-options.
function M.setup(options)
  M.options = vim.tbl_deep_extend('force', defaults, options or {})
  if options and options.cmd then M.options.cmd = options.cmd end
  if M.options.keys then map_keys(M.options.keys) end
  vim.cmd('highlight default link CodegenGhost Comment')
  local group = vim.api.nvim_create_augroup('codegen', { clear = true })
  vim.api.nvim_create_autocmd('FileType', {
    group = group,
    pattern = M.options.filetypes,
    callback = function(event) M.attach(event.buf) end,
  })
  -- Buffers that had their file type before we came.
  for _, buffer in ipairs(vim.api.nvim_list_bufs()) do
    local is_ours = vim.tbl_contains(M.options.filetypes, vim.bo[buffer].filetype)
    if vim.api.nvim_buf_is_loaded(buffer) and is_ours then M.attach(buffer) end
  end
end

function M.complete(typed)
  return vim.tbl_filter(function(name) return vim.startswith(name, typed) end, require('codegen.command').names)
end

function M.command(name) require('codegen.command').run(name) end

return M
